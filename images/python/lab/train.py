"""The reference pipeline and the recipes of the runs that the labs start from.

It is not a search for the best model: logistic regression fits in a second, gives the same scores on every machine, and its
faults (season, leakage, calibration) are the lessons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lab import contract, data

SEED: Final = 7
# Levels with fewer rows than this are pooled; levels never seen count as pooled.
RARE: Final = 50


@dataclass(frozen=True)
class Recipe:
    """One training run: which days, which features, and who stands for it."""

    name: str
    train: tuple[str, str]
    holdout: tuple[str, str]
    recorded: str
    # The AUC on the holdout as it was measured; a lock, a data set or a library that moves it changes every lab.
    auc: float
    numeric: tuple[str, ...] = contract.NUMERIC
    regularisation: float = 1.0
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def features(self) -> list[str]:
        return [*self.numeric, *contract.CATEGORICAL]


# How far a measured AUC may be from the recorded one.
TOLERANCE: Final = 0.002


@dataclass(frozen=True)
class Result:
    """A fitted pipeline with what it scored on its holdout."""

    pipeline: Pipeline
    metrics: dict[str, float]
    train: pd.DataFrame
    holdout: pd.DataFrame


WINTER: Final = (("2013-01-01", "2013-03-15"), ("2013-03-16", "2013-03-31"))
SPRING: Final = (("2013-01-15", "2013-04-15"), ("2013-04-16", "2013-04-30"))

# In the order in which they were recorded.
RECIPES: Final = (
    Recipe(
        "winter-noweather",
        *WINTER,
        recorded="2013-04-01T08:00:00Z",
        auc=0.647,
        numeric=contract.SCHEDULE,
        tags={"author": "ana", "validation_status": "approved", "approved_by": "ben"},
    ),
    Recipe(
        "winter-lr",
        *WINTER,
        recorded="2013-04-01T09:00:00Z",
        auc=0.702,
        tags={"author": "ana", "validation_status": "approved", "approved_by": "ben"},
    ),
    Recipe(
        "winter-leaky",
        *WINTER,
        recorded="2013-04-01T10:00:00Z",
        auc=0.92,
        numeric=(*contract.NUMERIC, "dep_delay"),
        tags={"author": "chris", "validation_status": "pending"},
    ),
    Recipe(
        "spring-lr",
        *SPRING,
        recorded="2013-05-01T08:00:00Z",
        auc=0.644,
        tags={"author": "ana", "validation_status": "approved", "approved_by": "ben"},
    ),
    Recipe(
        "spring-unapproved",
        *SPRING,
        recorded="2013-05-01T09:00:00Z",
        auc=0.643,
        regularisation=0.01,
        tags={"author": "chris", "validation_status": "pending"},
    ),
)


def build(recipe: Recipe) -> Pipeline:
    """Returns the unfitted pipeline: one-hot categories and scaled numbers into a logistic regression."""
    categories = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=RARE)
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer([("categories", categories, list(contract.CATEGORICAL)), ("numbers", numbers, list(recipe.numeric))])
    model = LogisticRegression(C=recipe.regularisation, max_iter=1000, random_state=SEED)
    return Pipeline([("columns", columns), ("model", model)])


def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the flights that have a label: cancelled and diverted ones have none."""
    return rows[rows[contract.TARGET].notna()].astype({contract.TARGET: "int64"})


def inputs(recipe: Recipe, rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the model's input columns; numbers are floats, so that a missing value does not change a column's type."""
    return rows[recipe.features].astype(dict.fromkeys(recipe.numeric, "float64"))


def fit(recipe: Recipe, directory: Path = data.DIRECTORY) -> Result:
    """Trains on the recipe's days and scores its holdout."""
    rows = {"train": data.load(*recipe.train, directory=directory), "holdout": data.load(*recipe.holdout, directory=directory)}
    train, holdout = labelled(rows["train"]), labelled(rows["holdout"])
    pipeline = build(recipe).fit(inputs(recipe, train), train[contract.TARGET])
    scores = pipeline.predict_proba(inputs(recipe, holdout))[:, 1]
    metrics = {
        "auc": float(roc_auc_score(holdout[contract.TARGET], scores)),
        "brier": float(brier_score_loss(holdout[contract.TARGET], scores)),
        "mean_score": float(scores.mean()),
        "late_rate": float(holdout[contract.TARGET].mean()),
        "train_rows": float(len(train)),
        "holdout_rows": float(len(holdout)),
        "unlabelled_rows": float(sum(len(part) for part in rows.values()) - len(train) - len(holdout)),
    }
    return Result(pipeline, metrics, train, holdout)
