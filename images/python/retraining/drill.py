"""Two training Jobs at once: `retrain drill`. What they made (Jobs, versions, runs) is taken away again, and the alias put back.

The Jobs come from CronJob retrain as it is, but only train: whatever follows the training there is left out. They are for days that
no version was made for yet, so a version that they leave is theirs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from labtools import kubernetes, output, promotion_job
from labtools.drill import ignore_signals, interruptible
from labtools.errors import ToolError
from labtools.mlflow_api import Registry
from labtools.output import JSON_VARIABLE, Result
from monitoring import store

from retraining import plan
from retraining.trainer import CHALLENGER

CRON_JOB: Final = "retrain"
NAMES: Final = ("retrain-drill-a", "retrain-drill-b")
OWNER: Final = {"labctl/check": "retrain-drill"}
# Two trainings one after the other, on a machine that has other work.
SECONDS: Final = 200.0
POLL_SECONDS: Final = 1.0
SEARCH_DAYS: Final = 14


@dataclass
class Run:
    """What became of one Job; `trained` is None where it did not say."""

    name: str
    ended: str | None = None
    trained: bool | None = None
    version: str | None = None
    error: str | None = None

    @property
    def fine(self) -> bool:
        """Whether it did its work, or found out that another had."""
        return self.ended == "Complete" or self.trained is False


def run() -> Result:
    registry = Registry()
    with store.connected() as connection:
        now = store.now(connection)
    moment = free_moment(registry, now)
    before = {version.number for version in registry.versions()}
    alias = registry.aliases().get(CHALLENGER)
    with interruptible():
        remove_jobs()
        try:
            runs = drill(moment)
            made = [version for version in registry.versions() if version.number not in before]
        finally:
            ignore_signals()
            restore(registry, before, alias)
    together = sum(item.trained is True for item in runs)
    numbers = sorted((version.number for version in made), key=int)
    data = {
        "now": moment.isoformat(),
        "jobs": [{"name": item.name, "ended": item.ended, "trained": item.trained, "version": item.version, "error": item.error} for item in runs],
        "versions": numbers,
        "trained": together,
        "fine": all(item.fine for item in runs),
    }
    return Result(data, f"{together} of {len(runs)} Jobs trained, versions made: {', '.join(numbers) or 'none'}; all is as it was before")


def free_moment(registry: Registry, now: datetime) -> datetime:
    """Returns the newest day before today for whose gate there is no version."""
    taken = {version.tags.get("gate_end") for version in registry.versions()}
    for back in range(1, SEARCH_DAYS):
        moment = now - timedelta(days=back)
        if plan.last_labelled(moment).isoformat() not in taken:
            return moment
    raise ToolError(f"there is a version for each of the last {SEARCH_DAYS} days")


def manifest(cron_job: Mapping[str, Any], name: str, moment: datetime) -> dict[str, Any]:
    """Returns a Job that only trains, with the settings of the CronJob."""
    template = json.loads(json.dumps(cron_job["spec"]["jobTemplate"]))
    pod = template["spec"]["template"]["spec"]
    trainer = find_trainer([*pod.pop("initContainers", []), *pod["containers"]])
    others = [entry for entry in trainer.get("env", []) if entry["name"] not in ("NOW", JSON_VARIABLE)]
    trainer["env"] = [*others, {"name": "NOW", "value": moment.isoformat()}, {"name": JSON_VARIABLE, "value": "1"}]
    pod["containers"] = [trainer]
    labels = {**template.get("metadata", {}).get("labels", {}), **OWNER}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": labels}, "spec": template["spec"]}


def find_trainer(containers: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the container that runs `retrain run`; a CronJob with one container has only that to offer."""
    for container in containers:
        words = " ".join([*container.get("command", []), *container.get("args", [])])
        if "retrain run" in words:
            return container
    if len(containers) == 1:
        return containers[0]
    raise ToolError(f"no container of CronJob {CRON_JOB} runs `retrain run`: {', '.join(container['name'] for container in containers)}")


def drill(moment: datetime) -> list[Run]:
    cron_job = kubernetes.get("cronjob", CRON_JOB)
    if cron_job is None:
        raise ToolError(f"there is no CronJob {CRON_JOB}")
    kubernetes.create(manifest(cron_job, name, moment) for name in NAMES)
    output.say(f"two Jobs train for {moment:%Y-%m-%d}")
    runs = [Run(name) for name in NAMES]
    deadline = time.monotonic() + SECONDS
    while any(item.ended is None for item in runs) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        jobs = {job["metadata"]["name"]: job for job in kubernetes.listed("jobs", OWNER)}
        for item in runs:
            if item.name in jobs:
                item.ended = promotion_job.condition(jobs[item.name])
    for item in runs:
        said = promotion_job.verdict(item.name)
        if "duplicate" in said:
            item.trained, item.version = not said["duplicate"], said["version"]
        item.error = said.get("error") or (None if item.ended else f"no end after {SECONDS:g} s")
    return runs


def remove_jobs() -> None:
    labels = ",".join(f"{key}={value}" for key, value in OWNER.items())
    kubernetes.kubectl("delete", "jobs", f"--selector={labels}", "--cascade=foreground", "--wait=true", "--timeout=60s", seconds=75)


def restore(registry: Registry, before: set[str], alias: str | None) -> None:
    """Takes away what the Jobs made. A Job that still trains is ended first, so that it makes nothing afterwards."""
    remove_jobs()
    if alias is None:
        if CHALLENGER in registry.aliases():
            registry.delete_alias(CHALLENGER)
    elif registry.aliases().get(CHALLENGER) != alias:
        registry.set_alias(CHALLENGER, alias)
    for version in registry.versions():
        if version.number not in before:
            registry.delete_version(version.number)
            registry.delete_run(version.run_id)
