"""One alert through the whole chain: `trigger drill [--storm]`.

It tells Alertmanager that ModelDegraded fires, with a label that makes it the drill's own, and counts the Jobs that come of it. The
Jobs are suspended, so nothing is trained, and they are taken away again, as is what the pager was told. Without --storm the drill also
asks whether the pager heard of the alert: it must go on hearing what the trigger hears. With --storm the trigger then gets the same notification
five times more, as a repeat interval would send it, and one that the alert has resolved.
"""

from __future__ import annotations

import contextlib
import os
import time
import urllib.parse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from labtools import kubernetes, output, web
from labtools.drill import ignore_signals, interruptible
from labtools.errors import ToolError
from labtools.kubernetes import Object
from labtools.output import Result

from retraining.trigger import DRILL_LABEL, FINGERPRINT, URL

ALERT: Final = "ModelDegraded"
ALERTMANAGER: Final = "http://alertmanager:9093"
# A Job that does not come must be waited for, one that comes is there within seconds.
SECONDS: Final = 40.0
POLL_SECONDS: Final = 0.5
# After the first Job: long enough for a second one.
SETTLE_SECONDS: Final = 3.0
STORM: Final = 5
PAGER: Final = "http://pager:8080"
QUEUE: Final = "page"
# Routes may have waits of their own, so a page has as long as a Job; and a moment where the Job took all of that.
PAGE_SECONDS: Final = 5.0
# How long the end of an alert is waited for that the pager has heard of: it comes after the group's interval.
END_SECONDS: Final = 8.0


def run(*, storm: bool) -> Result:
    drill = os.urandom(4).hex()
    begin, started = datetime.now(UTC), time.monotonic()
    before: list[str] = []
    # Whoever does not answer now has its say at the end.
    with contextlib.suppress(ToolError):
        before = log()
    data: dict[str, Any] = {"drill": drill, "alert": ALERT, "stormed": False}
    with interruptible():
        try:
            tell(drill, begin, begin + timedelta(minutes=10))
            jobs, seconds = wait(drill)
            state, receivers = alert_state(drill)
            data |= {"jobs": len(jobs), "seconds": round(seconds, 1), "alert_state": state, "receivers": receivers}
            if not storm:
                # Without a Job nobody waits any longer.
                data["paged"] = paged(drill, max(started + SECONDS, time.monotonic() + PAGE_SECONDS) if jobs else 0.0)
            if storm and jobs:
                send(jobs[0], drill, begin)
                tell(drill, begin, datetime.now(UTC))
                time.sleep(SETTLE_SECONDS)
                data |= {"jobs": len(drill_jobs(drill)), "stormed": True}
            data["names"] = [job["metadata"]["name"] for job in drill_jobs(drill)]
            data["log"] = last_line(drill, before)
        finally:
            ignore_signals()
            tell(drill, begin, datetime.now(UTC))
            kubernetes.kubectl("delete", "jobs", f"--selector={DRILL_LABEL}={drill}", "--cascade=foreground", "--wait=false")
            # A pager that is down has nothing to forget.
            with contextlib.suppress(ToolError):
                forget(drill)
    page = "" if storm else f"; the pager {'was told' if data['paged'] else 'was not told'}"
    text = f"{data['jobs']} Jobs after {data['seconds']} s; the alert is {state}, for {', '.join(receivers) or 'nobody'}; trigger says: {data['log']}{page}"
    return Result(data, text)


def labels_of(drill: str) -> dict[str, str]:
    return {"alertname": ALERT, "model": "flight-delay", "severity": "page", "drill": drill}


def tell(drill: str, start: datetime, end: datetime) -> None:
    """Tells Alertmanager from when to when the alert fires."""
    alert = {"labels": labels_of(drill), "annotations": {"summary": "a drill: nothing is wrong"}, "startsAt": start.isoformat(), "endsAt": end.isoformat()}
    answer = web.request("POST", f"{ALERTMANAGER}/api/v2/alerts", [alert])
    if answer.status != 200:
        raise ToolError(f"Alertmanager took no alert: HTTP {answer.status} {answer.text[:120]}")


def drill_jobs(drill: str) -> list[Object]:
    return kubernetes.listed("jobs", {DRILL_LABEL: drill})


def wait(drill: str) -> tuple[list[Object], float]:
    """Waits for a Job, and then for a second one that should not come."""
    begin = time.monotonic()
    while time.monotonic() < begin + SECONDS:
        if drill_jobs(drill):
            seconds = time.monotonic() - begin
            time.sleep(SETTLE_SECONDS)
            return drill_jobs(drill), seconds
        time.sleep(POLL_SECONDS)
    return [], time.monotonic() - begin


def pages(drill: str, queue: str | None = None) -> list[dict[str, Any]]:
    """Returns what the pager was told of the alert."""
    found: list[dict[str, Any]] = web.request("GET", f"{PAGER}/alerts?{asked(drill, queue)}").json() or []
    return found


def asked(drill: str, queue: str | None = None) -> str:
    return urllib.parse.urlencode({"drill": drill, **({"queue": queue} if queue else {})})


def paged(drill: str, deadline: float) -> bool:
    """Returns whether the pager was paged; waits for that until the deadline."""
    while not pages(drill, QUEUE):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def forget(drill: str) -> None:
    """Takes the alert's entries out of the pager. Their end is one more, so it is waited for, but not for ever."""
    deadline = time.monotonic() + END_SECONDS
    while (found := pages(drill)) and all(entry["status"] == "firing" for entry in found) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    web.request("DELETE", f"{PAGER}/alerts?{asked(drill)}")


def send(job: Object, drill: str, begin: datetime) -> None:
    """Sends the trigger what Alertmanager has sent it, again and again, and last that it is over."""
    alert = {"labels": labels_of(drill), "annotations": {}, "startsAt": begin.isoformat(), "fingerprint": job["metadata"]["annotations"][FINGERPRINT]}
    for status in ["firing"] * STORM + ["resolved"]:
        answer = web.request("POST", f"{URL}/alert", {"status": status, "alerts": [{**alert, "status": status}]}, seconds=15.0)
        if answer.status != 200:
            output.say(f"trigger answered HTTP {answer.status}: {answer.text[:120]}")


def alert_state(drill: str) -> tuple[str, list[str]]:
    """Returns what Alertmanager says of the alert, and whom it tells."""
    answer = web.request("GET", f"{ALERTMANAGER}/api/v2/alerts?filter=drill%3D%22{drill}%22")
    for alert in answer.json() or []:
        return alert["status"]["state"], [receiver["name"] for receiver in alert["receivers"]]
    return "absent", []


def log() -> list[str]:
    """Returns what the trigger has logged."""
    lines: list[str] = (web.request("GET", f"{URL}/log").json() or {}).get("log", [])
    return lines


def last_line(drill: str, before: Sequence[str]) -> str:
    """Returns what the trigger logged last about the drill's alert, or else what it logged last since; "nothing" if it was silent.

    An alert that it could not handle is logged as an error, without its labels.
    """
    try:
        lines = [line for line in log() if line not in before]
    except ToolError as error:
        return str(error)
    return next((line for line in reversed(lines) if drill in line), lines[-1] if lines else "nothing")
