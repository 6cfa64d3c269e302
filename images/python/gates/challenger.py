"""The challenger gate: two models, the same flights, labels that neither has seen.

It reads ConfigMap `gate` (rules: `gates.challenger_policy`), gives one of promote, hold and reject, and leaves the verdict in table
gate_runs and as an artifact of the candidate's run. A verdict about the same two models by the same rules is given once: whoever
asks again gets the first one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from labtools import candidates, kubernetes, lifecycle, output
from labtools.errors import ToolError
from labtools.mlflow_api import Registry, Version
from labtools.output import Result

from gates import challenger_policy

if TYPE_CHECKING:
    from gates.challenger_policy import Judgement, Policy
    from gates.evidence import Evidence

CONFIG_MAP: Final = "gate"
KEY: Final = "gate.yaml"
# Where a Job has the ConfigMap mounted, and where it leaves the id of its verdict for the next container.
POLICY_VARIABLE: Final = "GATE_POLICY"
RUN_VARIABLE: Final = "GATE_RUN_FILE"
KIND: Final = "challenger"


# --- the rules


def policy_text() -> str:
    """Reads the rules from where they are mounted, or else from the ConfigMap."""
    if path := os.environ.get(POLICY_VARIABLE):
        try:
            return Path(path).read_text()
        except OSError as error:
            raise ToolError(f"there are no rules at {path}: {error.strerror}") from error
    found = kubernetes.get("configmap", CONFIG_MAP)
    text: str | None = (found or {}).get("data", {}).get(KEY)
    if text is None:
        raise ToolError(f"ConfigMap {CONFIG_MAP} has no key {KEY}" if found else f"there is no ConfigMap {CONFIG_MAP}")
    return text


# --- recorded cases


def evaluate_fixtures(fixtures: str) -> Result:
    """Judges the recorded cases; each has the real scores of two models for real flights."""
    from gates import recorded

    policy = challenger_policy.parse(policy_text())
    cases: list[dict[str, Any]] = []
    lines = []
    for case in recorded.cases(candidates.FIXTURES / fixtures):
        judgement = policy.judge(case.evidence)
        right = judgement.verdict in case.accepted
        cases.append({"name": case.name, "words": case.words, "found": judgement.verdict, "expected": case.expected, "right": right, "rule": case.rule})
        lines.append(f"{'ok ' if right else 'NOT'} {case.name:14} {judgement.verdict:7} expected {case.expected:7}  {case.words}")
    exact = sum(case["right"] for case in cases)
    # To hold and to reject both leave the champion where it is.
    released = [case["name"] for case in cases if (case["found"] == challenger_policy.PROMOTE) != (case["expected"] == challenger_policy.PROMOTE)]
    data = {"cases": cases, "exact": exact, "wrong_release": released, "agree": exact == len(cases)}
    return Result(data, "\n".join(lines))


# --- the lab's own models


def evaluate_candidate(name: str) -> Result:
    """Judges a candidate as it stands now, and says which version was champion before and after.

    A champion that the rules have moved is put back. One that somebody else has moved meanwhile (a promotion, a rollback) is theirs.
    """
    registry = Registry()
    before = registry.aliases().get(lifecycle.CHAMPION)
    text = policy_text()
    policy = challenger_policy.parse(text)
    candidate, champion = pair(registry, name)
    report, judgement = judge(registry, policy, text, candidate, champion)
    acted = act(registry, policy, judgement, candidate)
    after = registry.aliases().get(lifecycle.CHAMPION)
    moved = acted and before != after == candidate.number
    if moved and before is not None:
        registry.set_alias(lifecycle.CHAMPION, before)
    data = {**report, "champion_before": before, "champion_after": after, "moved": moved}
    return Result(data, describe(report))


def job(_: argparse.Namespace) -> Result:
    """What Job gate runs: judges alias challenger and records the verdict."""
    from monitoring import store

    registry = Registry()
    text = policy_text()
    policy = challenger_policy.parse(text)
    candidate, champion = pair(registry, KIND)
    with store.connected() as connection:
        report = stored(connection, registry, candidate, champion, text)
        if report is None:
            output.say(f"judging version {candidate.number} against version {champion.number}")
            report, judgement = judge(registry, policy, text, candidate, champion)
            report["report"] = save(registry, candidate, report)
            insert(connection, report)
            act(registry, policy, judgement, candidate)
        else:
            output.say(f"there is a verdict already: {report['id']}")
    if path := os.environ.get(RUN_VARIABLE):
        Path(path).write_text(report["id"])
    return Result(report, describe(report))


def pair(registry: Registry, name: str) -> tuple[Version, Version]:
    """Returns the candidate that an alias or a number names, and the champion."""
    aliases = registry.aliases()
    champion = aliases.get(lifecycle.CHAMPION)
    number = name if name.isdecimal() else aliases.get(name)
    if champion is None or number is None:
        raise ToolError(f"alias {name if number is None else lifecycle.CHAMPION} is not set: there is nothing to judge")
    return registry.version(number), registry.version(champion)


def identity(candidate: Version, champion: Version, text: str) -> str:
    """Returns the id of a verdict: the two models, the last day of the gate, and the rules."""
    rules = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{candidate.number}-{champion.number}-{candidate.tags.get('gate_end', 'none')}-{rules}"


def judge(registry: Registry, policy: Policy, text: str, candidate: Version, champion: Version) -> tuple[dict[str, Any], Judgement]:
    from monitoring import store

    from gates import live

    with store.connected() as connection:
        now = store.now(connection)
        evidence = live.evidence(registry, connection, candidate, champion)
    judgement = policy.judge(evidence)
    report = {
        "id": identity(candidate, champion, text),
        "at": now.isoformat(),
        "candidate": candidate.number,
        "champion": champion.number,
        "gate_start": candidate.tags.get("gate_start"),
        "gate_end": candidate.tags.get("gate_end"),
        "verdict": judgement.verdict,
        "reasons": judgement.reasons,
        "findings": [{"rule": finding.rule, "holds": finding.holds, "words": finding.words} for finding in judgement.findings],
        **numbers(evidence),
        "auc_lower_bound": evidence.auc_lower_bound,
        "agreement": evidence.agreement,
    }
    return report, judgement


def numbers(evidence: Evidence) -> dict[str, Any]:
    return {
        "rows": evidence.rows,
        "auc": evidence.candidate.auc,
        "auc_champion": evidence.champion.auc,
        "auc_diff": evidence.auc_diff,
        "brier": evidence.candidate.brier,
        "brier_champion": evidence.champion.brier,
        "brier_diff": evidence.brier_diff,
        "slices": {part.name: part.brier_diff for part in evidence.slices},
    }


def describe(report: Mapping[str, Any]) -> str:
    head = f"version {report['candidate']} against champion {report['champion']}, {report['gate_start']} to {report['gate_end']}: {report['verdict']}"
    return "\n".join([head, *(f"  {reason}" for reason in report["reasons"])])


def act(registry: Registry, policy: Policy, judgement: Judgement, candidate: Version) -> bool:
    """Does what the rules say about a candidate that may pass, and returns whether that was anything: a gate that only judges does nothing."""
    if judgement.verdict != challenger_policy.PROMOTE or policy.on_promote != challenger_policy.MOVE:
        return False
    output.say(f"moving {lifecycle.CHAMPION} to version {candidate.number}, as onPromote says")
    registry.set_alias(lifecycle.CHAMPION, candidate.number)
    return True


# --- what was decided


def save(registry: Registry, candidate: Version, report: Mapping[str, Any]) -> str:
    """Leaves the report with the candidate's run; returns where it is."""
    path = f"gate/{report['id']}.json"
    registry.put_artifact(candidate.run_id, path, report)
    return f"runs:/{candidate.run_id}/{path}"


