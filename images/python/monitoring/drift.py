"""Watches for drift: do the inputs and the answers of a model still look like those it was trained on?

    drift run [--again [--from D]] [--model M]   judges every complete window that was not judged yet, oldest first, and publishes each
    drift calibrate                              what the weeks of the reference, and chance alone, do to each feature
    drift calibrate --fixtures SETS              what the configuration says of recorded windows: quiet, shifted, small
    drift history [--model M]                    what was found
    drift status                                 whether the log of predictions is complete and plausible

The configuration is drift.yaml (drift_config.py). `run` holds each window until Prometheus and its rules have seen it (push.py), and keeps
reports of the last one and of the last with drift in s3://reports/drift/. With nothing new to judge it publishes the last window again, with
a new time of run.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from labtools import output
from labtools.output import Result

from monitoring import calibrate, course, drift_config, history, report, samples, status, store, windows
from monitoring.drift_config import Model
from monitoring.history import Judged
from monitoring.judge import DRIFT, Judge, data_of
from monitoring.push import Metric
from monitoring.windows import Window

KIND: Final = "drift"


def parser() -> output.Parser:
    top = output.Parser(prog="drift", description="Watches the inputs and answers of models for drift.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=output.Parser)
    run = commands.add_parser("run", help="judges the windows that are complete")
    course.add_options(run)
    run.add_argument("--no-report", action="store_true", help="make no reports")
    test = commands.add_parser("calibrate", help="shows how much a feature moves when nothing happens")
    test.add_argument("--fixtures", metavar="SETS", help=f"judge recorded windows instead: {', '.join(calibrate.SETS)}, or several with commas")
    test.add_argument("--model", default=calibrate.MODEL, help=f"which model ({calibrate.MODEL})")
    past = commands.add_parser("history", help="shows what was found in each window")
    past.add_argument("--model", help="only this model")
    commands.add_parser("status", help="compares the log of predictions with what was sent")
    return top


def run(options: argparse.Namespace) -> Result:
    match options.command:
        case "run":
            return judge_windows(options)
        case "calibrate":
            return calibrate.fixtures(options.model, options.fixtures.split(",")) if options.fixtures else calibrate.noise(options.model)
        case "history":
            return past_of(options.model)
        case _:
            with store.connected() as connection:
                return status.look(connection)


class Monitor:
    """Judges a model's windows, one after the other."""

    def __init__(self, connection: Any, model: Model) -> None:
        self.connection, self.model = connection, model
        self.judge = Judge(model)
        self.references = samples.References(connection, model.name, model.reference)
        self.last: report.Found | None = None
        self.drifted: report.Found | None = None

    def window(self, window: Window) -> Judged:
        current = samples.logged(self.connection, self.model.name, window.start, window.end)
        reference = self.references.before(window.start)
        verdict, findings = self.judge.judge(reference, current)
        known = [judged for judged in history.read(self.connection, KIND, self.model.name) if judged.window.end <= window.start]
        before = known[-1].data if known else {}
        judged = Judged(window, data_of(verdict, findings, reference, current, self.model, before))
        history.save(self.connection, KIND, self.model.name, judged)
        self.connection.commit()
        self.last = report.Found(judged, reference, current, self.model)
        if verdict == DRIFT:
            self.drifted = self.last
        return judged


def judge_windows(options: argparse.Namespace) -> Result:
    models: dict[str, Model] = course.chosen(drift_config.read(), options.model)
    with store.connected() as connection, store.locked(connection, KIND):
        monitors = {name: Monitor(connection, model) for name, model in models.items()}
        judged = course.run(connection, KIND, models, options, lambda _, now: now, lambda name, window: monitors[name].window(window), metrics)
        stale = course.judged_otherwise(connection, KIND, models)
    if not options.no_report:
        for name, monitor in monitors.items():
            if monitor.last:
                report.keep_all(name, monitor.last, monitor.drifted)
    return course.told(KIND, judged, stale, lines_of)


def lines_of(found: list[Judged]) -> list[str]:
    lines = []
    for one in found:
        flagged = [feature for feature, value in one.data["features"].items() if value["flagged"]]
        lines.append(f"{windows.short(one.window.start)}: {one.data['rows']} rows, {one.data['verdict']}{': ' + ', '.join(flagged) if flagged else ''}")
    return lines


def metrics(judged: Judged) -> list[Metric]:
    data = judged.data
    found: list[Metric] = [
        ("model_window_start_timestamp_seconds", {}, epoch(judged.window.start)),
        ("model_drift_last_run_timestamp_seconds", {}, datetime.now().timestamp()),
        ("model_drift_rows", {"window": "reference"}, data["reference_rows"]),
        ("model_drift_rows", {"window": "current"}, data["rows"]),
    ]
    features = data["features"]
    if features:
        found.append(("model_drift_share", {}, sum(feature["flagged"] for feature in features.values()) / len(features)))
    for name, feature in features.items():
        found.append(("model_feature_drift_score", {"feature": name, "method": feature["method"]}, feature["value"]))
        found.append(("model_feature_drift_threshold", {"feature": name}, feature["threshold"]))
        found.append(("model_feature_drift_consecutive_windows", {"feature": name}, feature["consecutive"]))
    return found


def epoch(moment: datetime) -> float:
    """Returns virtual time as seconds, as if it were UTC."""
    return (moment - datetime(1970, 1, 1)).total_seconds()


def past_of(model: str | None) -> Result:
    with store.connected() as connection:
        return history.several(connection, KIND, model, past)


def past(connection: Any, model: str) -> Result:
    found = history.read(connection, KIND, model)
    now = store.now(connection, history.stream_of(model))
    names = list(dict.fromkeys(name for judged in found for name in judged.data["features"]))
    features = {}
    for name in names:
        flagged = [windows.short(judged.window.start) for judged in found if judged.data["features"].get(name, {}).get("flagged")]
        features[name] = {"flagged": flagged, "first_flagged": flagged[0] if flagged else None}
    # Windows of rows begin with a row, and nothing flies at night.
    gaps = sum(other.window.start - one.window.end >= windows.DAY for one, other in itertools.pairwise(found))
    anything = [any(feature["flagged"] for feature in judged.data["features"].values()) for judged in found]
    data = {
        "model": model,
        "now": windows.short(now),
        "windows": [history.describe(judged) for judged in found],
        "n": len(found),
        "covered_from": windows.short(found[0].window.start) if found else None,
        "covered_until": windows.short(found[-1].window.end) if found else None,
        "gaps": gaps,
        "fewest_rows": min((judged.data["rows"] for judged in found), default=0),
        "flagged_windows": sum(anything),
        "most_in_a_row": longest(anything),
        "features": features,
    }
    rows = [
        {
            "window": windows.short(judged.window.start),
            "rows": judged.data["rows"],
            "verdict": judged.data["verdict"],
            "flagged": ", ".join(
                f"{name} {feature['value']:.2f} ({feature['threshold']:.2f})" for name, feature in judged.data["features"].items() if feature["flagged"]
            ),
        }
        for judged in found
    ]
    return Result(data, history.table(("window", "rows", "verdict", "flagged"), rows))


def longest(flags: Sequence[bool]) -> int:
    best = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        best = max(best, run)
    return best


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    output.run_to_end(main)
