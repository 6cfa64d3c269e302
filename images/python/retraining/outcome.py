"""How versions did, by the scores that were logged when they served and the labels that came later."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from lab.contract import MODEL_NAME
from labtools.output import Result
from monitoring import store

# Until then nothing was promoted.
FIRST: Final = "1"
QUERY: Final = """
SELECT p.model_version, count(*), avg(l.label)::float8, avg(p.score), avg((p.score - l.label) ^ 2)
FROM predictions p JOIN labels l USING (request_id)
WHERE p.model = %s AND p.event_time >= %s AND p.event_time < %s AND l.label IS NOT NULL
GROUP BY p.model_version ORDER BY p.model_version
"""


def run(start: date, end: date) -> Result:
    with store.connected() as connection:
        found = store.rows(connection, QUERY, (MODEL_NAME, start, end + timedelta(days=1)))
    versions = [described(version, rows, late, score, brier) for version, rows, late, score, brier in found]
    text = [f"version {item['version']}: {item['rows']} flights with labels, ratio {item['ratio']:.2f}, Brier {item['brier']:.4f}" for item in versions]
    data = {"days": [start.isoformat(), end.isoformat()], "versions": versions, "promoted": pooled([row for row in found if row[0] != FIRST])}
    return Result(data, "\n".join(text) or "no flight of these days has a score and a label")


def described(version: str | None, rows: int, late: float, score: float, brier: float) -> dict[str, Any]:
    return {"version": version, "rows": rows, "late_rate": late, "mean_score": score, "ratio": late / score if score else None, "brier": brier}


def pooled(found: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Returns the numbers of several versions taken together, each flight counting once."""
    rows = sum(row[1] for row in found)
    if not rows:
        return {"version": None, "rows": 0}
    late, score, brier = (sum(row[1] * row[place] for row in found) / rows for place in (2, 3, 4))
    return described(None, rows, late, score, brier)
