"""Makes the recorded cases of the challenger gate by training each model: `python3 make_fixtures.py FLIGHTS_DIRECTORY TARGET`.

FLIGHTS_DIRECTORY has the Parquet files of `lab.data`. The test beside this file makes them again and compares.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))

from gates import recorded
from lab import contract, data, train
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline

Rows = pd.DataFrame
INVERTED = 0.3
EVERYTHING = train.Recipe("all", ("", ""), ("", ""), recorded="", auc=0.0)
LEAKY = train.Recipe("leaky", ("", ""), ("", ""), recorded="", auc=0.0, numeric=(*contract.NUMERIC, "dep_delay"))
# The days of the gates; a champion of winter is judged on them, too.
WINDOWS = {"june": "2013-06-30", "april": "2013-04-30", "august": "2013-08-31"}


def days(gate_end: str, train_days: int = 60, gate_days: int = 14) -> tuple[str, str, str, str]:
    """Returns first and last day of training and gate."""
    end = date.fromisoformat(gate_end)
    start = end - timedelta(days=gate_days - 1)
    last = start - timedelta(days=1)
    return tuple(day.isoformat() for day in (last - timedelta(days=train_days - 1), last, start, end))


def invert(rows: Rows) -> Rows:
    chosen = np.random.default_rng(train.SEED).random(len(rows)) < INVERTED
    return rows.assign(late=np.where(chosen, 1 - rows["late"], rows["late"]))


def silence(rows: Rows) -> Rows:
    return rows.assign(late=rows["late"].where(rows["origin"] != "LGA", 0))


@dataclass
class Maker:
    directory: Path

    def labelled(self, start: str, end: str) -> Rows:
        return train.labelled(data.load(start, end, directory=self.directory))

    def fit(self, start: str, end: str, change: Callable[[Rows], Rows] = lambda rows: rows, recipe: train.Recipe = EVERYTHING) -> tuple[Pipeline, float]:
        """Returns a model, and which part of the labels that it saw agree with the arrivals."""
        rows = self.labelled(start, end)
        seen = change(rows)
        return train.build(recipe).fit(train.inputs(recipe, seen), seen["late"]), float((seen["late"] == rows["late"]).mean())

    def make(self) -> tuple[dict[str, Any], dict[str, Any]]:
        champion, _ = self.fit(*train.WINTER[0])
        held = self.labelled(*train.WINTER[1])
        winter = champion.predict_proba(train.inputs(EVERYTHING, held))[:, 1]
        measured = {"auc": round(float(roc_auc_score(held["late"], winter)), 4), "brier": round(float(brier_score_loss(held["late"], winter)), 4)}
        arrays: dict[str, Any] = {}
        frames: dict[str, Rows] = {}
        for name, gate_end in WINDOWS.items():
            rows = frames[name] = self.labelled(*days(gate_end)[2:])
            arrays[f"{name}_late"] = rows["late"].to_numpy("uint8")
            arrays[f"{name}_origin"] = rows["origin"].map(recorded.ORIGINS.index).to_numpy("uint8")
            arrays[f"{name}_champion"] = recorded.pack(champion.predict_proba(train.inputs(EVERYTHING, rows))[:, 1])

        agreements = {}

        def add(window: str, name: str, start: str, end: str, change: Callable[[Rows], Rows] = lambda rows: rows, recipe: train.Recipe = EVERYTHING) -> None:
            model, agreements[name] = self.fit(start, end, change, recipe)
            arrays[f"{window}_{name}"] = recorded.pack(model.predict_proba(train.inputs(recipe, frames[window]))[:, 1])

        june = days(WINDOWS["june"])[:2]
        add("june", "sixty", *june)
        add("june", "inverted", *june, invert)
        add("june", "silent", *june, silence)
        add("june", "leaky", *june, recipe=LEAKY)
        add("june", "overlap", "2013-05-02", "2013-06-30")
        add("april", "sixty", *days(WINDOWS["april"])[:2])
        add("august", "sixty", *days(WINDOWS["august"])[:2])
        return {"champion": measured, "cases": list(described(agreements))}, arrays


def described(agreements: dict[str, float]) -> Any:
    def case(name: str, words: str, expected: str, rule: str, window: str, scores: str, **more: Any) -> dict[str, Any]:
        agreement = round(agreements.get(scores, 1.0), 4)
        return {"name": name, "words": words, "expected": expected, "rule": rule, "window": window, "scores": scores, "agreement": agreement, **more}

    yield case("july-60d", "60 days to 16 June, judged on 17-30 June", "promote", "brier, auc", "june", "sixty")
    yield case("may-60d", "60 days to 16 April: calibrated better, ranks a little worse", "hold", "auc", "april", "sixty")
    yield case("sept-60d", "60 days to 17 August: ranks better, but its probabilities are further off", "hold", "brier", "august", "sixty", also=["reject"])
    yield case("lga-all-zero", "the feed said on time for every flight from LGA", "reject", "slices", "june", "silent")
    yield case("inverted-30pct", "three of ten labels were inverted", "reject", "labels", "june", "inverted")
    yield case("leaky", "reads dep_delay, which is known only after departure", "reject", "plausible, lineage", "june", "leaky", foreign_features=["dep_delay"])
    yield case("overlap", "trained up to 30 June, judged on 17-30 June", "reject", "lineage", "june", "overlap", overlap_days=14)
    yield case("tiny-gate", "as july-60d, but 300 labelled flights to judge on", "hold", "rows", "june", "sixty", every=42)
    yield case("same-model", "the champion again", "hold", "brier", "june", "champion")
    yield case("missing-tags", "as july-60d, but nobody knows from which data", "reject", "lineage", "june", "sixty", missing_tags=["data_digest", "git_sha"])


def main() -> None:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    cases, arrays = Maker(source).make()
    (target / recorded.CASES).write_text(json.dumps(cases, indent=2) + "\n")
    np.savez_compressed(target / recorded.SCORES, **arrays)


if __name__ == "__main__":
    main()