def insert(connection: Any, report: Mapping[str, Any]) -> None:
    from monitoring import store

    columns = ("id", "at", "candidate", "champion", "gate_start", "gate_end", "verdict")
    values = [report[name] for name in columns]
    statement = (
        f"INSERT INTO gate_runs ({', '.join(columns)}, kind, model, trigger, report) VALUES ({', '.join(['%s'] * (len(columns) + 4))})"
        " ON CONFLICT (id) DO NOTHING"
    )
    from lab.contract import MODEL_NAME

    store.run(connection, statement, (*values, KIND, MODEL_NAME, os.environ.get("JOB_NAME"), json.dumps(report)))


def stored(connection: Any, registry: Registry, candidate: Version, champion: Version, text: str) -> dict[str, Any] | None:
    """Returns the verdict that was given already. A candidate that has become champion keeps the one that made it so."""
    from monitoring import store

    query = "SELECT report FROM gate_runs WHERE id = %s"
    parameter = identity(candidate, champion, text)
    if candidate.number == champion.number:
        query, parameter = "SELECT report FROM gate_runs WHERE candidate = %s AND verdict = 'promote' ORDER BY made_at DESC LIMIT 1", candidate.number
    found = store.rows(connection, query, (parameter,))
    report: dict[str, Any] | None = found[0][0] if found else None
    if report is not None:
        # The table may be newer than the artifact store, or have been put back without it.
        report["report"] = save(registry, candidate, report)
    return report


def history(options: argparse.Namespace) -> Result:
    """Lists verdicts about challengers, newest first, of all days or some; with --rescore scores the models of the newest one again."""
    from monitoring import store

    days = window(options.window) if options.window else None
    of_days = " AND gate_start = %s AND gate_end = %s" if days else ""
    with store.connected() as connection:
        found = store.rows(connection, f"SELECT report FROM gate_runs WHERE kind = %s{of_days} ORDER BY made_at DESC", (KIND, *(days or ())))
        reports: list[dict[str, Any]] = [row[0] for row in found]
        data: dict[str, Any] = {"window": list(days) if days else None, "runs": reports, "latest": reports[0] if reports else None}
        if options.rescore and reports:
            from gates import live

            registry = Registry()
            pair_of = (registry.version(str(reports[0][name])) for name in ("candidate", "champion"))
            evidence = live.evidence(registry, connection, *pair_of)
            data["rescored"] = numbers(evidence)
    lines = [describe(report) for report in reports] or [f"no verdict about {days[0]} to {days[1]}" if days else "no verdict yet"]
    return Result(data, "\n".join(lines))


def window(text: str) -> tuple[str, str]:
    """Reads 2013-06-17..2013-06-30; of the last day, what is left out is that of the first."""
    from datetime import date

    start, dots, end = text.partition("..")
    try:
        if not dots:
            raise ValueError("it has no ..")
        return date.fromisoformat(start).isoformat(), date.fromisoformat(start[: len(start) - len(end)] + end).isoformat()
    except ValueError as error:
        raise ToolError(f"--window {text}: {error}; use 2013-06-17..2013-06-30") from error
