"""The recorded cases of the challenger gate: real flights, real labels, and the scores of models that were trained right and wrong.

A set is `cases.json` beside `scores.npz`. Scores are kept with 16 bits, which moves an AUC in the sixth digit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from labtools.errors import ToolError

from gates.evidence import Array, Evidence

CASES: Final = "cases.json"
SCORES: Final = "scores.npz"
ORIGINS: Final = ("EWR", "JFK", "LGA")
STEPS: Final = 65535


@dataclass(frozen=True)
class Case:
    """A labelled candidate; `rule` names what should decide, `words` says for people what is special about it.

    Where two words can be defended, `accepted` has both and `expected` the better one.
    """

    name: str
    words: str
    expected: str
    accepted: Sequence[str]
    rule: str
    evidence: Evidence


def pack(scores: Array) -> Array:
    packed: Array = np.round(scores * STEPS).astype("uint16")
    return packed


def cases(folder: Path) -> Iterator[Case]:
    """Reads the cases of a set, in the order of its file."""
    try:
        described: dict[str, Any] = json.loads((folder / CASES).read_text())
        arrays = np.load(folder / SCORES)
    except OSError as error:
        raise ToolError(f"there are no fixtures in {folder}") from error
    with arrays:
        found = {name: arrays[name] for name in arrays.files}
    for entry in described["cases"]:
        accepted = [entry["expected"], *entry.get("also", [])]
        yield Case(entry["name"], entry["words"], entry["expected"], accepted, entry["rule"], evidence(entry, described["champion"], found))


def evidence(entry: dict[str, Any], champion: dict[str, float], arrays: dict[str, Array]) -> Evidence:
    window = entry["window"]
    rows = slice(None, None, entry.get("every", 1))

    def scores(name: str) -> Array:
        unpacked: Array = arrays[f"{window}_{name}"][rows] / STEPS
        return unpacked

    return Evidence(
        late=arrays[f"{window}_late"][rows].astype("float64"),
        origin=np.array(ORIGINS, dtype=object)[arrays[f"{window}_origin"][rows]],
        candidate_scores=scores(entry["scores"]),
        champion_scores=scores("champion"),
        missing_tags=entry.get("missing_tags", []),
        overlap_days=entry.get("overlap_days", 0),
        foreign_features=entry.get("foreign_features", []),
        agreement=entry["agreement"],
        recorded_auc=champion["auc"],
        recorded_brier=champion["brier"],
    )
