"""Two training Jobs at once: `retrain drill`. What they made (Jobs, versions, runs) is taken away again, and the alias put back.

The Jobs come from CronJob retrain as it is, but only train: whatever follows the training there is left out, and champion stays where it
is. Should a script that can't be looked into promote all the same, champion is put back. They are for days that no version was made for
yet, so a version of these days is theirs, and any other that appears meanwhile is not.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from labtools import kubernetes, lifecycle, output, promotion_job, serving
from labtools.drill import ignore_signals, interruptible
from labtools.errors import ToolError
from labtools.mlflow_api import Registry, Version
from labtools.output import JSON_VARIABLE, Result
from monitoring import store

from retraining import plan
from retraining.trainer import CHALLENGER

CRON_JOB: Final = "retrain"
MOVES_CHAMPION: Final = "--move-champion"
LOCK: Final = "--lock"
TRAINS: Final = re.compile(r"\bretrain +run\b((?: +--[a-z-]+)*)")
# What may stand before a command without being one: a shell with its options, and exec.
SHELL: Final = re.compile(r"(?:\S*/)?(?:sh|bash|exec)|-[a-z]+")
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
    aliases = registry.aliases()
    with interruptible():
        remove_jobs()
        try:
            runs = drill(moment)
            made = made_for(moment, registry.versions(), before)
        finally:
            ignore_signals()
            restore(registry, moment, before, aliases)
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
    only_train(trainer)
    trainer["env"] = [*others, {"name": "NOW", "value": moment.isoformat()}, {"name": JSON_VARIABLE, "value": "1"}]
    pod["containers"] = [trainer]
    labels = {**template.get("metadata", {}).get("labels", {}), **OWNER}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": labels}, "spec": template["spec"]}


def said(container: Mapping[str, Any]) -> str:
    """Returns what a container runs, in one text."""
    return " ".join([*container.get("command", []), *container.get("args", [])])


def only_train(trainer: dict[str, Any]) -> None:
    """Leaves of a container's command what trains. One that does more than that, such as a script of all steps, runs `retrain run` alone."""
    text = said(trainer)
    found = TRAINS.search(text)
    if found and not all(SHELL.fullmatch(word) for word in (text[: found.start()] + text[found.end() :]).split()):
        trainer.pop("args", None)
        trainer["command"] = ["retrain", "run", *([LOCK] if LOCK in found[1].split() else [])]
    for words in ("command", "args"):
        if words in trainer:
            trainer[words] = [word.replace(MOVES_CHAMPION, "").rstrip() for word in trainer[words] if word != MOVES_CHAMPION]


def find_trainer(containers: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the container that runs `retrain run`; a CronJob with one container has only that to offer."""
    for container in containers:
        if TRAINS.search(said(container)):
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
        answer = promotion_job.verdict(item.name)
        if "duplicate" in answer:
            item.trained, item.version = not answer["duplicate"], answer["version"]
        item.error = answer.get("error") or (None if item.ended else f"no end after {SECONDS:g} s")
    return runs


def remove_jobs() -> None:
    labels = ",".join(f"{key}={value}" for key, value in OWNER.items())
    kubernetes.kubectl("delete", "jobs", f"--selector={labels}", "--cascade=foreground", "--wait=true", "--timeout=60s", seconds=75)


def made_for(moment: datetime, versions: Sequence[Version], before: set[str]) -> list[Version]:
    """Returns the versions that the drill's Jobs made."""
    gate_end = plan.last_labelled(moment).isoformat()
    return [version for version in versions if version.number not in before and version.tags.get("gate_end") == gate_end]


def restore(registry: Registry, moment: datetime, before: set[str], aliases: Mapping[str, str]) -> None:
    """Takes away what the Jobs made. A Job that still trains is ended first, so that it makes nothing afterwards.

    What serves is never taken away, whoever made it so.
    """
    remove_jobs()
    versions = registry.versions()
    made = made_for(moment, versions, before)
    numbers = {version.number for version in made}
    if registry.aliases().get(CHALLENGER) in numbers:
        # Somebody else may have trained meanwhile: then the alias is theirs.
        others = [version.number for version in versions if version.number not in before | numbers]
        back = max(others, key=int, default=aliases.get(CHALLENGER))
        if back is None:
            registry.delete_alias(CHALLENGER)
        else:
            registry.set_alias(CHALLENGER, back)
    give_back(registry, numbers, aliases)
    found = registry.aliases()
    for version in made:
        if version.number not in (found.get(lifecycle.CHAMPION), found.get(lifecycle.ROLLBACK)):
            registry.delete_version(version.number)
            registry.delete_run(version.run_id)


def give_back(registry: Registry, numbers: set[str], aliases: Mapping[str, str]) -> None:
    """Makes champion and serves again what was champion before one of the drill's versions was promoted."""
    champion, rollback = aliases.get(lifecycle.CHAMPION), aliases.get(lifecycle.ROLLBACK)
    found = registry.aliases()
    if champion is None or found.get(lifecycle.CHAMPION) not in numbers:
        return
    output.say(f"a Job of the drill promoted version {found[lifecycle.CHAMPION]}; champion is version {champion} again")
    registry.set_alias(lifecycle.CHAMPION, champion)
    if rollback is not None:
        registry.set_alias(lifecycle.ROLLBACK, rollback)
    elif lifecycle.ROLLBACK in found:
        registry.delete_alias(lifecycle.ROLLBACK)
    serving.write_pin(champion)
