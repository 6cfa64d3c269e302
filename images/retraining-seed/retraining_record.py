"""Makes the seed of the retraining lab: `retraining_record.py TARGET`, in a build stage only.

    mlflow.sql, buckets/mlflow   the run of the champion, and version 1 with alias champion
    lab.sql                      predictions from 4 June on, labels of flights from 2 April on, the clock at 3 July

build.sh dumps the first of them. By the labels the champion has degraded for two windows and more.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import recorder

RECIPE = "winter-lr"
CLOCK = datetime(2013, 7, 3)
LOGGED_FROM = datetime(2013, 6, 4)
LABELLED_FROM = datetime(2013, 4, 2)
# The real time of what was recorded, so that every build writes the same.
RECORDED = "2013-07-03 04:00:00+00"


def record(buckets: Path, address: str) -> None:
    import mlflow
    from lab import contract, data, tracking, train
    from labtools.mlflow_api import Registry

    mlflow.set_tracking_uri(address)
    mlflow.set_experiment(recorder.EXPERIMENT)
    recipe = next(recipe for recipe in train.RECIPES if recipe.name == RECIPE)
    result = train.fit(recipe)
    if abs(result.metrics["auc"] - recipe.auc) > train.TOLERANCE:
        raise SystemExit(f"{recipe.name}: AUC is {result.metrics['auc']:.4f}, the lab relies on {recipe.auc}")
    recorder.set_clock(recipe.recorded)
    digest = data.digest()
    made = tracking.log(recipe, result, digest, {"mlflow.user": recipe.tags["author"], "mlflow.source.name": "lab.train"})
    recorder.advance(60)
    tags = tracking.lineage_tags(recipe, digest) | {"model_digest": made.model_digest}
    mlflow.register_model(f"models:/{made.model_id}", contract.MODEL_NAME, tags={name: tags[name] for name in recorder.VERSION_TAGS})
    Registry(address).set_alias("champion", "1")
    write_database(buckets.parent / "lab.sql", result.pipeline)


def write_database(target: Path, champion: Any) -> None:
    """Writes what the champion has said, and what is known by now of what came true."""
    from monitoring import flights, seeds
    from retraining import trigger_log

    logged = flights.load(LOGGED_FROM, CLOCK)
    predictions = seeds.predictions(flights.MODEL, "1", champion, logged, flights.FEATURES, RECORDED)
    tables = {
        "lab_clock": ("stream, now", [("flights", CLOCK)]),
        "predictions": ("model, request_id, model_version, score, event_time, features, logged_at", predictions),
        "labels": ("request_id, label, arr_delay, released_at", flights.released(LABELLED_FROM, CLOCK)),
        "replay_log": ("stream, day, sent, sent_at", seeds.sent("flights", logged, RECORDED)),
    }
    seeds.write_sql(target, tables)
    with target.open("a") as dump:
        dump.write(trigger_log.DDL)
    print(f"{len(logged)} predictions from {LOGGED_FROM:%d %B} on")


if __name__ == "__main__":
    recorder.run(Path(sys.argv[1]) / "buckets", "2013-04-01T07:00:00Z", record)
