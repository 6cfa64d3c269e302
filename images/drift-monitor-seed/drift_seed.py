"""Makes what the drift-monitor lab starts from: `drift_seed.py TARGET`, in a build stage only.

buckets/models/flight-delay/1   the champion, trained 1 January to 15 March
buckets/models/sea/1            the model of stream sea
buckets/data/reference/         what each was trained on, with its scores
buckets/reports/cases/          recorded incidents of task triage
lab.sql                         predictions of 16 to 31 March, the labels that are known on 1 April, and the clocks
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from lab import contract, data, train
from monitoring import cases, flights, sea, seeds

RECIPE = "winter-lr"
VERSION = "1"
LOGGED_FROM = datetime(2013, 3, 16)
CLOCK = datetime(2013, 4, 1)
# The real time of what was recorded, so that every build writes the same.
RECORDED = "2013-04-01 04:00:00+00"


def record(target: Path, directory: Path = data.DIRECTORY) -> None:
    buckets = target / "buckets"
    recipe = next(recipe for recipe in train.RECIPES if recipe.name == RECIPE)
    result = train.fit(recipe, directory)
    if abs(result.metrics["auc"] - recipe.auc) > train.TOLERANCE:
        raise SystemExit(f"{recipe.name}: AUC is {result.metrics['auc']:.4f}, the lab relies on {recipe.auc}")
    champion = result.pipeline
    trained = flights.load(datetime.fromisoformat(recipe.train[0]), LOGGED_FROM, directory)
    manifest = {"model": contract.MODEL_NAME, "version": VERSION, "run": RECIPE, "created": "2013-04-01T09:00:00Z"}
    manifest |= {"train_start": recipe.train[0], "train_end": recipe.train[1], "data_digest": data.digest(directory)}
    sample = seeds.inputs(trained.head(seeds.SAMPLE_ROWS), flights.FEATURES)
    seeds.write_model(champion, sample, buckets / "models" / flights.MODEL / VERSION, manifest)
    seeds.write_reference(champion, trained, flights.FEATURES, buckets / "data" / "reference" / f"{flights.MODEL}.parquet")

    learned = seeds.sea_training()
    other = sea.fit(learned)
    sample = seeds.inputs(learned.head(seeds.SAMPLE_ROWS), sea.FEATURES)
    seeds.write_model(other, sample, buckets / "models" / sea.MODEL / VERSION, {"model": sea.MODEL, "version": VERSION, "run": "sea-lr"})
    seeds.write_reference(other, learned, sea.FEATURES, buckets / "data" / "reference" / f"{sea.MODEL}.parquet")

    logged = flights.load(LOGGED_FROM, CLOCK, directory)
    predictions = seeds.predictions(flights.MODEL, VERSION, champion, logged, flights.FEATURES, RECORDED)
    seeds.write_sql(
        target / "lab.sql",
        {
            "lab_clock": ("stream, now", [("flights", CLOCK), (sea.MODEL, sea.START)]),
            "predictions": ("model, request_id, model_version, score, event_time, features, logged_at", predictions),
            "labels": ("request_id, label, arr_delay, released_at", flights.released(LOGGED_FROM, CLOCK, directory)),
            "replay_log": ("stream, day, sent, sent_at", seeds.sent("flights", logged, RECORDED)),
        },
    )
    cases.write(buckets / "reports" / "cases")
    print(f"{len(logged)} predictions from {LOGGED_FROM:%d %B} on, reference of {len(trained)} flights")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
