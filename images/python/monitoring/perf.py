"""Watches what a model is worth: were its answers right, once the labels are there?

    perf run [--again [--from D]] [--model M]   judges every complete window that was not judged yet, oldest first, and publishes each
    perf history [--model M]                    what was found, beside the same numbers from the data set
    perf push FILE                              publishes windows that somebody else has judged (- is stdin)

The configuration is perf.yaml (perf_config.py): the query that joins predictions with labels, and what counts as degraded. `run` holds each
window until Prometheus and its rules have seen it (push.py); with nothing new to judge it publishes the last window again.

FILE is a JSON list, oldest first: {"model", "start", "end", "rows", "known", "labelled", "calibration_ratio", "brier", "auc", "error_rate",
"degraded"}; a number that does not exist is null. The count of windows in a row is kept here.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from labtools import output
from labtools.errors import ToolError
from labtools.output import Result

from monitoring import course, history, perf_config, push, scores, store, windows
from monitoring.drift import epoch
from monitoring.history import Judged
from monitoring.perf_config import METRICS, Model
from monitoring.push import Metric
from monitoring.windows import Window

KIND: Final = "perf"
COLUMNS: Final = ("score", "label", "known")


def parser() -> output.Parser:
    top = output.Parser(prog="perf", description="Judges a model's answers by the labels that came later.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=output.Parser)
    course.add_options(commands.add_parser("run", help="judges the windows that are complete"))
    past = commands.add_parser("history", help="shows what was found in each window")
    past.add_argument("--model", help="only this model")
    past.add_argument("--no-reference", action="store_true", help="leave out the comparison with the data set")
    other = commands.add_parser("push", help="publishes windows that were judged elsewhere")
    other.add_argument("file", help="a JSON list, or - for stdin")
    other.add_argument("--no-hold", action="store_true", help="do not wait until each window was seen")
    return top


def run(options: argparse.Namespace) -> Result:
    match options.command:
        case "run":
            return judge_windows(options)
        case "history":
            with store.connected() as connection:
                return history.several(connection, KIND, options.model, lambda one, name: past(one, name, not options.no_reference))
        case _:
            return push_windows(options)


def judge(connection: Any, model: Model, window: Window) -> dict[str, Any]:
    """Returns what the model's query says about a window."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(model.labels, {"model": model.name, "start": window.start, "end": window.end})
        if cursor.description is None:
            raise ToolError(f"{model.name}: `labels` is no query")
        names = [column.name for column in cursor.description]
        if missing := [name for name in COLUMNS if name not in names]:
            raise ToolError(f"{model.name}: `labels` returns no column {missing[0]}; it needs {', '.join(COLUMNS)}")
        places = [names.index(name) for name in COLUMNS]
        rows = [tuple(row[place] for place in places) for row in cursor.fetchall()]
    connection.rollback()
    versions = store.rows(
        connection,
        "SELECT model_version, count(*) FROM predictions WHERE model = %s AND event_time >= %s AND event_time < %s GROUP BY 1 ORDER BY 1",
        (model.name, window.start, window.end),
    )
    labelled = [(score, label) for score, label, _ in rows if label is not None]
    found = scores.measures(np.array([label for _, label in labelled], dtype="float64"), np.array([score for score, _ in labelled], dtype="float64"))
    known = sum(bool(known) for _, _, known in rows)
    coverage = known / len(rows) if rows else None
    outside = [name for name, (low, high) in model.limits.items() if (value := found[name]) is not None and not low <= value <= high]
    decided = coverage is not None and coverage >= model.min_coverage and bool(labelled)
    return {
        "rows": len(rows),
        "known": known,
        "labelled": len(labelled),
        "coverage": coverage,
        **found,
        "degraded": bool(outside) if decided else None,
        "outside": outside,
        "versions": dict(versions),
        "config": model.digest,
    }


