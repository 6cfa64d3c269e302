"""Recorded cases for rules, and the judgement about them.

A set of cases is the directory /opt/lab/fixtures/SET, a case one YAML file in it. Complete:

    name: counter-reset                       # by default the name of the file
    words: "a pod restarts, and its counters begin at zero"
    interval: 5s                              # between samples and between evaluations; 5s if left out
    series:                                   # promtool's notation: 0+8x60 counts, 1x5 repeats, _ is a gap, stale ends a series
      - series: 'predictions_total{model="flight-delay",version="3",outcome="ontime",instance="10-0-0-1:8080",app="predictor-stable"}'
        values: '0+8x60'
    records:                                  # values that recording rules must give
      - record: model:requests:rate1m
        at: 4m
        by: version                           # the label that tells the series apart
        expected: {"3": 1.6, "4": [null, 0]}  # a number, null for no series, or a list of what is accepted; nothing else may be there
        tolerance: 0.01                       # relative; 0.01 if left out
    alerts:                                   # alerts that must fire, and no others of these
      - at: 10m
        among: [FeatureDrift, DriftJobStale]  # names to look at; all if left out
        where: {severity: ticket}             # look only at alerts with these labels; all if left out
        by: [feature]                         # labels that count besides the name
        expected: [{alertname: FeatureDrift, feature: temp}]

Time begins at 0, so a time stamp in a series (a last run, a push) is a number of seconds from there: '0+5x120' is a job that
runs at each moment, '300x360' one that last ran at 5m.

Each entry of `records` and `alerts` is judged for itself, and an entry may have `words` of its own. A judgement is

    {"name", "rule", "at", "words", "found", "expected", "agree"}

where `found` is the very text of `expected` if both agree, so a value within the tolerance is no difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from labtools import promtool
from labtools.errors import ToolError
from labtools.promtool import Query, Sample, Series

FIXTURES: Final = Path("/opt/lab/fixtures")
TOLERANCE: Final = 0.01
# For expected zeros, where a relative tolerance is none.
LEAST: Final = 1e-9
ABSENT: Final = "no value"
SILENT: Final = "silent"
FIRING: Final = 'ALERTS{alertstate="firing"}'


@dataclass(frozen=True)
class Case:
    """One recorded case."""

    name: str
    words: str
    interval: str
    series: Sequence[Series]
    records: Sequence[Mapping[str, Any]]
    alerts: Sequence[Mapping[str, Any]]


def read(name: str) -> list[Case]:
    """Returns the cases of a set, in the order of their file names."""
    files = sorted((FIXTURES / name).glob("*.yaml"))
    if not files:
        raise ToolError(f"there are no recorded cases {name!r}")
    return [load(path) for path in files]


def load(path: Path) -> Case:
    root = yaml.safe_load(path.read_text())
    series = [promtool.from_yaml(item) for item in root.get("series", [])]
    interval = str(root.get("interval", promtool.INTERVAL))
    return Case(str(root.get("name", path.stem)), str(root["words"]), interval, series, root.get("records", []), root.get("alerts", []))


def judge(case: Case, files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Runs the rules over the case and compares."""
    queries = [Query(str(entry["at"]), str(entry["record"])) for entry in case.records]
    queries += [Query(str(entry["at"]), FIRING) for entry in case.alerts]
    found = promtool.evaluate(files, case.series, queries, case.interval)
    verdicts = [record(entry, samples) for entry, samples in zip(case.records, found, strict=False)]
    verdicts += [alert(entry, samples) for entry, samples in zip(case.alerts, found[len(case.records) :], strict=True)]
    entries = [*case.records, *case.alerts]
    return [{"name": case.name, "words": str(entry.get("words", case.words)), **verdict} for entry, verdict in zip(entries, verdicts, strict=True)]


def verdict(rule: str, entry: Mapping[str, Any], found: str, expected: str, agree: bool) -> dict[str, Any]:
    return {"rule": rule, "at": str(entry["at"]), "found": expected if agree else found, "expected": expected, "agree": agree}


def record(entry: Mapping[str, Any], samples: Sequence[Sample]) -> dict[str, Any]:
    label = str(entry.get("by", "version"))
    expected = {str(key): value if isinstance(value, list) else [value] for key, value in entry["expected"].items()}
    found: dict[str, list[float]] = {}
    for sample in samples:
        found.setdefault(sample.labels.get(label, ""), []).append(sample.value)
    tolerance = float(entry.get("tolerance", TOLERANCE))
    agree = set(found) <= set(expected) and all(matches(found.get(key, []), accepted, tolerance) for key, accepted in expected.items())
    words = {key: " and ".join(number(value) for value in sorted(values)) for key, values in found.items()}
    wanted = {key: " or ".join(number(value) for value in accepted) for key, accepted in expected.items()}
    # A key that both know is worth a word even where it has no value; one that has no label is a mistake of its own.
    words |= {key: ABSENT for key in wanted if key not in words}
    return verdict(str(entry["record"]), entry, listed(label, words), listed(label, wanted), agree)


def matches(values: Sequence[float], accepted: Sequence[float | None], tolerance: float) -> bool:
    """Says whether the one value, or that there is none, is accepted."""
    if len(values) > 1:
        return False
    return any(equal(values[0] if values else None, one, tolerance) for one in accepted)


def equal(value: float | None, wanted: float | None, tolerance: float) -> bool:
    if value is None or wanted is None:
        return value is wanted
    if math.isnan(wanted):
        return math.isnan(value)
    return math.isclose(value, wanted, rel_tol=tolerance, abs_tol=LEAST)


def number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.4g}"


def listed(label: str, words: Mapping[str, str]) -> str:
    """Writes `version 3: 1.6, version 4: no value`."""
    return ", ".join(f"{label} {key}: {text}" if key else f"without {label}: {text}" for key, text in sorted(words.items())) or ABSENT


def alert(entry: Mapping[str, Any], samples: Sequence[Sample]) -> dict[str, Any]:
    by = ["alertname", *entry.get("by", [])]
    names = entry.get("among")
    where = entry.get("where", {})
    looked_at = [
        sample.labels
        for sample in samples
        if (names is None or sample.labels["alertname"] in names) and all(sample.labels.get(key) == str(value) for key, value in where.items())
    ]
    found = {instance(labels, by) for labels in looked_at}
    expected = {instance({key: str(value) for key, value in item.items()}, by) for item in entry["expected"]}
    rule = ", ".join(names) if names else "all alerts"
    return verdict(rule, entry, together(found), together(expected), found == expected)


def instance(labels: Mapping[str, str], by: Sequence[str]) -> str:
    """Writes `FeatureDrift{feature=temp}`."""
    inner = ",".join(f"{key}={labels[key]}" for key in by[1:] if key in labels)
    return f"{labels['alertname']}{{{inner}}}" if inner else labels["alertname"]


def together(alerts: set[str]) -> str:
    return ", ".join(sorted(alerts)) or SILENT
