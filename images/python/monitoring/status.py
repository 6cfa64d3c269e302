"""Says whether the log of predictions can be relied on: is every row there, once, complete, of the lab's time, and in the right unit?"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import yaml
from labtools import kubernetes
from labtools.errors import ToolError
from labtools.output import Result

from monitoring import flights, store, windows
from monitoring.windows import DAY

CONTRACT: Final = "feature-contract"
# Medians are of so many days: a single day of weather says little about a unit.
MEDIAN_DAYS: Final = 7

LAST_DAY: Final = """
SELECT (SELECT coalesce(sum(sent), 0) FROM replay_log WHERE stream = 'flights' AND day = %(day)s),
    (SELECT count(*) FROM predictions WHERE model = %(model)s AND event_time >= %(day)s AND event_time < %(next)s)
"""
DUPLICATES: Final = """
SELECT count(*) FROM (SELECT 1 FROM predictions WHERE model = %(model)s AND event_time >= %(since)s GROUP BY request_id HAVING count(*) > 1) AS twice
"""
FIELDS: Final = """
SELECT count(*) FILTER (WHERE model_version = ''), count(*) FILTER (WHERE score = 'NaN' OR score < 0 OR score > 1),
    count(*) FILTER (WHERE event_time >= %(now)s), count(*) FILTER (WHERE NOT features ?& %(features)s)
FROM predictions WHERE model = %(model)s AND (event_time >= %(since)s OR logged_at > now() - interval '1 hour')
"""


def contract() -> list[tuple[str, float, float]]:
    """Returns the features whose median has a plausible range, as the contract gives it."""
    found = kubernetes.get("configmap", CONTRACT)
    text = (found or {}).get("data", {}).get("features.yaml")
    if text is None:
        raise ToolError(f"there is no ConfigMap {CONTRACT} with key features.yaml")
    features = yaml.safe_load(text)["features"]
    return [(str(one["name"]), *(float(value) for value in one["median"])) for one in features if "median" in one]  # type: ignore[misc]


def look(connection: Any) -> Result:
    now = store.now(connection)
    since = now - MEDIAN_DAYS * DAY
    # The day that has ended, or the one that is under way.
    day = midnight(now) - DAY if now == midnight(now) else midnight(now)
    known = {"model": flights.MODEL, "now": now, "since": since, "day": day, "next": day + DAY, "features": list(flights.FEATURES)}
    served, logged = (int(value) for value in store.rows(connection, LAST_DAY, known)[0])
    duplicates = int(store.rows(connection, DUPLICATES, known)[0][0])
    counts = dict(zip(("model_version", "score", "event_time", "features"), store.rows(connection, FIELDS, known)[0], strict=True))
    missing = [name for name, count in counts.items() if count]
    medians = [{"feature": name, "found": median(connection, name, known), "low": low, "high": high} for name, low, high in contract()]
    for one in medians:
        one["agree"] = one["found"] is not None and float(str(one["low"])) <= float(str(one["found"])) <= float(str(one["high"]))
    data = {
        "now": now.isoformat(),
        "day": windows.short(day),
        "served_last_day": served,
        "logged_last_day": logged,
        "missing": max(served - logged, 0),
        "duplicate_ids": duplicates,
        "missing_columns": missing,
        "medians": medians,
    }
    lines = [f"{windows.short(day)}: {served} served, {logged} logged, {duplicates} ids twice"]
    lines += [f"rows without a usable {name}: {counts[name]}" for name in missing]
    for one in medians:
        found = "none" if one["found"] is None else f"{one['found']:.1f}"
        lines.append(
            f"{'ok ' if one['agree'] else 'NOT'} median of {one['feature']} in {MEDIAN_DAYS} days: {found}; {CONTRACT} says {one['low']:g} to {one['high']:g}"
        )
    return Result(data, "\n".join(lines))


def midnight(moment: datetime) -> datetime:
    return datetime.combine(moment, datetime.min.time())


def median(connection: Any, name: str, known: dict[str, Any]) -> float | None:
    query = """
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY (features ->> %(feature)s)::double precision)
    FROM predictions WHERE model = %(model)s AND event_time >= %(since)s
    """
    value = store.rows(connection, query, known | {"feature": name})[0][0]
    return None if value is None else float(value)
