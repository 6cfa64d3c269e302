"""The course of a monitor's run, the same for drift and performance: which windows are due, judged one by one, published and held.

It is not for how a window is judged or what is published of it: that is the monitor's (drift.py, perf.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from labtools import output
from labtools.errors import ToolError

from monitoring import history, push, store, windows
from monitoring.history import Judged
from monitoring.push import Metric
from monitoring.windows import Window


def add_options(run: output.Parser) -> None:
    run.add_argument("--again", action="store_true", help="judge windows that were judged before, too")
    run.add_argument("--from", dest="since", metavar="DAY", help="with --again: only windows that end after this day")
    run.add_argument("--model", help="only this model")
    run.add_argument("--no-hold", action="store_true", help="do not wait until each window was seen: no alerts come of it")
    run.add_argument("--no-push", action="store_true", help="only write the history")


def chosen(models: dict[str, Any], name: str | None) -> dict[str, Any]:
    if name is None:
        return models
    if name not in models:
        raise ToolError(f"the configuration has no model {name}; it has {', '.join(models)}")
    return {name: models[name]}


def run(
    connection: Any,
    kind: str,
    models: Mapping[str, Any],
    options: argparse.Namespace,
    until: Callable[[Any, datetime], datetime],
    judge: Callable[[str, Window], Judged],
    metrics: Callable[[Judged], list[Metric]],
) -> dict[str, list[Judged]]:
    """Judges what is due of each model, oldest first; with nothing new the last window is published again.

    `until` says of a model and the present time up to when its windows are complete.
    """
    judged: dict[str, list[Judged]] = {name: [] for name in models}
    pending: dict[str, Sequence[Window]] = {}
    for name, model in models.items():
        if options.again:
            history.forget(connection, kind, name, windows.moment(options.since) if options.since else None)
        known = history.read(connection, kind, name)
        now = until(model, store.now(connection, history.stream_of(name)))
        pending[name] = history.pending(connection, name, model.window, known[-1].window.end if known else None, now)
    connection.commit()
    hold = None if options.no_push or options.no_hold else push.Hold()
    for step in push.steps(pending):
        for name, window in step.items():
            judged[name].append(judge(name, window))
            if not options.no_push:
                push.push(kind, name, metrics(judged[name][-1]))
        if hold:
            hold.until_seen(kind, list(step))
    for name in models:
        known = history.read(connection, kind, name)
        if known and not judged[name] and not options.no_push:
            push.push(kind, name, metrics(known[-1]))
    return judged


def judged_otherwise(connection: Any, kind: str, models: Mapping[str, Any]) -> dict[str, int]:
    """Counts the windows in the history that were judged with another configuration, by model."""
    counts = {name: sum(one.data.get("config") != model.digest for one in history.read(connection, kind, name)) for name, model in models.items()}
    return {name: count for name, count in counts.items() if count}


def told(kind: str, judged: Mapping[str, list[Judged]], stale: Mapping[str, int], lines_of: Callable[[list[Judged]], list[str]]) -> output.Result:
    lines = []
    for name, found in judged.items():
        lines += [f"{name}: {len(found)} windows judged", *(f"  {line}" for line in lines_of(found))]
    for name, count in stale.items():
        lines.append(f"{name}: {count} windows in the history were judged with another configuration; `{kind} run --again` judges them anew")
    data = {"judged": {name: [history.describe(one) for one in found] for name, found in judged.items()}, "judged_otherwise": stale}
    return output.Result(data, "\n".join(lines))
