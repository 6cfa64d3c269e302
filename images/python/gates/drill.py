"""`gate drill`: gives a bad version half of the traffic, runs the learner's CronJob rollback, and looks whether that ended it.

What was before (the routes, and what predictor-canary was) is written down in ConfigMap gate-drill first. So a drill that was killed is put
right by the next one, and one that was interrupted puts itself right. What the rollback wrote into release-log stays: it was a rollback.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from labtools import deployment, kubernetes, output, predictor, rows, traffic
from labtools.drill import ignore_signals, interruptible
from labtools.errors import ToolError
from labtools.output import Result
from labtools.traffic import Load, Tally

from gates import canaries, canary, routes
from gates.canaries import MANAGER

CONFIG_MAP: Final = "gate-drill"
CRON_JOB: Final = "rollback"
JOB: Final = "rollback-drill"
VARIABLE: Final = "REASON"
PERCENT: Final = 50
# The bad version must be seen before it is rolled back, and not be seen for a while afterwards.
SEEN_SECONDS: Final = 15.0
QUIET_SECONDS: Final = 4.0
# A rollback that takes longer is none that anybody waits for.
PATIENCE_SECONDS: Final = 40.0
POLL_SECONDS: Final = 0.3
DELETE_SECONDS: Final = 30


@dataclass(frozen=True)
class Before:
    """What a drill has to restore."""

    routes: str
    replicas: int
    version: str | None


def run(options: argparse.Namespace) -> Result:
    candidate: str = options.candidate
    stable = canary.stable_version()
    if candidate == stable:
        raise ToolError(f"version {candidate} is stable: a drill needs another one")
    cron_job = kubernetes.get("cronjob", CRON_JOB)
    if cron_job is None:
        raise ToolError(f"there is no CronJob {CRON_JOB}")
    with interruptible():
        if left := kubernetes.get("configmap", CONFIG_MAP):
            output.say("restoring what an earlier drill left")
            restore(Before(**json.loads(left["data"]["before"])))
        before = look()
        keep(before)
        try:
            data = drill(candidate, stable, cron_job, options.rps)
        finally:
            ignore_signals()
            restore(before)
    return Result(data, describe(data))


def look() -> Before:
    text = routes.read()
    # The drill needs both servers, and says so before it changes anything.
    routes.with_canary(text, PERCENT)
    return Before(text, canaries.replicas(), deployment.pin_of(deployment.find(canary.CANARY)).version)


def keep(before: Before) -> None:
    kubernetes.create([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG_MAP}, "data": {"before": json.dumps(asdict(before))}}])


def restore(before: Before) -> None:
    """Puts routes and canary back; can be repeated."""
    routes.put_back(before.routes, MANAGER)
    canaries.scale(before.replicas)
    if before.version:
        canaries.pin(before.version, canary.CANARY)
    kubernetes.kubectl("delete", "job", JOB, "--ignore-not-found", "--wait=false")
    kubernetes.kubectl("delete", "configmap", CONFIG_MAP, "--ignore-not-found")


def drill(candidate: str, stable: str, cron_job: kubernetes.Object, rps: float) -> dict[str, Any]:
    output.say(f"version {candidate} goes into {canary.CANARY}")
    canaries.start(candidate)
    tally, ended = Tally(), threading.Event()
    mix = rows.Mix("march")
    load = Load(predictor.default_url(), rps, None, None, mix.row, lambda _: {})
    sender = threading.Thread(target=traffic.send, args=(load, ended, tally))
    sender.start()
    try:
        routes.set_canary(PERCENT, MANAGER)
        wait_until(lambda: candidate in tally.last, SEEN_SECONDS, f"version {candidate} never answered at {PERCENT} %")
        output.say(f"version {candidate} gets {PERCENT} % of the traffic; Job {JOB} rolls it back")
        begin = time.monotonic()
        start_job(cron_job, f"drill: version {candidate} answers slowly")
        outcome = follow(tally, candidate, begin)
    finally:
        ended.set()
        sender.join()
    seconds = max(tally.last.get(candidate, begin) - begin, 0.0)
    data = {"candidate": candidate, "stable": stable, "job": outcome, "seconds_to_old_version": round(seconds, 1)}
    # A gateway that did not hear of a change is another trouble than a change that nobody made.
    after = {"weight_written": routes.weights(routes.read()).get("canary"), "weight_after": routes.in_force().get("canary")}
    return {**data, **after, **tally.summary()}


def start_job(cron_job: kubernetes.Object, reason: str) -> None:
    """Makes a Job from the CronJob's template, with the reason."""
    kubernetes.kubectl(
        "delete", "job", JOB, "--ignore-not-found", "--cascade=foreground", f"--timeout={DELETE_SECONDS}s", seconds=DELETE_SECONDS + kubernetes.CALL_SECONDS
    )
    template = json.loads(json.dumps(cron_job["spec"]["jobTemplate"]))
    for container in template["spec"]["template"]["spec"]["containers"]:
        others = [entry for entry in container.get("env", []) if entry["name"] != VARIABLE]
        container["env"] = [{"name": VARIABLE, "value": reason}, *others]
    metadata = {"name": JOB, "labels": template.get("metadata", {}).get("labels", {})}
    kubernetes.create([{"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}])


def follow(tally: Tally, candidate: str, begin: float) -> str:
    """Waits until the Job has ended and the version has been silent for a while; returns how the Job ended."""
    outcome = "running"
    while time.monotonic() - begin < PATIENCE_SECONDS:
        if outcome == "running":
            outcome = state_of(kubernetes.get("job", JOB))
        # A rollback that failed is not waited for.
        if outcome == "failed" or (outcome == "complete" and time.monotonic() - tally.last.get(candidate, 0.0) > QUIET_SECONDS):
            break
        time.sleep(POLL_SECONDS)
    return outcome


def state_of(job: kubernetes.Object | None) -> str:
    for item in (job or {}).get("status", {}).get("conditions", []):
        if item["type"] in ("Complete", "Failed") and item["status"] == "True":
            return str(item["type"]).lower()
    return "running"


def wait_until(holds: Any, seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ToolError(otherwise)
        time.sleep(POLL_SECONDS)


def describe(data: dict[str, Any]) -> str:
    versions = ", ".join(f"version {number}: {count}" for number, count in data["versions"].items())
    weight = f"the canary's weight is {data['weight_after']}, and written is {data['weight_written']}"
    lines = [f"{data['n']} requests, {data['failed']} failed; {versions}", f"Job {JOB}: {data['job']}; {weight}"]
    lines.append(f"version {data['candidate']} answered for the last time {data['seconds_to_old_version']} s after the rollback began")
    if data["first_error"]:
        lines.append(f"first error {data['first_error']}")
    return "\n".join([*lines, "all is as it was before, and what the rollback wrote into release-log stays"])
