"""Publishes what a monitor found in a window as gauges of the Pushgateway, and holds each until it was seen.

Prometheus knows only the real clock, so a window has to stay in force until it was scraped and the rules were evaluated on it: a window
that the next one replaces earlier would never have existed. Where an alert begins or ends, it stays until Alertmanager knows of that, too,
and had time to tell: an alert that ends and begins again in between would be no news to it, and nobody would hear.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from labtools import output, prometheus, web
from labtools.errors import ToolError

GROUP: Final = "/metrics/job/{job}/model/{model}"
HOLD_SECONDS: Final = 45.0
POLL_SECONDS: Final = 0.2
# An evaluation is of its appointed time, a little before the moment at which it is said to have begun.
MARGIN_SECONDS: Final = 0.3
# From Prometheus to Alertmanager. For up to 5 s after a reload Prometheus knows of no Alertmanager and drops what it has to send
# (prometheus/prometheus issue 13064); then it comes with the resend delay, 15 s.
ARRIVE_SECONDS: Final = 30.0
# Alertmanager's group_wait and group_interval, and the way to the receiver.
ALERT_SECONDS: Final = 2.5

Metric = tuple[str, dict[str, str], float | None]


def url() -> str:
    return os.environ.get("PUSHGATEWAY_URL", "http://pushgateway:9091").rstrip("/")


def text_of(metrics: Sequence[Metric]) -> str:
    """Writes gauges in Prometheus' text format; one without value is left out, for absent is not zero."""
    lines = []
    names: dict[str, list[Metric]] = {}
    for metric in metrics:
        names.setdefault(metric[0], []).append(metric)
    for name, group in names.items():
        lines.append(f"# TYPE {name} gauge")
        for _, labels, value in group:
            if value is not None:
                said = ",".join(f"{key}={json.dumps(text)}" for key, text in labels.items())
                lines.append(f"{name}{{{said}}} {float(value)!r}")
    return "\n".join(lines) + "\n"


def push(job: str, model: str, metrics: Sequence[Metric]) -> None:
    """Replaces the group of the job and model."""
    labelled = [(name, {"model": model, **labels}, value) for name, labels, value in metrics]
    request = urllib.request.Request(url() + GROUP.format(job=job, model=model), text_of(labelled).encode(), method="PUT")
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.HTTPError as error:
        raise ToolError(f"the Pushgateway answered {error.code}: {error.read().decode(errors='replace').strip()[:200]}") from error
    except OSError as error:
        raise ToolError(f"the Pushgateway does not answer: {error}") from error


def pushed_at(job: str, model: str) -> float:
    """Returns when the group was pushed last, as the Pushgateway says."""
    for group in (web.request("GET", f"{url()}/api/v1/metrics", seconds=10).json() or {}).get("data", []):
        if group.get("labels", {}).get("job") == job and group.get("labels", {}).get("model") == model:
            return float(group["push_time_seconds"]["metrics"][0]["value"])
    return 0.0


class Hold:
    """Waits until pushes were seen by Prometheus and its rules."""

    def __init__(self) -> None:
        self.firing = self.alerts()

    def alerts(self) -> set[str]:
        try:
            found = prometheus.ask("alerts")["alerts"]
        except ToolError:
            return set()
        return {key(alert["labels"]) for alert in found if alert["state"] == "firing"}

    def until_seen(self, job: str, models: Sequence[str]) -> bool:
        """Returns whether the pushes were seen in time; a Prometheus that is away is said and not waited for twice."""
        wanted = {model: pushed_at(job, model) for model in models}
        deadline = time.monotonic() + HOLD_SECONDS
        reason = "no scrape"
        # The first scrape that has them; later ones come as often as evaluations do.
        scraped: float | None = None
        while time.monotonic() < deadline:
            try:
                if scraped is None:
                    scraped = self.scraped(job, wanted)
                if scraped is not None and self.evaluated(scraped):
                    self.alerted()
                    return True
                reason = "no scrape" if scraped is None else "no evaluation of the rules"
            except ToolError as error:
                reason = str(error)
            time.sleep(POLL_SECONDS)
        output.say(f"nobody saw this push in {HOLD_SECONDS:g} s ({reason}); no alert can come of it")
        return False

    def scraped(self, job: str, wanted: dict[str, float]) -> float | None:
        """Returns when the last of the pushes was scraped, or nothing while one was not."""
        query = f'push_time_seconds{{job="{job}"}}'
        values = {sample.labels.get("model", ""): sample.value for sample in prometheus.query(query)}
        if any(values.get(model, 0.0) < pushed - 0.001 for model, pushed in wanted.items()):
            return None
        times = {sample.labels.get("model", ""): sample.value for sample in prometheus.query(f"timestamp({query})")}
        return max(times.get(model, 0.0) for model in wanted)

    def evaluated(self, since: float) -> bool:
        groups = prometheus.ask("rules")["groups"]
        return all(seconds(str(group["lastEvaluation"])) >= since + MARGIN_SECONDS for group in groups)

    def alerted(self) -> None:
        firing = self.alerts()
        if changed := firing ^ self.firing:
            self.arrived(changed, firing & changed)
            time.sleep(ALERT_SECONDS)
        self.firing = firing

    def arrived(self, changed: set[str], begun: set[str]) -> None:
        """Waits until Alertmanager knows which of the changed alerts have begun and which have ended."""
        deadline = time.monotonic() + ARRIVE_SECONDS
        while time.monotonic() < deadline:
            try:
                known = {key(labels) for labels in prometheus.alertmanager_alerts()}
            except ToolError:
                return
            if known & changed == begun:
                return
            time.sleep(POLL_SECONDS)


def key(labels: Mapping[str, str]) -> str:
    return json.dumps(labels, sort_keys=True)


def seconds(stamp: str) -> float:
    """Reads Prometheus' times, which have nanoseconds."""
    whole, _, rest = stamp.partition(".")
    digits = rest.rstrip("Z").split("+")[0].split("-")[0]
    zone = stamp[len(whole) + 1 + len(digits) :] if rest else ""
    base = whole.rstrip("Z") + ("+00:00" if stamp.endswith("Z") else zone)
    return datetime.fromisoformat(base).timestamp() + (float(f"0.{digits}") if digits else 0.0)


def steps(pending: dict[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Puts the windows of several models side by side, so that they share a hold."""
    longest = max((len(items) for items in pending.values()), default=0)
    return [{model: items[number] for model, items in pending.items() if number < len(items)} for number in range(longest)]
