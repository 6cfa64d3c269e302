"""`gate run --candidate N`: takes a version through the steps of the gate, and promotes or withdraws it.

The version goes into predictor-canary and gets the weight of each step in turn. The gate brings its own traffic, since a lab has no
users: every flight is sent twice, once as everybody's and once with the canary's header. So both versions see the same flights, and a
step at 10 % does not take an hour. After each step Prometheus is asked. The first step that does not pass ends the run at weight 0; after
the last, stable is pinned to the version, and then the canary goes.

A run that is interrupted leaves weight 0, no canary, and stable as it was. The report of every finished run is kept, and a version that this
very gate has judged already is not judged again. What another gate has said counts for nothing, so a version that serves by its
verdict has to make room before it can be judged.
"""

from __future__ import annotations

import argparse
import threading
import time
from datetime import UTC, datetime
from typing import Any, Final

from labtools import calibrate, output, predictor, prometheus, rows, traffic
from labtools.drill import ignore_signals, interruptible
from labtools.errors import ToolError
from labtools.output import Result
from labtools.traffic import Load

from gates import canaries, canary, policy, reports, routes
from gates.policy import Policy

MOST_SECONDS: Final = 180.0
LEAST_SECONDS: Final = 5.0
SETTLE_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.5
# What served before any gate was run.
FIRST: Final = "3"
FRESH: Final = "min(timestamp(haproxy_server_weight)) or vector(0)"


def run(options: argparse.Namespace) -> Result:
    candidate: str = options.candidate
    rulebook = canary.policy_of_lab()
    stable = canary.stable_version()
    if not options.again and (before := standing(candidate, stable, rulebook)):
        # However the canary came back since: a version that was judged has no business there.
        routes.set_canary(0, canaries.MANAGER)
        canaries.stop()
        return describe(before, "this gate has judged it already; --again judges anew")
    if candidate == stable:
        raise ToolError(f"version {candidate} is stable already{way_back(candidate, rulebook)}")
    # A machine that is busy with the load says nothing about the version.
    rps = options.rps / calibrate.factor()
    with interruptible():
        report = walk(candidate, stable, rulebook, rps)
    return describe(report, f"kept as {reports.write(report)}")


def standing(candidate: str, stable: str, rulebook: Policy) -> dict[str, Any] | None:
    """Returns what this very gate came to before, if it still stands: a pass of what serves, a fail of what does not."""
    kept = [found for found in reversed(reports.read()) if found["candidate"] == candidate and found["gate"] == rulebook.digest]
    if candidate == stable:
        return next((found for found in kept if found["verdict"] == policy.PASS), None)
    return kept[0] if kept and kept[0]["verdict"] == policy.FAIL else None


def way_back(candidate: str, rulebook: Policy) -> str:
    """Says how a version that serves can be judged: only one that does not serve can be walked through the steps."""
    if candidate == FIRST:
        return ""
    passed = [found["gate"] for found in reports.read() if found["candidate"] == candidate and found["verdict"] == policy.PASS]
    whose = "" if not passed or rulebook.digest in passed else " by the verdict of another gate"
    return f"{whose}; to judge it, pin {canary.STABLE} back to {FIRST} first"


def walk(candidate: str, stable: str, rulebook: Policy, rps: float) -> dict[str, Any]:
    begin = datetime.now(UTC)
    steps: list[dict[str, Any]] = []
    verdict, reason, promoted = policy.INCONCLUSIVE, "interrupted", False
    try:
        routes.set_canary(0, canaries.MANAGER)
        output.say(f"version {candidate} goes into {canary.CANARY}")
        canaries.start(candidate)
        for weight in rulebook.steps:
            output.say(f"canary at {weight} %")
            found = step(weight, candidate, stable, rulebook, rps)
            steps.append(found)
            verdict, reason = found["verdict"], found["reason"]
            output.say(f"{verdict}: {reason}")
            if verdict != policy.PASS:
                break
        else:
            output.say(f"{canary.STABLE} is pinned to version {candidate}")
            canaries.promote(candidate)
            promoted = True
    finally:
        ignore_signals()
        if not promoted:
            canaries.pin(stable, canary.STABLE)
        routes.set_canary(0, canaries.MANAGER)
        canaries.stop()
    ends = {"started": f"{begin:%Y-%m-%dT%H:%M:%SZ}", "ended": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    final = routes.in_force().get("canary", 0)
    return {
        "candidate": candidate,
        "stable": stable,
        "verdict": verdict,
        "reason": reason,
        "promoted": promoted,
        "final_weight": final,
        "gate": rulebook.digest,
        **ends,
        "steps": steps,
    }


def step(weight: int, candidate: str, stable: str, rulebook: Policy, rps: float) -> dict[str, Any]:
    """Runs one step: the weight, as much traffic as the gate asks for, and its judgement."""
    routes.set_canary(weight, canaries.MANAGER)
    before, begin = routes.answers("canary"), time.monotonic()
    sent, failed, first_error, count = 0, 0, None, 0
    while count < rulebook.minimum and time.monotonic() - begin < MOST_SECONDS:
        # Per second, so many answers of the canary: those with the header, and its share of the others.
        seconds = max((rulebook.minimum - count) / (rps * (1 + weight / 100)) + 1, LEAST_SECONDS)
        found = drive(rps, min(seconds, MOST_SECONDS)).summary()
        sent, failed, first_error = sent + found["n"], failed + found["failed"], first_error or found["first_error"]
        count = routes.answers("canary") - before
        if not count:
            break
    settle()
    verdict = policy.judge(rulebook, count, candidate, stable, canary.ask)
    return {"weight": weight, **verdict, "sent": sent, "failed": failed, "first_error": first_error}


def drive(rps: float, seconds: float) -> traffic.Tally:
    """Sends every flight twice."""
    mix = rows.Mix("march")
    load = Load(predictor.default_url(), 2 * rps, seconds, None, lambda number: mix.row(number // 2), lambda number: canaries.FORCED if number % 2 else {})
    return traffic.send(load, threading.Event())


def settle() -> None:
    """Waits until Prometheus has scraped what was sent, and the rules have seen it."""
    now = time.time()
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        scraped = canary.ask(FRESH) or 0.0
        groups = prometheus.ask("rules")["groups"]
        evaluated = min((datetime.fromisoformat(group["lastEvaluation"]).timestamp() for group in groups), default=scraped + 1)
        if scraped > now and evaluated > scraped:
            return
        time.sleep(POLL_SECONDS)


def describe(report: dict[str, Any], note: str) -> Result:
    lines = [f"version {report['candidate']}: {report['verdict']}, {report['reason']}"]
    for found in report["steps"]:
        lines += [f"at {found['weight']} %, {found['requests']} requests of the canary:", *(f"  {line}" for line in canary.described(found))]
    end = f"{canary.STABLE} is version {report['candidate']} now" if report["promoted"] else f"{canary.STABLE} stays version {report['stable']}"
    return Result(report, "\n".join([*lines, f"{end}; the canary has weight {report['final_weight']}", note]))
