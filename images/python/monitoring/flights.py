"""The flights of 2013 as a stream: what the predictor is asked, when, and when it becomes known what came true."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lab import contract, data

from monitoring.windows import DAY

if TYPE_CHECKING:
    import pandas as pd

MODEL: Final = contract.MODEL_NAME
# What happened is written down a day after the flight has arrived.
PAPERWORK_HOURS: Final = 24
FEATURES: Final = (*contract.NUMERIC, *contract.CATEGORICAL)


def load(start: datetime, end: datetime, directory: Path = data.DIRECTORY) -> pd.DataFrame:
    """Returns the flights scheduled from start up to end, with request_id, event_time, label and released_at.

    An id is the flight's day and its place in that day, so it is the same wherever the data set is. The timetable gives arrivals in
    the time of the destination; a few hours more or less do not matter beside a day of paperwork.
    """
    import pandas as pd

    rows = data.load(start.date().isoformat(), end.date().isoformat(), directory=directory)
    place = rows.groupby("date").cumcount()
    minutes = 60 * rows["hour"] + rows["minute"]
    arrival = 60 * (rows["sched_arr_time"] // 100) + rows["sched_arr_time"] % 100
    rows = rows.assign(
        request_id=rows["date"].dt.strftime("%Y-%m-%d-") + place.astype(str).str.zfill(4),
        event_time=rows["date"] + pd.to_timedelta(minutes, unit="min"),
        label=rows[contract.TARGET],
    )
    travelled = pd.to_timedelta((arrival - minutes) % (24 * 60) + rows["arr_delay"].fillna(0), unit="min")
    rows["released_at"] = rows["event_time"] + travelled + pd.Timedelta(hours=PAPERWORK_HOURS)
    return rows[(rows["event_time"] >= start) & (rows["event_time"] < end)].reset_index(drop=True)


def released(first: datetime, until: datetime, directory: Path = data.DIRECTORY) -> list[tuple[str, int | None, float | None, datetime]]:
    """Returns the labels, as rows of the table, that are known at `until` of the flights scheduled from first on."""
    rows = load(first, until + DAY, directory)
    rows = rows[rows["released_at"] <= until].sort_values(["released_at", "request_id"], kind="stable")
    return [
        (request_id, None if label is None else int(label), None if label is None else float(delay), moment.to_pydatetime())
        for request_id, label, delay, moment in zip(rows["request_id"], none_for_missing(rows["label"]), rows["arr_delay"], rows["released_at"], strict=True)
    ]


def none_for_missing(column: pd.Series[Any]) -> list[Any]:
    found: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return found


def celsius(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the flights as a weather feed in degrees Celsius would deliver them."""
    return rows.assign(**{name: (rows[name] - 32) * 5 / 9 for name in ("temp", "dewp")})
