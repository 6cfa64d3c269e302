"""gate.yaml: the rules by which a canary is judged, and the judgement itself.

    steps: [10, 50]                # weights of the canary, in percent, one after the other
    minimumRequests: 500           # answers of the canary in a step, as the gateway counts them; fewer are inconclusive
    whenAbsent: inconclusive       # what a check without a value means: inconclusive or pass
    checks:
      - name: positive rate
        promql: model:positive:ratio5m{version="$version"}    # $version: the candidate, and for compareTo the stable version
        compareTo: stable
        maxDifference: 0.08

Bounds of a check, any number of them: `max` and `min` of the candidate's value; with `compareTo: stable` also `maxIncrease` (how much
higher than stable's), `maxDifference` (how far in either direction) and `maxRatio` (how many times stable's). `metric: NAME` is short
for `promql: NAME{version="$version"}`.

A step in which a bound is broken fails. Else it is inconclusive where something has no value. Too few requests are inconclusive
whatever the values are: they are noise.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml
from labtools.errors import ToolError

PASS: Final = "pass"
FAIL: Final = "fail"
INCONCLUSIVE: Final = "inconclusive"

VERSION: Final = "$version"
ABSOLUTE: Final = ("max", "min")
RELATIVE: Final = ("maxIncrease", "maxDifference", "maxRatio")
KEYS: Final = frozenset({"name", "promql", "metric", "compareTo", *ABSOLUTE, *RELATIVE})
TOP: Final = frozenset({"steps", "minimumRequests", "whenAbsent", "checks"})

# Returns the value of a query, None where there is none.
Ask = Callable[[str], float | None]


@dataclass(frozen=True)
class Check:
    """One query with its bounds."""

    name: str
    promql: str
    compare: bool
    bounds: Mapping[str, float]

    def query(self, version: str) -> str:
        return self.promql.replace(VERSION, version)


@dataclass(frozen=True)
class Policy:
    """A gate.yaml that makes sense."""

    steps: Sequence[int]
    minimum: int
    absent: str
    checks: Sequence[Check]
    digest: str


def read(text: str) -> Policy:
    """Reads a gate.yaml; raises ToolError with the place of the first mistake."""
    try:
        root = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ToolError(f"gate.yaml is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(root, dict):
        raise ToolError("gate.yaml must be a mapping with steps, minimumRequests and checks")
    unknown(root, TOP, "gate.yaml")
    steps = root.get("steps")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, int) and 0 < step <= 100 for step in steps):
        raise ToolError("gate.yaml: steps must be a list of weights from 1 to 100")
    minimum = root.get("minimumRequests")
    if not isinstance(minimum, int) or minimum < 1:
        raise ToolError("gate.yaml: minimumRequests must be a whole number, at least 1")
    absent = root.get("whenAbsent", INCONCLUSIVE)
    if absent not in (INCONCLUSIVE, PASS):
        raise ToolError(f"gate.yaml: whenAbsent must be {INCONCLUSIVE} or {PASS}")
    checks = root.get("checks")
    if not isinstance(checks, list) or not checks:
        raise ToolError("gate.yaml: checks must be a list with at least one check")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Policy(steps, minimum, absent, [check_of(item, number) for number, item in enumerate(checks, 1)], digest)


def unknown(found: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    if extra := sorted(set(found) - known):
        raise ToolError(f"{where}: {extra[0]} is not known; known are {', '.join(sorted(known))}")


def check_of(item: Any, number: int) -> Check:
    where = f"gate.yaml: check {number}"
    if not isinstance(item, dict):
        raise ToolError(f"{where} must be a mapping")
    unknown(item, KEYS, where)
    if ("promql" in item) == ("metric" in item):
        raise ToolError(f"{where} needs either promql or metric")
    promql = str(item.get("promql") or f'{item["metric"]}{{version="{VERSION}"}}')
    compare = item.get("compareTo")
    if compare not in (None, "stable"):
        raise ToolError(f"{where}: compareTo can only be stable")
    bounds = {key: item[key] for key in (*ABSOLUTE, *RELATIVE) if key in item}
    if not bounds:
        raise ToolError(f"{where} has no bound; known are {', '.join((*ABSOLUTE, *RELATIVE))}")
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in bounds.values()):
        raise ToolError(f"{where}: a bound must be a number")
    if compare and VERSION not in promql:
        raise ToolError(f"{where} is compared to stable, but its query does not contain {VERSION}")
    if not compare and any(key in bounds for key in RELATIVE):
        raise ToolError(f"{where}: {next(key for key in RELATIVE if key in bounds)} needs compareTo: stable")
    return Check(str(item.get("name") or promql), promql, bool(compare), bounds)


def judge(policy: Policy, requests: float | None, candidate: str, stable: str, ask: Ask) -> dict[str, Any]:
    """Judges one step; says what was looked at, and why it came to that."""
    looked_at = [look(check, candidate, stable, ask, policy.absent) for check in policy.checks]
    count = None if requests is None else round(requests)
    seen = {"requests": count, "checks": looked_at}
    if count is None or count < policy.minimum:
        reason = f"{count or 0} requests of the canary were counted, {policy.minimum} are needed"
        return {"verdict": INCONCLUSIVE, "reason": reason, **seen}
    for verdict in (FAIL, INCONCLUSIVE):
        if reasons := [entry["reason"] for entry in looked_at if entry["verdict"] == verdict]:
            return {"verdict": verdict, "reason": "; ".join(reasons), **seen}
    return {"verdict": PASS, "reason": f"{len(looked_at)} checks hold on {count} requests", **seen}


def look(check: Check, candidate: str, stable: str, ask: Ask, absent: str) -> dict[str, Any]:
    value = number(ask(check.query(candidate)))
    other = number(ask(check.query(stable))) if check.compare else None
    entry = {"name": check.name, "value": value, "stable": other}
    for version, found in ((candidate, value), *(((stable, other),) if check.compare else ())):
        if found is None:
            return {**entry, "verdict": absent, "reason": f"{check.name} of version {version} has no value"}
    assert value is not None
    broken = [words for key, bound in check.bounds.items() if (words := violation(key, bound, value, other))]
    return {**entry, "verdict": FAIL if broken else PASS, "reason": f"{check.name} is {value:.4g}, {' and '.join(broken)}" if broken else ""}


def number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def violation(key: str, bound: float, value: float, stable: float | None) -> str:
    """Says in words which bound is broken; nothing where it holds."""
    match key:
        case "max":
            return f"more than {bound:g}" if value > bound else ""
        case "min":
            return f"less than {bound:g}" if value < bound else ""
    assert stable is not None
    match key:
        case "maxIncrease":
            return f"more than {bound:g} above stable's {stable:.4g}" if value - stable > bound else ""
        case "maxDifference":
            return f"more than {bound:g} from stable's {stable:.4g}" if abs(value - stable) > bound else ""
    return f"more than {bound:g} times stable's {stable:.4g}" if value > bound * stable else ""
