"""Which alert starts a training Job: key `trigger.yaml` of ConfigMap `trigger`.

alerts: [ModelDegraded]                  # no other alert starts a Job
cooldownDays: 7                          # of virtual time after a Job was started: a ticket instead of a Job
jobName: retrain-{fingerprint}-{day}     # the same name is the same Job: {fingerprint}, {day} (virtual), {time} (of arrival)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import yaml
from labtools.errors import ToolError

from retraining.trigger_log import Started

FIELDS: Final = ("alerts", "cooldownDays", "jobName")
EVERY: Final = "*"
START: Final = "start"
TICKET: Final = "ticket"
NOTHING: Final = "nothing"
PLACEHOLDERS: Final = ("fingerprint", "day", "time")
NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Rules:
    alerts: Sequence[str]
    cooldown_days: int
    job_name: str


@dataclass(frozen=True)
class Alert:
    """One alert of a notification. `drill` is the label by which an exercise knows its own."""

    name: str
    status: str
    fingerprint: str
    drill: str | None = None

    @staticmethod
    def read(entry: Mapping[str, Any]) -> Alert:
        labels = entry.get("labels", {})
        return Alert(str(labels.get("alertname", "")), str(entry.get("status", "")), str(entry.get("fingerprint", "")), labels.get("drill"))


@dataclass(frozen=True)
class Decision:
    action: str
    job: str | None
    reason: str


def parse(text: str) -> Rules:
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ToolError(f"trigger.yaml can't be read: {error}") from error
    if not isinstance(given, dict) or set(given) != set(FIELDS):
        raise ToolError(f"trigger.yaml needs the fields {', '.join(FIELDS)}, and no others")
    alerts, days, name = (given[field] for field in FIELDS)
    if not isinstance(alerts, list) or not all(isinstance(alert, str) for alert in alerts):
        raise ToolError("trigger.yaml: alerts must be a list of names")
    if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= 365:
        raise ToolError(f"trigger.yaml: cooldownDays is {days!r}; it must be a number of days from 0 to 365")
    if not isinstance(name, str):
        raise ToolError("trigger.yaml: jobName must be a text")
    rules = Rules(alerts, days, name)
    job_name(rules, "0" * 16, datetime(2013, 1, 1), datetime(2013, 1, 1))
    return rules


def job_name(rules: Rules, fingerprint: str, virtual: datetime, arrival: datetime) -> str:
    values = {"fingerprint": fingerprint, "day": f"{virtual:%Y%m%d}", "time": f"{arrival:%H%M%S%f}"}
    try:
        name = rules.job_name.format(**values)
    except (KeyError, IndexError, ValueError) as error:
        allowed = ", ".join(f"{{{word}}}" for word in PLACEHOLDERS)
        raise ToolError(f"trigger.yaml: jobName {rules.job_name!r} may have {allowed} and nothing else in braces") from error
    if not NAME.fullmatch(name):
        raise ToolError(f"trigger.yaml: jobName gives {name!r}, which is no name for a Job")
    return name


def decide(rules: Rules, alert: Alert, virtual: datetime, arrival: datetime, started: Sequence[Started]) -> Decision:
    """Says what to do about an alert; `started` are the Jobs that alerts started before."""
    if alert.status != "firing":
        return Decision(NOTHING, None, f"the alert is {alert.status or 'without status'}")
    if EVERY not in rules.alerts and alert.name not in rules.alerts:
        return Decision(NOTHING, None, f"alert {alert.name} starts no Job")
    job = job_name(rules, alert.fingerprint, virtual, arrival)
    if any(item.job == job for item in started):
        return Decision(NOTHING, job, "there is a Job for this alert and day")
    # A drill neither waits for a cooldown nor begins one.
    last = max((item.at for item in started), default=None)
    if alert.drill is None and last is not None and virtual - last < timedelta(days=rules.cooldown_days):
        return Decision(TICKET, job, f"the last retraining was started on {last:%Y-%m-%d}, less than {rules.cooldown_days} days ago")
    return Decision(START, job, "no Job was started for this alert and day")
