"""Which days a training run is made of: some to learn from, and after them some to be judged on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from labtools.errors import ToolError

# The outcome of a flight is written down a day after its arrival, which may be on the next day and late. So at the beginning of
# a day, the day before the day before yesterday is the last whose labels are all there.
LABEL_DAYS: Final = 3
TRAIN_DAYS: Final = 60
GATE_DAYS: Final = 14
MOST_DAYS: Final = 365
# The data set begins here.
FIRST_DAY: Final = date(2013, 1, 1)


@dataclass(frozen=True)
class Plan:
    """The days of a run, first and last included. Labels count when they were released by `cutoff`."""

    train_start: date
    train_end: date
    gate_start: date
    gate_end: date
    cutoff: datetime

    @property
    def tags(self) -> dict[str, str]:
        days = {name: getattr(self, name).isoformat() for name in ("train_start", "train_end", "gate_start", "gate_end")}
        return {**days, "label_cutoff": self.cutoff.isoformat()}


def last_labelled(moment: datetime) -> date:
    """Returns the last day whose labels are complete at a moment."""
    return moment.date() - timedelta(days=LABEL_DAYS)


def make(now: datetime, train_days: int = TRAIN_DAYS, gate_days: int = GATE_DAYS, leap_days: int = 0) -> Plan:
    """Returns the days for a moment. `leap_days` moves the cutoff of the labels, and with it the days to learn from."""
    cutoff = now + timedelta(days=leap_days)
    gate_end = last_labelled(now)
    train_end = last_labelled(cutoff) - timedelta(days=gate_days)
    return Plan(
        train_start=max(FIRST_DAY, train_end - timedelta(days=train_days - 1)),
        train_end=train_end,
        gate_start=gate_end - timedelta(days=gate_days - 1),
        gate_end=gate_end,
        cutoff=cutoff,
    )


def read(tags: Mapping[str, str]) -> Plan:
    """Returns the plan that a version's tags name."""
    wanted = ("train_start", "train_end", "gate_start", "gate_end", "label_cutoff")
    if missing := [name for name in wanted if not tags.get(name)]:
        raise ToolError(f"tag {', '.join(missing)} is missing")
    try:
        train_start, train_end, gate_start, gate_end = (date.fromisoformat(tags[name]) for name in wanted[:4])
        return Plan(train_start, train_end, gate_start, gate_end, datetime.fromisoformat(tags["label_cutoff"]))
    except ValueError as error:
        raise ToolError(f"a tag is no date: {error}") from error


def days_of(variable: str, default: int, least: int) -> int:
    """Reads a number of days from the environment."""
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or not least <= int(text) <= MOST_DAYS:
        raise ToolError(f"{variable} is {text!r}; it must be a number of days from {least} to {MOST_DAYS}")
    return int(text)
