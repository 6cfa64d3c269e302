"""Windows of virtual time: of days, counted from the first Tuesday of 2013, or of rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from labtools.errors import ToolError

# The year begins on a Tuesday, and so does every window of whole weeks.
ANCHOR: Final = datetime(2013, 1, 1)
DAY: Final = timedelta(days=1)
WEEK: Final = 7 * DAY


@dataclass(frozen=True, order=True)
class Window:
    """From start up to, and without, end."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Length:
    """How long a window is: days, or else rows."""

    days: int = 0
    rows: int = 0

    @property
    def text(self) -> str:
        return f"{self.days}d" if self.days else f"{self.rows} rows"


def length(text: object) -> Length:
    """Reads "7d" or "5000 rows"."""
    if isinstance(text, str) and (found := re.fullmatch(r"(\d+) *(d|days?|rows?)", text.strip())) and int(found[1]) > 0:
        number = int(found[1])
        return Length(days=number) if found[2].startswith("d") else Length(rows=number)
    raise ToolError(f"a window is {text!r}; it must be like 7d or 5000 rows")


def of_days(first: datetime, until: datetime, days: int = 7) -> list[Window]:
    """Returns the windows that lie between first and until as a whole."""
    step = timedelta(days=days)
    start = ANCHOR + -((ANCHOR - first) // step) * step
    found = []
    while start + step <= until:
        found.append(Window(start, start + step))
        start += step
    return found


def of_rows(times: Sequence[datetime], rows: int) -> list[Window]:
    """Cuts sorted times into windows of so many rows; what is left over is no window yet.

    Each ends where the next begins, so rows of the same minute stay together.
    """
    found = []
    begin = 0
    while begin + rows < len(times):
        end = begin + rows
        while end < len(times) and times[end] == times[end - 1]:
            end += 1
        if end == len(times):
            break
        found.append(Window(times[begin], times[end]))
        begin = end
    return found


def ends(after: datetime, until: datetime, days: int = 7) -> list[datetime]:
    """Returns the moments after `after`, up to and with `until`, at which a window of days ends."""
    step = timedelta(days=days)
    moment = ANCHOR + ((after - ANCHOR) // step + 1) * step
    found = []
    while moment <= until:
        found.append(moment)
        moment += step
    return found


def moment(text: str, base: datetime | None = None) -> datetime:
    """Reads a date, a time such as 2013-04-01T12:00, or days from base such as +7d."""
    if base is not None and (found := re.fullmatch(r"\+(\d+)d", text.strip())):
        return base + int(found[1]) * DAY
    try:
        found_moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ToolError(f"{text!r} is no date; use one such as 2013-05-01{', or +7d' if base is not None else ''}") from error
    if found_moment.tzinfo is not None:
        raise ToolError(f"{text!r} has a zone; the lab's time has none")
    return found_moment


def short(moment: datetime | date) -> str:
    """Writes a moment as briefly as it can be read again: a day, or a day with its time."""
    if isinstance(moment, datetime) and moment.time() != datetime.min.time():
        return moment.isoformat(timespec="minutes")
    return moment.date().isoformat() if isinstance(moment, datetime) else moment.isoformat()
