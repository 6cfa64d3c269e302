"""The canary gate: judges recorded cases, judges a version as it stands now, and shows what was judged.

The rules are the learner's: ConfigMap canary-gate, key gate.yaml (`gates.policy`). Their queries see recorded cases through the
learner's own recording rules, evaluated by Prometheus' promtool, so a gate and the rules under it are tested together.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import yaml
from labtools import cases, deployment, kubernetes, prometheus, promtool, reload
from labtools.errors import ToolError
from labtools.output import Result
from labtools.promtool import Query

from gates import policy, reports
from gates.policy import Policy

CONFIG_MAP: Final = "canary-gate"
KEY: Final = "gate.yaml"
STABLE: Final = "predictor-stable"
CANARY: Final = "predictor-canary"
# What the gateway sent to the canary, by weight and by header; `{}` is a number of seconds.
REQUESTS: Final = 'sum(increase(haproxy_server_http_responses_total{{server="canary"}}[{}s]))'
# How far `gate evaluate --candidate` looks back.
LOOK_BACK: Final = 60


def policy_of_lab() -> Policy:
    found = kubernetes.get("configmap", CONFIG_MAP)
    if found is None:
        raise ToolError(f"there is no ConfigMap {CONFIG_MAP}")
    text = found.get("data", {}).get(KEY)
    if text is None:
        raise ToolError(f"ConfigMap {CONFIG_MAP} has no key {KEY}")
    return meant(policy.read(text))


def meant(rulebook: Policy) -> Policy:
    """Gives a policy the digest of what it means: a verdict stays that of this gate when somebody comments on it."""
    said = json.dumps(asdict(replace(rulebook, digest="")), sort_keys=True)
    return replace(rulebook, digest=hashlib.sha256(said.encode()).hexdigest()[:12])


def one_value(values: Sequence[float], query: str) -> float | None:
    if len(values) > 1:
        raise ToolError(f"{query} gives {len(values)} series; a check needs one")
    return values[0] if values else None


def evaluate_fixtures(name: str) -> Result:
    """Judges every recorded case of a set."""
    rules = reload.rule_files(reload.rule_maps())
    rulebook = policy_of_lab()
    paths = sorted((cases.FIXTURES / name).glob("*.yaml"))
    if not paths:
        raise ToolError(f"there are no recorded cases {name!r}")
    with ThreadPoolExecutor(max_workers=2) as pool:
        judged = list(pool.map(lambda path: case(path, rulebook, rules), paths))
    lines = []
    for found in judged:
        agree = found["found"] == found["expected"]
        lines.append(f"{'ok ' if agree else 'NOT'} {found['name']:24} {found['found']:13} expected {found['expected']:13} {found['words']}")
        if not agree:
            lines.append(f"      {found['reason']}")
    return Result({"cases": judged, "agree": all(found["found"] == found["expected"] for found in judged)}, "\n".join(lines))


def case(path: Path, rulebook: Policy, rules: Mapping[str, str]) -> dict[str, Any]:
    """Judges one recorded case: the series of a step, and the versions that served in it."""
    root = yaml.safe_load(path.read_text())
    candidate, stable = str(root["candidate"]), str(root["stable"])
    wanted = [check.query(version) for check in rulebook.checks for version in ((candidate, stable) if check.compare else (candidate,))]
    count = REQUESTS.format(root["seconds"])
    queries = [*dict.fromkeys([*wanted, count])]
    series = [promtool.from_yaml(item) for item in root["series"]]
    answers = promtool.evaluate(rules, series, [Query(str(root["at"]), query) for query in queries])
    found = {query: one_value([sample.value for sample in samples], query) for query, samples in zip(queries, answers, strict=True)}
    verdict = policy.judge(rulebook, found[count], candidate, stable, found.__getitem__)
    words = {"name": str(root.get("name", path.stem)), "words": str(root["words"])}
    return {**words, "found": verdict["verdict"], "expected": str(root["expected"]), "reason": verdict["reason"], "metrics": metrics(verdict)}


def metrics(verdict: Mapping[str, Any]) -> str:
    """Names what was looked at, for a message."""
    return ", ".join(f"{entry['name']} {text(entry['value'])}{beside(entry)}" for entry in verdict["checks"])


def beside(entry: Mapping[str, Any]) -> str:
    return "" if entry["stable"] is None else f" (stable {text(entry['stable'])})"


def text(value: float | None) -> str:
    return "none" if value is None or math.isnan(value) else f"{value:.3g}"


def ask(query: str) -> float | None:
    """Asks the Prometheus of the lab."""
    return one_value([sample.value for sample in prometheus.query(query)], query)


def stable_version() -> str:
    version = deployment.pin_of(deployment.find(STABLE)).version
    if version is None:
        raise ToolError(f"Deployment {STABLE} is not pinned to a version number")
    return version


def evaluate_candidate(candidate: str) -> Result:
    """Judges the last minute; changes nothing."""
    verdict = policy.judge(policy_of_lab(), ask(REQUESTS.format(LOOK_BACK)), candidate, stable_version(), ask)
    return Result({"candidate": candidate, **verdict}, "\n".join(described(verdict)))


def described(verdict: Mapping[str, Any]) -> list[str]:
    lines = [f"{verdict['verdict']}: {verdict['reason']}"]
    for entry in verdict["checks"]:
        compared = "" if entry["stable"] is None else f"  stable {text(entry['stable'])}"
        lines.append(f"  {entry['verdict']:13} {entry['name']}: {text(entry['value'])}{compared}")
    return lines


def history(_: argparse.Namespace) -> Result:
    """Lists the finished runs, oldest first, and tells which gate is the lab's now: a verdict of another one says nothing about it."""
    runs, gate = reports.read(), digest_of_lab()
    lines = []
    for run in runs:
        other = "" if run["gate"] == gate else "another gate: "
        lines.append(f"{run['started']}  version {run['candidate']:3} {run['verdict']:13} final weight {run['final_weight']}  {other}{run['reason']}")
    return Result({"runs": runs, "gate": gate}, "\n".join(lines) or "no gate run yet")


def digest_of_lab() -> str | None:
    """Returns the digest of the gate as it is now, None while it makes no sense: what was kept can be read all the same."""
    try:
        return policy_of_lab().digest
    except ToolError:
        return None
