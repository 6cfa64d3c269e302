"""Recorded incidents for task triage: ten weeks of what the monitors said, as a table and as a page with curves.

The numbers are made with a seed after what the real data does (a season) or what was measured when a fault was put in (a unit, a stopped
feed). There are several recordings of each cause; which four a lab shows, and in which order, follows from its namespace.
"""

from __future__ import annotations

import csv
import hashlib
import html
import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

WEEKS: Final = 10
VARIANTS: Final = 3
COUNT: Final = 4

UNIT: Final = "upstream-unit"
SEASON: Final = "season"
CONCEPT: Final = "concept"
SCHEDULE: Final = "schedule-change"
LABELS: Final = "label-delay"

# For each cause, what may be done about it; where two are there, both can be defended.
ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    UNIT: ("rollback-data",),
    SEASON: ("retrain", "recalibrate"),
    CONCEPT: ("retrain",),
    SCHEDULE: ("ignore",),
    LABELS: ("wait",),
}
ALL_ACTIONS: Final = ("rollback-data", "retrain", "ignore", "recalibrate", "wait")

COLUMNS: Final = (
    "week",
    "rows",
    "temp_distance",
    "humid_distance",
    "carrier_distance",
    "dest_distance",
    "score_distance",
    "mean_score",
    "late_rate",
    "calibration_ratio",
    "auc",
    "label_coverage",
)
Row = dict[str, float]


def name_of(cause: str, variant: int) -> str:
    """Returns a name that does not give the cause away."""
    return hashlib.sha256(f"incident {cause} {variant}".encode()).hexdigest()[:6]


def shown(seed: str) -> list[tuple[str, int]]:
    """Returns the incidents of a lab, in its order."""
    generator = random.Random(hashlib.sha256(f"triage {seed}".encode()).hexdigest())
    causes = generator.sample(list(ACTIONS), COUNT)
    return [(cause, generator.randrange(VARIANTS)) for cause in causes]


def record(cause: str, variant: int) -> list[Row]:
    """Returns the weeks of an incident."""
    noise = random.Random(f"{cause} {variant}")
    since = 6 + noise.randrange(3)
    return [week(cause, number, since, noise) for number in range(1, WEEKS + 1)]


def week(cause: str, number: int, since: int, noise: random.Random) -> Row:
    def about(value: float, spread: float) -> float:
        return max(value + noise.uniform(-spread, spread), 0.0)

    begun = number >= since
    row = {
        "week": float(number),
        "rows": round(about(6500, 120)),
        "temp_distance": about(0.5, 0.3),
        "humid_distance": about(0.3, 0.12),
        "carrier_distance": about(0.018, 0.006),
        "dest_distance": about(0.022, 0.008),
        "score_distance": about(0.16, 0.08),
        "mean_score": about(0.203, 0.012),
        "late_rate": about(0.205, 0.025),
        "auc": about(0.69, 0.02),
        "label_coverage": about(0.993, 0.004),
    }
    match cause:
        case "upstream-unit" if begun:
            row |= {"temp_distance": about(2.4, 0.15), "score_distance": about(1.35, 0.1), "mean_score": about(0.072, 0.006)}
        case "season":
            grown = max(number - 2, 0)
            row |= {"temp_distance": about(0.5 + 0.28 * grown, 0.12), "score_distance": about(0.15 + 0.075 * grown, 0.03)}
            row |= {
                "mean_score": about(0.203 - 0.008 * grown, 0.004),
                "late_rate": about(0.205 + 0.012 * grown, 0.015),
                "auc": about(0.69 - 0.005 * grown, 0.01),
            }
        case "concept" if begun:
            row |= {"late_rate": about(0.345, 0.02), "auc": about(0.585, 0.015)}
        case "schedule-change" if begun:
            row |= {"carrier_distance": about(0.155, 0.01), "dest_distance": about(0.185, 0.01)}
        case "label-delay" if begun:
            row |= {"label_coverage": max(0.86 - 0.17 * (number - since), 0.2), "auc": about(0.735, 0.02), "late_rate": about(0.185, 0.02)}
    row["calibration_ratio"] = row["late_rate"] / row["mean_score"]
    return {name: round(row[name], 3) for name in COLUMNS}


def csv_of(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:g}" for name, value in row.items()} for row in rows)
    return out.getvalue()


def read(text: str) -> list[Row]:
    return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(io.StringIO(text))]


def page(name: str, rows: Sequence[Row]) -> str:
    """Draws each column as a curve."""
    charts = []
    for column in COLUMNS[1:]:
        values = [row[column] for row in rows]
        low, high = min(*values, 0.0), max(*values) * 1.1 or 1.0
        points = " ".join(f"{10 + 38 * number},{90 - 80 * (value - low) / (high - low):.0f}" for number, value in enumerate(values))
        ends = f"{values[0]:g} → {values[-1]:g}"
        line = f'<polyline points="{points}" fill="none" stroke="#3366cc" stroke-width="2"/>'
        charts.append(f'<figure><figcaption>{html.escape(column)} <small>{ends}</small></figcaption><svg viewBox="0 0 372 96">{line}</svg></figure>')
    style = "body{font:15px sans-serif;max-width:60em;margin:2em auto}div{display:grid;grid-template-columns:repeat(3,1fr);gap:1em}"
    style += "figure{margin:0}svg{background:#f4f4f4;width:100%}"
    head = f'<!doctype html><meta charset="utf-8"><title>Incident {name}</title><style>{style}</style>'
    return f"{head}<h1>Incident {name}</h1><p>Ten weeks, from left to right.</p><div>{''.join(charts)}</div>\n"


def write(target: Path) -> None:
    """Writes every recording, as a table and as a page."""
    target.mkdir(parents=True)
    for cause in ACTIONS:
        for variant in range(VARIANTS):
            rows, name = record(cause, variant), name_of(cause, variant)
            (target / f"{name}.csv").write_text(csv_of(rows))
            (target / f"{name}.html").write_text(page(name, rows))


def cause_of(rows: Sequence[Row]) -> str:
    """Reads the cause off the numbers: what moved, how fast, and did the errors move with it?"""
    before, last = rows[:4], rows[-1]

    def base(column: str) -> float:
        return sum(row[column] for row in before) / len(before)

    if last["label_coverage"] < 0.9:
        return LABELS
    if last["mean_score"] < base("mean_score") / 2:
        return UNIT
    if last["carrier_distance"] > 3 * base("carrier_distance"):
        return SCHEDULE
    if last["temp_distance"] > 3 * max(base("temp_distance"), 0.5):
        return SEASON
    return CONCEPT
