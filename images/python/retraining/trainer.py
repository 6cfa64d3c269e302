"""One training run: the labels that are there, a model, a version with alias `challenger`.

A version belongs to its days and to the labels that were there. A run that finds such a version makes no other, so a Job that is
run twice leaves one version. Two that run at the same time do not see each other's: that is what the lock is for.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lab import lineage
from labtools import lifecycle, output, serving
from labtools.errors import ToolError
from labtools.mlflow_api import EXPERIMENT, READY, Registry, Version
from labtools.output import Result
from monitoring import store

from retraining import dataset, plan
from retraining.dataset import Labelled
from retraining.plan import Plan

if TYPE_CHECKING:
    from lab.train import Recipe

CHALLENGER: Final = "challenger"
LOCK: Final = "retrain flight-delay"
LEAST_ROWS: Final = 1000
AUTHOR: Final = "retrain"
# By these tags a version is known again.
IDENTITY: Final = ("train_start", "train_end", "gate_start", "gate_end", "data_digest", "git_sha")
LINEAGE: Final = (*IDENTITY, "label_cutoff", "model_digest")
# MLflow's own client would go on trying for minutes.
CLIENT: Final = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


@dataclass(frozen=True)
class Order:
    """What a run is asked for; `now` None is the lab's clock."""

    now: datetime | None
    train_days: int
    gate_days: int
    leap_days: int
    lock: bool
    move_champion: bool


def run(order: Order) -> Result:
    registry = Registry()
    # Training takes longer than finding out that nothing could be recorded.
    registry.aliases()
    with store.connected() as connection:
        moment = order.now or store.now(connection)
        days = plan.make(moment, order.train_days, order.gate_days, order.leap_days)
        alone = store.locked(connection, LOCK) if order.lock else contextlib.nullcontext()
        if order.lock:
            output.say("waiting until no other trainer is at work")
        with alone:
            return train(registry, connection, days, order.move_champion)


def train(registry: Registry, connection: Any, days: Plan, move_champion: bool) -> Result:
    output.say(f"labels of {days.train_start} to {days.train_end}, as they were known on {days.cutoff:%Y-%m-%d}")
    learn = dataset.load(connection, days.train_start, days.train_end, days.cutoff)
    if len(learn.rows) < LEAST_ROWS:
        raise ToolError(f"only {len(learn.rows)} flights of {days.train_start} to {days.train_end} have a label; {LEAST_ROWS} are needed")
    tags = {**days.tags, "data_digest": learn.digest, "git_sha": lineage.git_sha()}
    version = known(registry, tags)
    duplicate = version is not None
    if version is None:
        judge = dataset.load(connection, days.gate_start, days.gate_end, days.cutoff)
        version = record(registry, days, learn, judge, tags)
    else:
        output.say(f"version {version.number} was made from the same labels for the same days")
    point(registry, CHALLENGER, version)
    if move_champion:
        release(registry, version)
    data = {**{name: tags[name] for name in IDENTITY}, "version": version.number, "duplicate": duplicate, "rows": len(learn.rows), "flights": learn.flights}
    did = "was there already" if duplicate else f"learned from {len(learn.rows)} flights"
    of_days = f"{days.train_start} to {days.train_end}, gate {days.gate_start} to {days.gate_end}"
    return Result(data, f"version {version.number} is {CHALLENGER}; it {did} ({of_days})")


def known(registry: Registry, tags: Mapping[str, str]) -> Version | None:
    """Returns the oldest version that was made of the same."""
    found = [version for version in registry.versions() if version.status == READY and all(version.tags.get(name) == tags[name] for name in IDENTITY)]
    return found[-1] if found else None


def point(registry: Registry, alias: str, version: Version) -> None:
    if registry.aliases().get(alias) != version.number:
        registry.set_alias(alias, version.number)


def release(registry: Registry, version: Version) -> None:
    """Makes the version champion without asking anybody."""
    output.say(f"moving {lifecycle.CHAMPION} to version {version.number}")
    champion = registry.aliases().get(lifecycle.CHAMPION)
    if champion not in (None, version.number):
        registry.set_alias(lifecycle.ROLLBACK, str(champion))
    point(registry, lifecycle.CHAMPION, version)
    serving.write_pin(version.number)


def record(registry: Registry, days: Plan, learn: Labelled, judge: Labelled, tags: Mapping[str, str]) -> Version:
    """Trains, records the run with its model, and makes a version of it."""
    os.environ |= {name: os.environ.get(name, value) for name, value in CLIENT.items()}
    output.say("loading the libraries")
    import mlflow
    from lab import tracking

    recipe, result = fit(days, learn, judge)
    mlflow.set_tracking_uri(registry.url)
    mlflow.set_experiment(EXPERIMENT)
    made = tracking.log(recipe, result, learn.digest, {name: tags[name] for name in ("gate_start", "gate_end", "label_cutoff")})
    run = registry.run(made.run_id)
    return registry.create_version(run, {**tags, "model_digest": made.model_digest, "author": AUTHOR, "validation_status": "pending"})


def fit(days: Plan, learn: Labelled, judge: Labelled) -> tuple[Recipe, Any]:
    """Fits the reference pipeline to the released labels, and measures it on the days of the gate where there are any."""
    from lab import contract, train
    from sklearn.metrics import brier_score_loss, roc_auc_score

    window = (days.gate_start.isoformat(), days.gate_end.isoformat())
    name = f"retrain-{window[1]}"
    tags = {"author": AUTHOR, "validation_status": "pending"}
    recipe = train.Recipe(name, (days.train_start.isoformat(), days.train_end.isoformat()), window, recorded="", auc=0.0, tags=tags)
    output.say(f"training on {len(learn.rows)} flights")
    pipeline = train.build(recipe).fit(train.inputs(recipe, learn.rows), learn.rows[contract.TARGET])
    metrics = {"train_rows": float(len(learn.rows)), "train_flights": float(learn.flights), "late_rate": float(learn.rows[contract.TARGET].mean())}
    held = judge.rows if len(judge.rows) else learn.rows
    if len(judge.rows):
        scores = pipeline.predict_proba(train.inputs(recipe, judge.rows))[:, 1]
        metrics |= {
            "auc": float(roc_auc_score(judge.rows[contract.TARGET], scores)),
            "brier": float(brier_score_loss(judge.rows[contract.TARGET], scores)),
            "mean_score": float(scores.mean()),
            "holdout_rows": float(len(judge.rows)),
        }
    return recipe, train.Result(pipeline, metrics, learn.rows, held)
