"""What the monitors found in each window, oldest first: table window_runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labtools.output import Result

from monitoring import flights, sea, store, windows
from monitoring.windows import Length, Window

Data = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """A window and what was found in it."""

    window: Window
    data: Data


def read(connection: Any, kind: str, model: str) -> list[Judged]:
    query = "SELECT window_start, window_end, data FROM window_runs WHERE kind = %s AND model = %s ORDER BY window_start"
    return [Judged(Window(start, end), data) for start, end, data in store.rows(connection, query, (kind, model))]


def save(connection: Any, kind: str, model: str, judged: Judged) -> None:
    statement = """
    INSERT INTO window_runs (kind, model, window_start, window_end, data) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (kind, model, window_start) DO UPDATE SET window_end = excluded.window_end, data = excluded.data, judged_at = now()
    """
    store.run(connection, statement, (kind, model, judged.window.start, judged.window.end, json.dumps(judged.data)))


def forget(connection: Any, kind: str, model: str, since: datetime | None) -> None:
    """Forgets the windows that end after the moment, or all."""
    query = "DELETE FROM window_runs WHERE kind = %s AND model = %s AND window_end > %s"
    store.run(connection, query, (kind, model, since or datetime.min))


def stream_of(model: str) -> str:
    """Returns whose clock counts for a model."""
    return sea.MODEL if model == sea.MODEL else store.FLIGHTS


def pending(connection: Any, model: str, length: Length, after: datetime | None, until: datetime) -> list[Window]:
    """Returns the complete windows of what was logged, from where the last judged window ended."""
    found = store.rows(connection, "SELECT min(event_time), max(event_time) FROM predictions WHERE model = %s", (model,))
    first, last = found[0]
    if first is None:
        return []
    begin = max(first, after) if after else first
    if length.days:
        # A week without any traffic is no window of this log.
        return [window for window in windows.of_days(begin, until, length.days) if window.start <= last]
    query = "SELECT event_time FROM predictions WHERE model = %s AND event_time >= %s AND event_time < %s ORDER BY event_time"
    return windows.of_rows([row[0] for row in store.rows(connection, query, (model, begin, until))], length.rows)


def several(connection: Any, kind: str, model: str | None, show: Callable[[Any, str], Result]) -> Result:
    """Shows one model, or all that have a history: the lab's own first, the others in `others`."""
    if model:
        return show(connection, model)
    found = [row[0] for row in store.rows(connection, "SELECT DISTINCT model FROM window_runs WHERE kind = %s ORDER BY model", (kind,))]
    names = [flights.MODEL, *(name for name in found if name != flights.MODEL)]
    shown = {name: show(connection, name) for name in names}
    first = shown.pop(flights.MODEL)
    text = "\n\n".join(f"{name}\n{result.text}" for name, result in {flights.MODEL: first, **shown}.items())
    return Result({**first.data, "others": {name: result.data for name, result in shown.items()}}, text)


def describe(judged: Judged) -> Data:
    return {"start": windows.short(judged.window.start), "end": windows.short(judged.window.end), **judged.data}


def table(header: Sequence[str], rows: Sequence[Mapping[str, object]]) -> str:
    """Writes rows as columns of text."""
    cells = [list(header), *([str(row.get(name, "")) for name in header] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells)
