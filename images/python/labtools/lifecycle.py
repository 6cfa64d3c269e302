"""Moves the aliases: promotion and rollback, so that they can be cut off anywhere and repeated.

The alias `champion` says what should serve, and the Deployment follows. So the alias always moves first: whatever ends half-way,
the next pin completes it, while pods that ran ahead of the alias would be undone by it. Within the registry the order is:

    promotion   version and its lineage tags (nobody uses it yet), promoted_by, rollback_before, alias rollback, alias champion
    rollback    rolled_back_reason and rolled_back_to on the version to withdraw, alias champion, alias rollback

A promotion pushes and a rollback pops: `rollback` names the version that served before the champion, and `rollback_before` on
a promoted version remembers what `rollback` named before. So after a rollback both aliases are as they were before the
promotion, and `rollback` never names the version that was just withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from labtools.errors import ToolError
from labtools.mlflow_api import READY, Registry, Run, Version

CHAMPION: Final = "champion"
ROLLBACK: Final = "rollback"

LINEAGE_TAGS: Final = ("git_sha", "data_digest", "train_start", "train_end")
# What a promoted version carries along from its run, where the run has it.
CARRIED_TAGS: Final = (*LINEAGE_TAGS, "validation_status", "approved_by", "author", "model_digest")
PROMOTED_BY: Final = "promoted_by"
PROMOTER: Final = "promoter"
ROLLBACK_BEFORE: Final = "rollback_before"
REASON: Final = "rolled_back_reason"
RETURNED_TO: Final = "rolled_back_to"
REASON_LENGTH: Final = 10


@dataclass(frozen=True)
class Withdrawal:
    """A rollback: which version was withdrawn, which serves again, why, and whether the registry had to be changed."""

    withdrawn: str
    returned_to: str
    reason: str
    changed: bool


def register(registry: Registry, run: Run, tags: Sequence[str]) -> tuple[Version, bool]:
    """Returns the run's version with these of its tags, and whether it had to be made."""
    if missing := [tag for tag in tags if tag not in run.tags]:
        raise ToolError(f"run {run.name} has no tag {', '.join(missing)}")
    wanted = {tag: run.tags[tag] for tag in tags}
    version = registry.version_of(run)
    if version is None:
        return registry.create_version(run, wanted), True
    for key, value in wanted.items():
        if version.tags.get(key) != value:
            registry.set_tag(version.number, key, value)
    return Version(version.number, version.run_id, version.status, {**version.tags, **wanted}), False


def promote(registry: Registry, run: Run) -> str:
    """Makes the run's version champion and returns its number. Who may be promoted is not decided here."""
    aliases = registry.aliases()
    champion = aliases.get(CHAMPION)
    if champion is None:
        raise ToolError(f"alias {CHAMPION} is not set: a promotion needs a version that it can be rolled back to")
    version, _ = register(registry, run, [tag for tag in CARRIED_TAGS if tag in run.tags])
    set_tag(registry, version, PROMOTED_BY, PROMOTER)
    if champion != version.number:
        before = aliases.get(ROLLBACK)
        # Where `rollback` is the champion already, an earlier promotion was cut off after it had remembered the one before.
        if before not in (None, champion, version.number):
            set_tag(registry, version, ROLLBACK_BEFORE, str(before))
        if before != champion:
            registry.set_alias(ROLLBACK, champion)
        registry.set_alias(CHAMPION, version.number)
    for tag in (REASON, RETURNED_TO):
        if tag in version.tags:
            registry.delete_tag(version.number, tag)
    return version.number


def roll_back(registry: Registry, reason: str) -> Withdrawal:
    """Makes the version that served before champion again; does nothing once that is done."""
    aliases = registry.aliases()
    champion, rollback = aliases.get(CHAMPION), aliases.get(ROLLBACK)
    if champion is None:
        raise ToolError(f"alias {CHAMPION} is not set: there is nothing to roll back")
    versions = {version.number: version for version in registry.versions()}
    done = next((version for version in versions.values() if version.tags.get(RETURNED_TO) == champion), None)
    if done is not None:
        changed = settle(registry, versions, done, champion, rollback)
        return Withdrawal(done.number, champion, done.tags.get(REASON, reason), changed)
    if rollback in (None, champion):
        raise ToolError(f"alias {ROLLBACK} is not set: there is no version to return to" if rollback is None else "champion and rollback are the same version")
    withdrawn, target = versions[champion], str(rollback)
    withdraw(registry, withdrawn, target, reason)
    settle(registry, versions, withdrawn, target, rollback)
    return Withdrawal(withdrawn.number, target, reason, True)


def withdraw(registry: Registry, version: Version, target: str, reason: str) -> None:
    """Leaves the trail on the version, then moves `champion` away from it."""
    set_tag(registry, version, REASON, reason)
    set_tag(registry, version, RETURNED_TO, target)
    registry.set_alias(CHAMPION, target)


def settle(registry: Registry, versions: dict[str, Version], withdrawn: Version, champion: str, rollback: str | None) -> bool:
    """Points `rollback` to what it named before the withdrawn version was promoted; returns whether that was to be done."""
    if rollback not in (None, champion, withdrawn.number):
        return False
    before = versions.get(withdrawn.tags.get(ROLLBACK_BEFORE, ""))
    if before is not None and before.number != champion and before.status == READY:
        registry.set_alias(ROLLBACK, before.number)
        return True
    if rollback is None:
        return False
    # Nothing is better than a way back to the version that was withdrawn.
    registry.delete_alias(ROLLBACK)
    return True


def set_tag(registry: Registry, version: Version, key: str, value: str) -> None:
    if version.tags.get(key) != value:
        registry.set_tag(version.number, key, value)
