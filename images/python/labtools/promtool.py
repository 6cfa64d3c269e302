"""Evaluates rules and PromQL on series that were written down, with `promtool test rules` of Prometheus itself.

Time begins at 0: a sample of the series is `interval` after the one before, and `time()` counts from the first of them.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from labtools.errors import ToolError

INTERVAL: Final = "5s"
CALL_SECONDS: Final = 30.0
# promtool prints what it got only where that differs from what was expected, so nothing is ever as expected.
NEVER: Final = [{"labels": 'never{equal="to anything"}', "value": 0}]

# Go writes labels with its own quotes, whose escapes are Python's, too.
QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
LABEL: Final = re.compile(rf"(\w+)=({QUOTED})")
SAMPLE: Final = re.compile(rf"\{{((?:\w+={QUOTED}(?:, )?)*)\}} (\S+?)(?:, (?=\{{)|$)")
GOT: Final = re.compile(r"^ +got: (.*)$", re.MULTILINE)


class RefusedError(ToolError):
    """promtool does not take the rules, a series or a query; the text is what it says."""


@dataclass(frozen=True)
class Series:
    """Samples in promtool's notation: `Series('up{app="x"}', "1x10 0x10")`."""

    series: str
    values: str


@dataclass(frozen=True)
class Query:
    """An instant query: `Query("5m", 'ALERTS{alertstate="firing"}')`."""

    at: str
    expr: str


@dataclass(frozen=True)
class Sample:
    """What a query gives for one set of labels; the name of a metric is the label __name__."""

    labels: Mapping[str, str]
    value: float


def evaluate(files: Mapping[str, str], series: Sequence[Series], queries: Sequence[Query], interval: str = INTERVAL) -> list[list[Sample]]:
    """Runs the rules of the files (by name, none is fine) over the series and returns the samples of each query."""
    tests = [{"expr": query.expr, "eval_time": query.at, "exp_samples": NEVER} for query in queries]
    given = [{"series": one.series, "values": one.values} for one in series]
    document = {
        "rule_files": list(files),
        "evaluation_interval": interval,
        "tests": [{"interval": interval, "input_series": given, "promql_expr_test": tests}],
    }
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        (Path(folder) / "test.json").write_text(json.dumps(document))
        said = promtool(folder, "test", "rules", "test.json")
    found = GOT.findall(said)
    if len(found) != len(queries):
        raise RefusedError(reason(said))
    return [samples(text) for text in found]


def check(files: Mapping[str, str]) -> None:
    """Raises RefusedError, with the words of Prometheus, where it would not load one of the rule files."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        said = promtool(folder, "check", "rules", *files) if files else ""
    if "FAILED" in said:
        raise RefusedError(reason(said))


def here() -> bool:
    """Says whether this image has promtool."""
    return shutil.which("promtool") is not None


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def promtool(folder: str, *arguments: str) -> str:
    """Returns everything that promtool says."""
    try:
        done = subprocess.run(
            ["promtool", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=CALL_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise ToolError("there is no promtool here: it is in the image workbench-monitoring") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"promtool {arguments[0]} {arguments[1]}: no end after {CALL_SECONDS:g} s") from error
    return done.stdout


def reason(said: str) -> str:
    """Leaves out of promtool's report what is no reason."""
    lines = [line.strip() for line in said.splitlines()]
    kept = [line for line in lines if line and not line.startswith(("Checking ", "Unit Testing:", "FAILED", "SUCCESS", "exp:", "got:"))]
    return "; ".join(dict.fromkeys(kept)) or "promtool gave no reason"


def samples(text: str) -> list[Sample]:
    """Reads `{a="b"} 1E+00, {} 2E+00`; `nil` is none."""
    return [Sample(labels(match[1]), float(match[2])) for match in SAMPLE.finditer(text)]


def labels(text: str) -> dict[str, str]:
    return {name: str(ast.literal_eval(quoted)) for name, quoted in LABEL.findall(text)}


def from_yaml(item: Mapping[str, Any]) -> Series:
    """Reads a series as fixtures have it: {series: ..., values: ...}."""
    return Series(str(item["series"]), str(item["values"]))
