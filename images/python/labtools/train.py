"""Trains the reference model and records the run: `train [--recipe NAME] [--name RUN] [--train START END] [--holdout START END]`.

The recipe says features and regularisation; days and name can be others. A run that is made here is always `pending`: who trains
does not approve.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from labtools import output
from labtools.errors import ToolError
from labtools.mlflow_api import EXPERIMENT, Registry
from labtools.output import Result

if TYPE_CHECKING:
    from lab.train import Recipe

RECIPE: Final = "winter-lr"
# MLflow's own client would go on trying for minutes.
CLIENT: Final = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


def parser() -> output.Parser:
    top = output.Parser(prog="train", description="Trains the reference model and records the run in MLflow.")
    top.add_argument("--recipe", default=RECIPE, help=f"features and regularisation as in this run of the seed ({RECIPE})")
    top.add_argument("--name", help="name of the new run (RECIPE-again)")
    top.add_argument("--train", nargs=2, type=day, metavar=("START", "END"), help="days to train on, both included (2013-01-01)")
    top.add_argument("--holdout", nargs=2, type=day, metavar=("START", "END"), help="days to judge on")
    top.add_argument("--author", default=os.environ.get("USER", "lab"), help="who stands for the run")
    return top


def day(text: str) -> str:
    return date.fromisoformat(text).isoformat()


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Returns the recipe that the options ask for, as somebody's run that nobody has approved yet."""
    from lab.train import RECIPES

    recipe = next((recipe for recipe in RECIPES if recipe.name == options.recipe), None)
    if recipe is None:
        raise ToolError(f"there is no recipe {options.recipe}; there are {', '.join(recipe.name for recipe in RECIPES)}")
    return dataclasses.replace(
        recipe,
        name=options.name or f"{recipe.name}-again",
        train=tuple(options.train or recipe.train),
        holdout=tuple(options.holdout or recipe.holdout),
        tags={"author": options.author, "validation_status": "pending"},
    )


def run(options: argparse.Namespace) -> Result:
    registry = Registry()
    # Training takes longer than finding out that nothing could be recorded.
    registry.aliases()
    os.environ |= {name: os.environ.get(name, value) for name, value in CLIENT.items()}
    output.say("loading the libraries")
    import mlflow
    from lab import data, tracking, train

    recipe = recipe_of(options)
    output.say(f"training {recipe.name} on {recipe.train[0]} to {recipe.train[1]}")
    result = train.fit(recipe)
    mlflow.set_tracking_uri(registry.url)
    mlflow.set_experiment(EXPERIMENT)
    made = tracking.log(recipe, result, data.digest())
    answer = {"run_id": made.run_id, "run": recipe.name, "model_digest": made.model_digest, **result.metrics}
    text = f"run {recipe.name}: AUC {result.metrics['auc']:.3f} on {int(result.metrics['holdout_rows'])} flights ({made.run_id})"
    return Result(answer, text)


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
