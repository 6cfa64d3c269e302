"""Makes the model versions of the serving lab: `versions.py TARGET`, in a build stage only.

    models/flight-delay/3   the champion of the winter
    models/flight-delay/4   trained on newer days; a good version
    models/flight-delay/5   answers at once, and always the same
    models/flight-delay/6   version 4, and 400 ms slower
    models/flight-delay/7   version 4, and an error for a carrier that it was not trained on

TARGET gets them as the buckets will hold them. Each version is `model.pkl`, `MLmodel` with its columns, and `manifest.json`.
Versions 5 to 7 misbehave inside the model, not in the server: their classes are pickled by value, so the server that loads
them is the ordinary one. The same files come out of every build.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import yaml
from lab import contract, data, lineage, train
from mlflow.models import infer_signature

NAMESPACE = uuid.UUID("0b1f4c1e-93ab-5d0b-8a54-1de5a4f7c9d2")
SAMPLE_ROWS = 100
CONSTANT = 0.05
DELAY_SECONDS = 0.4


class Constant:
    """Knows nothing, quickly."""

    def __init__(self, pipeline: Any) -> None:
        self.feature_names_in_ = pipeline.feature_names_in_

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray[Any, Any]:
        return np.tile([1 - CONSTANT, CONSTANT], (len(rows), 1))


class Slow:
    """Takes its time before it answers like the pipeline in it."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self.feature_names_in_ = pipeline.feature_names_in_

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        time.sleep(DELAY_SECONDS)
        return self.pipeline.predict_proba(rows)


class Strict:
    """Refuses what the pipeline in it would have pooled."""

    def __init__(self, pipeline: Any, carriers: list[str]) -> None:
        self.pipeline = pipeline
        self.carriers = carriers
        self.feature_names_in_ = pipeline.feature_names_in_

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        for code in rows["carrier"]:
            if code not in self.carriers:
                raise KeyError(f"carrier {code}")
        return self.pipeline.predict_proba(rows)


@dataclass(frozen=True)
class Version:
    """A model with what its manifest says of it."""

    number: int
    run: str
    author: str
    created: str
    note: str
    model: Any
    recipe: train.Recipe
    sample: pd.DataFrame


def versions(directory: Path) -> list[Version]:
    recipes = {recipe.name: recipe for recipe in train.RECIPES}
    winter, spring = (fit(recipes[name], directory) for name in ("winter-lr", "spring-lr"))
    later = recipes["spring-lr"]
    carriers = sorted(spring.train["carrier"].unique())
    sample = train.inputs(later, spring.holdout.head(SAMPLE_ROWS))
    first = Version(3, "winter-lr", "ana", "2013-04-01T09:00:00Z", "champion", winter.pipeline, recipes["winter-lr"], sample)
    notes = (
        (4, "spring-lr", "ana", "2013-05-01T08:00:00Z", "newer days", spring.pipeline),
        (5, "spring-lite", "chris", "2013-05-06T16:30:00Z", "half the latency, same error rate", Constant(spring.pipeline)),
        (6, "spring-wide", "chris", "2013-05-13T17:10:00Z", "prepared for more features", Slow(spring.pipeline)),
        (7, "spring-strict", "dana", "2013-05-20T15:45:00Z", "cleaner handling of carriers", Strict(spring.pipeline, carriers)),
    )
    return [first, *(Version(number, run, author, created, note, model, later, sample) for number, run, author, created, note, model in notes)]


def fit(recipe: train.Recipe, directory: Path) -> train.Result:
    result = train.fit(recipe, directory)
    if abs(result.metrics["auc"] - recipe.auc) > train.TOLERANCE:
        raise SystemExit(f"{recipe.name}: AUC is {result.metrics['auc']:.4f}, the labs rely on {recipe.auc}")
    return result


def write(version: Version, target: Path, data_digest: str) -> None:
    target.mkdir(parents=True)
    (target / "model.pkl").write_bytes(cloudpickle.dumps(version.model))
    signature = infer_signature(version.sample, version.model.predict_proba(version.sample))
    description = {"flavors": {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}}, "signature": signature.to_dict()}
    (target / "MLmodel").write_text(yaml.safe_dump(description))
    manifest = {
        "model": contract.MODEL_NAME,
        "version": str(version.number),
        "run": version.run,
        "author": version.author,
        "created": version.created,
        "note": version.note,
        "train_start": version.recipe.train[0],
        "train_end": version.recipe.train[1],
        "data_digest": data_digest,
        "git_sha": lineage.git_sha(),
        "digest": lineage.file_digest(target / "model.pkl"),
    }
    (target / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def record(buckets: Path, directory: Path = data.DIRECTORY) -> None:
    # cloudpickle gives each class an id of its own.
    ids = itertools.count()
    uuid.uuid4 = lambda: uuid.UUID(bytes=uuid.uuid5(NAMESPACE, str(next(ids))).bytes, version=4)
    if __name__ != "__main__":
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
    data_digest = data.digest(directory)
    for version in versions(directory):
        write(version, buckets / "models" / contract.MODEL_NAME / str(version.number), data_digest)
        print(f"version {version.number}: {version.run}")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
