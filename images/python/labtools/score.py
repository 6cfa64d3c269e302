"""Scores flights twice: `score --compare [--rows N]` asks the server, and computes the same offline from the same version.

The version is the one that the server names in its answer. Its model.pkl is read from the registry and applied here, to the first
flights of April 2013 with all weather known, so any difference is made by serving: another model, another order of columns,
another unit.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from labtools import output, predictor
from labtools.errors import ToolError
from labtools.mlflow_api import Registry
from labtools.output import Result

if TYPE_CHECKING:
    import pandas as pd

DAYS: Final = ("2013-04-01", "2013-04-30")
MOST_ROWS: Final = 10_000
ANSWER_SECONDS: Final = 30.0


def parser() -> output.Parser:
    top = output.Parser(prog="score", description="Compares the server's scores with offline scores of the same version.")
    top.add_argument("--compare", action="store_true", required=True, help="score over HTTP and offline")
    top.add_argument("--rows", type=int, default=50, help="how many flights (50)")
    return top


def served() -> tuple[str, bytes]:
    """Returns the version that answers, and its model.pkl."""
    version = predictor.version()
    if version is None:
        raise ToolError("predictor does not answer")
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
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(served)
        # While the server answers: the libraries take longer than everything else here.
        import sklearn.pipeline  # noqa: F401

        version, content = asked.result()
    model = load(version, content)
    frame = flights(list(model.feature_names_in_), options.rows)
    expected = [float(score) for score in model.predict_proba(frame)[:, 1]]
    answer = predictor.ask({name: frame[name].tolist() for name in frame.columns}, seconds=ANSWER_SECONDS)
    if answer.version != version:
        raise ToolError(f"predictor answered as version {version}, then as {answer.version}: several versions serve")
    if len(answer.scores) != len(expected):
        raise ToolError(f"{len(expected)} flights were sent and {len(answer.scores)} scores came back")
    return compare(version, answer.scores, expected)


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
