"""Promotion by verdict, with its brakes: `retrain promote --gate-run ID`.

A promotion takes the id of a verdict and nothing else, so nobody can promote what was not judged. It leaves on the version which
verdict, where its report is, and when (in virtual time): tags gate_run, gate_report and promoted_at. Three brakes hold it back
without an error: another promotion a few days ago, a freeze after a rollback, and a version that was withdrawn before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from labtools import deployment, kubernetes, lifecycle, output, predictor, serving
from labtools.errors import ToolError
from labtools.mlflow_api import Registry, Version
from labtools.output import Result
from monitoring import store

GATE_RUN: Final = "gate_run"
GATE_REPORT: Final = "gate_report"
PROMOTED_AT: Final = "promoted_at"
ROLLED_BACK_AT: Final = "rolled_back_at"
NOT_PROMOTED: Final = "not_promoted"
FREEZE: Final = "freeze"
COOLDOWN_DAYS: Final = 7
MANAGER: Final = "retrain"
PROMOTE: Final = "promote"


def promote(gate_run: str, cooldown_days: int) -> Result:
    registry = Registry()
    with store.connected() as connection:
        found = store.rows(connection, "SELECT candidate, verdict, report FROM gate_runs WHERE id = %s", (gate_run,))
        now = store.now(connection)
    if not found:
        raise ToolError(f"there is no verdict {gate_run}: only what a gate has judged can be promoted")
    number, verdict, report = found[0]
    version = registry.version(number)
    champion = registry.aliases().get(lifecycle.CHAMPION)
    data: dict[str, Any] = {"gate_run": gate_run, "version": number, "verdict": verdict, "champion": champion, "promoted": False}
    if verdict != PROMOTE:
        return Result({**data, "reason": f"the verdict is {verdict}"}, f"version {number} is not promoted: the verdict is {verdict}")
    if champion != number:
        if reason := brake(registry, version, now, cooldown_days):
            lifecycle.set_tag(registry, version, NOT_PROMOTED, reason)
            return Result({**data, "reason": reason}, f"version {number} is not promoted: {reason}")
        release(registry, version, gate_run, report, now)
    serving.write_pin(number, manager=MANAGER)
    output.say(f"champion is version {number}; waiting until it serves")
    wait_served(number)
    return Result({**data, "champion": number, "promoted": champion != number}, f"version {number} is champion and serves")


def release(registry: Registry, version: Version, gate_run: str, report: Mapping[str, Any], now: datetime) -> None:
    try:
        serving.write_pin("0", manager=MANAGER, dry_run=True)
    except ToolError as error:
        raise ToolError(f"nothing was changed, since Deployment {deployment.NAME} can't be patched: {error}") from error
    # Before the alias: a champion without evidence must not be seen even for a moment.
    for key, value in {GATE_RUN: gate_run, GATE_REPORT: str(report.get("report", "")), PROMOTED_AT: now.isoformat()}.items():
        lifecycle.set_tag(registry, version, key, value)
    lifecycle.promote(registry, registry.run(version.run_id))
    if NOT_PROMOTED in version.tags:
        registry.delete_tag(version.number, NOT_PROMOTED)


def wait_served(number: str) -> None:
    """Waits until the version alone answers: what is scored by the one before would count against it."""
    deployment.wait_replaced()
    predictor.wait_for(number, serving.ANSWER_SECONDS)


def brake(registry: Registry, version: Version, now: datetime, cooldown_days: int) -> str | None:
    """Returns what holds a promotion back, nothing if it may go on."""
    if reason := version.tags.get(lifecycle.REASON):
        return f"it was withdrawn: {reason}"
    if (until := frozen_until()) and until > now:
        return f"promotions are frozen until {until:%Y-%m-%d}"
    for other in registry.versions():
        at = moment(other.tags.get(PROMOTED_AT))
        if other.number != version.number and at and now - at < timedelta(days=cooldown_days):
            return f"version {other.number} was promoted on {at:%Y-%m-%d}, less than {cooldown_days} days ago"
    return None


def frozen_until() -> datetime | None:
    """Returns until when promotions are frozen, by ConfigMap freeze."""
    found = kubernetes.get("configmap", FREEZE)
    return moment((found or {}).get("data", {}).get("until"))


def freeze(now: datetime, days: int, reason: str) -> datetime:
    """Freezes promotions for some days of virtual time."""
    until = now + timedelta(days=days)
    data = {"at": now.isoformat(), "until": until.isoformat(), "reason": reason}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": FREEZE}, "data": data}
    kubernetes.apply(manifest, MANAGER)
    return until


def moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