def counted(data: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """Adds how many windows in a row are degraded; one that could not be decided changes nothing."""
    so_far = int(before["consecutive"]) if before else 0
    degraded = data["degraded"]
    return {**data, "consecutive": so_far if degraded is None else so_far + 1 if degraded else 0}


def save(connection: Any, model: str, window: Window, data: dict[str, Any]) -> Judged:
    known = [judged for judged in history.read(connection, KIND, model) if judged.window.end <= window.start]
    judged = Judged(window, counted(data, known[-1].data if known else None))
    history.save(connection, KIND, model, judged)
    connection.commit()
    return judged


def judge_windows(options: argparse.Namespace) -> Result:
    models: dict[str, Model] = course.chosen(perf_config.read(), options.model)
    with store.connected() as connection, store.locked(connection, KIND):

        def judged_one(name: str, window: Window) -> Judged:
            return save(connection, name, window, judge(connection, models[name], window))

        judged = course.run(connection, KIND, models, options, lambda model, now: now - model.label_delay, judged_one, metrics)
        stale = course.judged_otherwise(connection, KIND, models)
    return course.told(KIND, judged, stale, lines_of)


def lines_of(found: list[Judged]) -> list[str]:
    return table(found).splitlines() if found else []


def metrics(judged: Judged) -> list[Metric]:
    data = judged.data
    return [
        ("model_window_start_timestamp_seconds", {}, epoch(judged.window.start)),
        ("model_perf_last_run_timestamp_seconds", {}, time.time()),
        ("model_perf_rows", {}, data["rows"]),
        ("model_label_coverage", {}, data["coverage"]),
        *((f"model_{name}", {}, data[name]) for name in METRICS),
        ("model_degraded_consecutive_windows", {}, data["consecutive"]),
    ]


def push_windows(options: argparse.Namespace) -> Result:
    """Takes over what somebody else has judged."""
    try:
        given = json.loads(sys.stdin.read() if options.file == "-" else Path(options.file).read_text())
        read = [(str(item["model"]), Window(windows.moment(item["start"]), windows.moment(item["end"])), item) for item in given]
        wanted = [(name, window, taken(item)) for name, window, item in read]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(f"{options.file}: {type(error).__name__}: {error}") from error
    judged: dict[str, list[Judged]] = {}
    with store.connected() as connection, store.locked(connection, KIND):
        hold = None if options.no_hold else push.Hold()
        for name, window, data in wanted:
            judged.setdefault(name, []).append(save(connection, name, window, data))
            push.push(KIND, name, metrics(judged[name][-1]))
            if hold:
                hold.until_seen(KIND, [name])
    return course.told(KIND, judged, {}, lines_of)


def taken(item: dict[str, Any]) -> dict[str, Any]:
    rows, known = int(item["rows"]), int(item["known"])
    measured = {name: None if item.get(name) is None else float(item[name]) for name in METRICS}
    coverage = known / rows if rows else None
    degraded = None if item.get("degraded") is None else bool(item["degraded"])
    return {"rows": rows, "known": known, "labelled": int(item["labelled"]), "coverage": coverage, **measured, "degraded": degraded, "config": "given"}


def past(connection: Any, model: str, compare: bool) -> Result:
    found = history.read(connection, KIND, model)
    truth = reference(connection, model, found) if compare and found else {}
    now = store.now(connection, history.stream_of(model))
    lines = []
    for judged in found:
        line = history.describe(judged)
        if measured := truth.get(judged.window.start):
            line["reference"] = measured
        lines.append(line)
    data: dict[str, Any] = {"model": model, "now": windows.short(now), "windows": lines, "n": len(found)}
    data["covered_from"] = windows.short(found[0].window.start) if found else None
    data["covered_until"] = windows.short(found[-1].window.end) if found else None
    data["lowest_coverage"] = min((judged.data["coverage"] or 0.0 for judged in found), default=None)
    data["worst"] = {name: worst(lines, name) for name in METRICS}
    return Result(data, table(found, truth))


def worst(lines: Sequence[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """Returns the window whose number is farthest from that of the data set."""
    differences = []
    for line in lines:
        found, expected = line.get(name), line.get("reference", {}).get(name)
        if expected is not None:
            gap = abs(found - expected) if found is not None else 1.0
            differences.append({"window": line["start"], "found": found, "expected": expected, "difference": gap})
    return max(differences, key=lambda one: one["difference"]) if differences else None


def reference(connection: Any, model: str, found: Sequence[Judged]) -> dict[datetime, dict[str, float | None]]:
    """Computes the measures of each window anew, from the logged scores and the labels of the data set."""
    from monitoring.replay import streams

    stream = streams()[history.stream_of(model)]
    begin, end = found[0].window.start, max(judged.window.end for judged in found)
    labels = {row[0]: row[1] for row in stream.released(begin, end + timedelta(days=3))}
    query = "SELECT event_time, request_id, score FROM predictions WHERE model = %s AND event_time >= %s AND event_time < %s ORDER BY event_time"
    rows = [(moment, score, label) for moment, name, score in store.rows(connection, query, (model, begin, end)) if (label := labels.get(name)) is not None]
    measured = {}
    for judged in found:
        inside = [(score, label) for moment, score, label in rows if judged.window.start <= moment < judged.window.end]
        measured[judged.window.start] = scores.measures(np.array([label for _, label in inside], float), np.array([score for score, _ in inside], float))
    return measured


def table(found: Sequence[Judged], truth: dict[datetime, dict[str, float | None]] | None = None) -> str:
    def number(value: float | None, digits: int = 3) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    rows = []
    for judged in found:
        data, known = judged.data, (truth or {}).get(judged.window.start, {})
        row = {"window": windows.short(judged.window.start), "rows": data["rows"], "coverage": number(data["coverage"])}
        row |= {"ratio": number(data["calibration_ratio"]), "brier": number(data["brier"]), "auc": number(data["auc"]), "error": number(data["error_rate"])}
        row |= {"degraded": {True: "yes", False: "no", None: "?"}[data["degraded"]], "in a row": data["consecutive"]}
        if known:
            row |= {"true ratio": number(known["calibration_ratio"]), "true auc": number(known["auc"]), "true error": number(known["error_rate"])}
        rows.append(row)
    header = ["window", "rows", "coverage", "ratio", "brier", "auc", "error", "degraded", "in a row"]
    return history.table([*header, "true ratio", "true auc", "true error"] if truth else header, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    output.run_to_end(main)
