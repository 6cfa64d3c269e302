"""What happens at the end of a window while traffic is replayed: the jobs that judge windows run, and the replay waits for them.

These are a Job from each CronJob labelled `mlops/on-window=true` that is not suspended, and whatever Jobs an alert has started
meanwhile (labelled `mlops/started-by=trigger`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from labtools import kubernetes, output
from labtools.errors import ToolError
from labtools.kubernetes import Object

ON_WINDOW: Final = "mlops/on-window"
STARTED_BY: Final = "mlops/started-by"
TRIGGER: Final = "trigger"
JOB_SECONDS: Final = 600.0
POLL_SECONDS: Final = 1.0
# What an alert needs to become a Job: Alertmanager's waits, and the trigger's own work.
QUIET_SECONDS: Final = 5.0
KEEP_SECONDS: Final = 900


@dataclass
class Halts:
    """Starts the jobs of a window and waits for them; remembers which failed."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    count: int = 0
    failed: list[str] = field(default_factory=list)
    past: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """Remembers the Jobs that an alert had started and that have ended: how they did is no news of this replay."""
        self.past = {job["metadata"]["uid"] for job in started() if ended(job)}

    def at(self, moment: datetime) -> None:
        """Judges what has ended at the moment."""
        jobs = [job_of(cron, moment) for cron in kubernetes.listed("cronjobs", {ON_WINDOW: "true"}) if not cron["spec"].get("suspend")]
        if not jobs:
            return
        self.count += 1
        names = [job["metadata"]["name"] for job in kubernetes.create(jobs)]
        output.say(f"{moment:%Y-%m-%d}: waiting for {', '.join(names)}")
        self.wait(lambda: [job for job in kubernetes.listed("jobs", {ON_WINDOW: "true"}) if job["metadata"]["name"] in names])
        if kubernetes.get("deployment", TRIGGER):
            self.wait(lambda: [job for job in started() if job["metadata"]["uid"] not in self.past], QUIET_SECONDS)

    def wait(self, look: Callable[[], list[Object]], quiet: float = 0.0) -> None:
        """Waits until no job is under way, for `quiet` seconds on end."""
        begin = still = self.clock()
        while self.clock() < begin + JOB_SECONDS:
            jobs = look()
            if running := [job["metadata"]["name"] for job in jobs if not ended(job)]:
                still = self.clock()
            elif self.clock() >= still + quiet:
                self.failed += [name for job in jobs if ended(job) == "Failed" and (name := job["metadata"]["name"]) not in self.failed]
                return
            self.sleep(POLL_SECONDS)
        raise ToolError(f"no end of {', '.join(running)} after {JOB_SECONDS:g} s; `kubectl logs job/{running[0]}` may say why")


def started() -> list[Object]:
    return kubernetes.listed("jobs", {STARTED_BY: TRIGGER})


def ended(job: Object) -> str:
    """Returns Complete or Failed, or nothing while the Job runs."""
    conditions = job.get("status", {}).get("conditions") or []
    return next((str(one["type"]) for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"), "")


def job_of(cron: Object, moment: datetime) -> dict[str, Any]:
    """Makes a Job from a CronJob, as `kubectl create job --from` does."""
    template = cron["spec"]["jobTemplate"]
    meta = template.get("metadata") or {}
    name = cron["metadata"]["name"]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": name, "uid": cron["metadata"]["uid"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": f"{name}-{moment:%m%d}-",
            "labels": {**(meta.get("labels") or {}), ON_WINDOW: "true"},
            "annotations": {**(meta.get("annotations") or {}), "cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [owner],
        },
        "spec": {"ttlSecondsAfterFinished": KEEP_SECONDS, **template["spec"]},
    }
