"""The rollback drill: promotes a candidate, rolls it back, measures how long that takes, and restores what was before.

What was before (aliases, tags, the Deployment's variable and label) is written down in the registry first, as tag `drill` of the
registered model. So a drill that was killed is put right by the next one, and one that was interrupted puts itself right.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from types import FrameType
from typing import Any, Final

from labtools import candidates, deployment, lifecycle, output, predictor, serving
from labtools.errors import ToolError
from labtools.mlflow_api import Registry, Run, Version
from labtools.output import Result

TAG: Final = "drill"
REASON: Final = "rollback drill: nothing is wrong with this version"
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Before:
    """What a drill has to restore. `tags` are those of the candidate's version, None if there was no version."""

    run_id: str
    tags: Mapping[str, str] | None
    aliases: Mapping[str, str]
    pin: deployment.Pin


def run(registry: Registry, candidate: str) -> Result:
    with interruptible():
        if left := registry.model_tags().get(TAG):
            output.say("restoring what an earlier drill left")
            restore(registry, load(left))
        source = registry.find_run(candidate)
        allowed(registry, source)
        before = look(registry, source)
        target = previous(registry, before)
        registry.set_model_tag(TAG, json.dumps(asdict(before)))
        try:
            data = drill(registry, source, target)
        finally:
            ignore_signals()
            restore(registry, before)
    seconds = data["seconds_to_old_version"]
    return Result(data, f"rolled back from version {data['promoted']} to {data['returned_to']} in {seconds:.1f} s; all is as it was before")


def allowed(registry: Registry, source: Run) -> None:
    verdict = candidates.policy_of_lab().judge(candidates.of_run(registry, source))
    if not verdict.allow:
        raise ToolError(f"the policy denies {source.name}: {'; '.join(verdict.reasons)}")


def look(registry: Registry, source: Run) -> Before:
    version = registry.version_of(source)
    aliases = registry.aliases()
    named: dict[str, str] = {alias: aliases[alias] for alias in (lifecycle.CHAMPION, lifecycle.ROLLBACK) if alias in aliases}
    return Before(source.run_id, version.tags if version else None, named, deployment.pin_of(deployment.find()))


def previous(registry: Registry, before: Before) -> str:
    """Returns the version to roll back to: the champion, or what served before if the candidate is the champion already."""
    champion, rollback = (before.aliases.get(alias) for alias in (lifecycle.CHAMPION, lifecycle.ROLLBACK))
    if champion is None:
        raise ToolError(f"alias {lifecycle.CHAMPION} is not set: there is no version to return to")
    if registry.version(champion).run_id != before.run_id:
        return champion
    if rollback in (None, champion):
        raise ToolError(f"the candidate is champion already, and alias {lifecycle.ROLLBACK} names no other version to return to")
    return str(rollback)


def drill(registry: Registry, source: Run, target: str) -> dict[str, Any]:
    begin = time.monotonic()
    promoted = lifecycle.promote(registry, source)
    serving.pin(promoted)
    to_new = time.monotonic() - begin
    output.say(f"version {promoted} serves after {to_new:.1f} s; rolling back to version {target}")

    begin = time.monotonic()
    lifecycle.withdraw(registry, registry.version(promoted), target, REASON)
    serving.write_pin(target)
    predictor.wait_for(target, deployment.ROLLOUT_SECONDS, in_a_row=1)
    to_old = time.monotonic() - begin
    output.say(f"version {target} answers after {to_old:.1f} s")
    deployment.wait()
    names = {"candidate": source.name, "promoted": promoted, "returned_to": target}
    return {**names, "seconds_to_new_version": round(to_new, 2), "seconds_to_old_version": round(to_old, 2)}


def restore(registry: Registry, before: Before) -> None:
    """Puts aliases, tags and Deployment back; can be repeated."""
    aliases = registry.aliases()
    # The champion first, as in every rollback.
    for alias in (lifecycle.CHAMPION, lifecycle.ROLLBACK):
        wanted = before.aliases.get(alias)
        if wanted is None and alias in aliases:
            registry.delete_alias(alias)
        elif wanted is not None and aliases.get(alias) != wanted:
            registry.set_alias(alias, wanted)
    if deployment.pin_of(deployment.find()) != before.pin:
        deployment.apply(before.pin, serving.MANAGER)
        deployment.wait()
    version = next((found for found in registry.versions() if found.run_id == before.run_id), None)
    if version is not None:
        restore_version(registry, version, before.tags)
    registry.delete_model_tag(TAG)


def restore_version(registry: Registry, version: Version, tags: Mapping[str, str] | None) -> None:
    if tags is None:
        registry.delete_version(version.number)
        return
    for key in version.tags.keys() - tags.keys():
        registry.delete_tag(version.number, key)
    for key, value in tags.items():
        lifecycle.set_tag(registry, version, key, value)


def load(text: str) -> Before:
    entry = json.loads(text)
    return replace(Before(**entry), pin=deployment.Pin(**entry["pin"]))


@contextmanager
def interruptible() -> Iterator[None]:
    """Turns the first of the signals that end a process into an exception; further ones are ignored."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """From here on cleaning up is not cut off."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
