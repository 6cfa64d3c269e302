"""Scores flights twice: `score --compare [--rows N]` asks the server, and computes the same offline from the same version.

The version is the one that the server names in its answer. Its model.pkl is read from the registry and applied here, to the first
flights of April 2013 with all weather known, so any difference is made by serving: another model, another order of columns,
another unit.

What was computed offline is kept, by the digest of the model: the same bytes give the same scores, and loading the libraries for them
takes longer than everything else here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from labtools import output, predictor, rows
from labtools.errors import ToolError
from labtools.mlflow_api import Registry
from labtools.output import Result

if TYPE_CHECKING:
    import pandas as pd

DAYS: Final = ("2013-04-01", "2013-04-30")
MOST_ROWS: Final = 10_000
ANSWER_SECONDS: Final = 15.0
KEPT: Final = "score-offline.json"


@dataclass(frozen=True)
class Offline:
    """Flights as they are sent, by column, and the scores that a model gives them here. `key` names the model and the flights."""

    key: str
    columns: dict[str, list[Any]]
    scores: list[float]


def parser() -> output.Parser:
    top = output.Parser(prog="score", description="Compares the server's scores with offline scores of the same version.")
    top.add_argument("--compare", action="store_true", required=True, help="score over HTTP and offline")
    top.add_argument("--rows", type=int, default=50, help="how many flights (50)")
    return top


def served() -> tuple[str, bytes]:
    """Returns the version that answers, and its model.pkl."""
    version = predictor.ask_again(rows.one()).version
    return version, Registry().version_bytes(version)


def load(version: str, content: bytes) -> Any:
    import cloudpickle

    try:
        return cloudpickle.loads(content)
    # A damaged pickle can raise anything.
    except Exception as error:
        raise ToolError(f"model.pkl of version {version} can't be loaded: {type(error).__name__}: {error}") from error


def flights(columns: Sequence[str], count: int) -> pd.DataFrame:
    """Returns the first flights of the data set's April whose columns are all known; numbers as floats."""
    from lab import contract, data

    known = data.load(*DAYS).dropna(subset=list(columns)).head(count).reset_index(drop=True)
    if len(known) < count:
        raise ToolError(f"there are only {len(known)} such flights")
    return known[list(columns)].astype({name: "float64" for name in columns if name not in contract.CATEGORICAL})


def run(options: argparse.Namespace) -> Result:
    if not 0 < options.rows <= MOST_ROWS:
        raise ToolError(f"--rows must be between 1 and {MOST_ROWS}")
    kept = recall()
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(served)
        if kept is None:
            # While the server answers.
            import sklearn.pipeline  # noqa: F401

        version, content = asked.result()
    key = f"{options.rows} flights of {hashlib.sha256(content).hexdigest()}"
    if kept is None or kept.key != key:
        kept = compute(key, load(version, content), options.rows)
        keep(kept)
    expected = kept.scores
    answer = predictor.ask_again(kept.columns, seconds=ANSWER_SECONDS)
    if answer.version != version:
        raise ToolError(f"predictor answered as version {version}, then as {answer.version}: several versions serve")
    if len(answer.scores) != len(expected):
        raise ToolError(f"{len(expected)} flights were sent and {len(answer.scores)} scores came back")
    return compare(version, answer.scores, expected)


def compute(key: str, model: Any, count: int) -> Offline:
    frame = flights(list(model.feature_names_in_), count)
    scores = [float(score) for score in model.predict_proba(frame)[:, 1]]
    return Offline(key, {name: frame[name].tolist() for name in frame.columns}, scores)


def recall() -> Offline | None:
    """Returns what was computed last, if it is still there."""
    try:
        return Offline(**json.loads((Path(tempfile.gettempdir()) / KEPT).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def keep(found: Offline) -> None:
    """Writes it down in one move: checks run side by side. A full disk costs time, not the answer."""
    target = Path(tempfile.gettempdir()) / KEPT
    part = target.with_suffix(f".{os.getpid()}")
    try:
        part.write_text(json.dumps(asdict(found)))
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)


def compare(version: str, found: Sequence[float], expected: Sequence[float]) -> Result:
    """Reports the row (from 0) where served and offline score differ most."""
    differences = [abs(one - other) for one, other in zip(found, expected, strict=True)]
    row = max(range(len(differences)), key=differences.__getitem__)
    data = {"version": version, "rows": len(found), "max_abs_diff": differences[row], "row": row, "found": found[row], "expected": expected[row]}
    both = f"served {found[row]:.6f}, offline {expected[row]:.6f}"
    text = f"version {version}, {len(found)} flights: largest difference {differences[row]:g}, in row {row} ({both})"
    return Result(data, text)


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    output.run_to_end(main)
