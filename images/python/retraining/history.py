"""What became of every version, from the registry and the verdicts: `registry history`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from labtools import lifecycle, serving
from labtools.errors import ToolError
from labtools.mlflow_api import Registry, Version
from labtools.output import Result
from monitoring import store

from retraining import plan, release, trigger_log

# The version that the lab begins with was made champion before there was a gate.
FIRST: Final = "1"
FAR_APART: Final = 365.0
HAS_TABLES: Final = "SELECT to_regclass('lab_clock') IS NOT NULL AND to_regclass('gate_runs') IS NOT NULL AND to_regclass('trigger_log') IS NOT NULL"


def run(registry: Registry) -> Result:
    with store.connected() as connection:
        if not store.rows(connection, HAS_TABLES)[0][0]:
            raise ToolError("this lab has no virtual clock and no gate, so there is no history of them; `registry state` says what serves")
        now = store.now(connection)
        verdicts = {row[0]: row[1] for row in store.rows(connection, "SELECT id, verdict FROM gate_runs")}
        by_day = store.rows(connection, "SELECT DISTINCT ON (gate_end) gate_end, verdict FROM gate_runs ORDER BY gate_end, made_at")
        gate_ends = {row[0]: row[1] for row in by_day}
        started = trigger_log.started(connection)
    versions = sorted(registry.versions(), key=lambda version: int(version.number))
    promotions = [promotion(registry, version, verdicts) for version in versions if version.tags.get(release.PROMOTED_AT)]
    rollbacks = [rollback(version) for version in versions if version.tags.get(lifecycle.RETURNED_TO)]
    triggered = [{"job": item.job, "at": item.at.isoformat(), "verdict": gate_ends.get(plan.last_labelled(item.at))} for item in started]
    state = serving.state(registry)
    data = {
        "clock": now.isoformat(),
        "champion": state.champion,
        "pinned": state.pinned,
        "served": state.served,
        "evidence": evidence(state.champion, promotions, rollbacks),
        "promotions": promotions,
        "rollbacks": rollbacks,
        "closest_days": closest(promotions),
        "triggered": triggered,
    }
    return Result(data, "\n".join(lines(data)))


def promotion(registry: Registry, version: Version, verdicts: Mapping[str, str]) -> dict[str, Any]:
    """Tells of one promotion; the report is read, whatever the tag says."""
    gate_run, uri = version.tags.get(release.GATE_RUN), version.tags.get(release.GATE_REPORT, "")
    report = None
    if uri.startswith(prefix := f"runs:/{version.run_id}/"):
        report = registry.artifact(version.run_id, uri.removeprefix(prefix))
    found = report.get("verdict") if isinstance(report, dict) and str(report.get("candidate")) == version.number else None
    return {
        "version": version.number,
        "at": version.tags[release.PROMOTED_AT],
        "gate_run": gate_run,
        "verdict": verdicts.get(gate_run or ""),
        "report_verdict": found,
    }


def rollback(version: Version) -> dict[str, Any]:
    tags = version.tags
    return {"version": version.number, "to": tags[lifecycle.RETURNED_TO], "at": tags.get(release.ROLLED_BACK_AT), "reason": tags.get(lifecycle.REASON)}


def evidence(champion: str | None, promotions: list[dict[str, Any]], rollbacks: list[dict[str, Any]]) -> str:
    """Says by what the champion is one: a verdict, a recorded rollback to it, or the beginning; else nothing."""
    if any(item["version"] == champion and item["verdict"] == item["report_verdict"] == release.PROMOTE for item in promotions):
        return "gate report"
    if any(item["to"] == champion for item in rollbacks):
        return "rollback"
    return "seed" if champion == FIRST else "none"


def closest(promotions: list[dict[str, Any]]) -> float:
    """Returns the least number of virtual days between two promotions."""
    moments = sorted(datetime.fromisoformat(item["at"]) for item in promotions)
    gaps = [(later - earlier).total_seconds() / 86400 for earlier, later in itertools.pairwise(moments)]
    return min(gaps, default=FAR_APART)


def lines(data: Mapping[str, Any]) -> list[str]:
    found = [f"{data['clock'][:10]}  champion {data['champion'] or '-'} ({data['evidence']}), pinned {data['pinned'] or '-'}, served {data['served'] or '-'}"]
    for item in data["promotions"]:
        found.append(f"{item['at'][:10]}  version {item['version']} promoted, verdict {item['verdict'] or 'NONE'} ({item['gate_run'] or 'no gate run'})")
    found += [f"{(item['at'] or '-')[:10]:10}  version {item['version']} rolled back to {item['to']}: {item['reason']}" for item in data["rollbacks"]]
    found += [f"{item['at'][:10]}  {item['job']} was started by an alert, verdict {item['verdict'] or 'NONE'}" for item in data["triggered"]]
    return found
