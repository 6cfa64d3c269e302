"""`train`: which recipe a call means, and what it answers. The training itself has its own tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
from lab import data, tracking
from lab import train as training
from labtools import train
from miniature import Lab, Run


@pytest.fixture
def recorded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The lab with a training that takes no time; returns the recipes it was given."""
    recipes: list[Any] = []
    metrics = {"auc": 0.7, "brier": 0.15, "holdout_rows": 14495.0}

    def log(recipe: Any, _result: Any, _digest: str) -> tracking.Record:
        recipes.append(recipe)
        print("a library that talks")
        return tracking.Record("run-new", "m-new", "sha256:00")

    monkeypatch.setattr(training, "fit", lambda _recipe: SimpleNamespace(metrics=metrics))
    monkeypatch.setattr(tracking, "log", log)
    monkeypatch.setattr(data, "digest", lambda: "sha256:11")
    monkeypatch.setattr(mlflow, "set_tracking_uri", lambda uri: recipes.append(uri))
    monkeypatch.setattr(mlflow, "set_experiment", lambda name: recipes.append(name))
    assert lab.mlflow.aliases
    return recipes


def test_train(recorded: list[Any], run: Run) -> None:
    code, answer = run(train.main, "--train", "2013-02-01", "2013-03-31", "--author", "eve")
    assert code == 0
    assert answer == {"run_id": "run-new", "run": "winter-lr-again", "model_digest": "sha256:00", "auc": 0.7, "brier": 0.15, "holdout_rows": 14495.0}
    assert recorded[0].startswith("http://127.0.0.1:")
    assert recorded[1] == "flight-delay"
    recipe, original = recorded[2], next(recipe for recipe in training.RECIPES if recipe.name == "winter-lr")
    assert (recipe.train, recipe.holdout, recipe.numeric) == (("2013-02-01", "2013-03-31"), original.holdout, original.numeric)
    # Who trains does not approve.
    assert recipe.tags == {"author": "eve", "validation_status": "pending"}


@pytest.mark.usefixtures("recorded")
def test_an_unknown_recipe(run: Run) -> None:
    code, answer = run(train.main, "--recipe", "nope")
    assert code == 1
    assert answer["error"].startswith("there is no recipe nope; there are winter-noweather, winter-lr")


def test_nothing_is_trained_when_it_can_not_be_recorded(recorded: list[Any], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert run(train.main)[0] == 1
    assert recorded == []
