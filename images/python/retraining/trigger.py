"""From an alert to a training Job: `trigger serve|load|evaluate|drill`.

`serve` is Deployment trigger: a receiver for Alertmanager's webhooks. For a firing alert that its rules name it makes one Job from
CronJob retrain, under a name that belongs to the alert and the virtual day, so that the same notification again is the same Job. It
needs two rights: get the CronJob, create Jobs.

    POST /alert      a notification of Alertmanager; an error is a 500, so that Alertmanager tries again
    GET  /log        the last decisions, newest last
    GET  /rules      the rules as they are read at the moment
    GET  /healthz

`load` brings a changed ConfigMap trigger into force at once, which the node would do within a minute or so. `evaluate --fixtures
SET` runs the rules on recorded alerts; `drill [--storm]` sends an alert through Alertmanager and counts Jobs.

Environment of `serve`: TRIGGER_POLICY (/etc/trigger/trigger.yaml), PAGER_URL (http://pager:8080), PORT (8080), and the database.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from labtools import candidates, kubernetes, output, web
from labtools.errors import ToolError
from labtools.output import Result
from monitoring import store

from retraining import trigger_log, trigger_rules
from retraining.trigger_log import Started
from retraining.trigger_rules import Alert, Decision, Rules

logger = logging.getLogger("trigger")

CONFIG_MAP: Final = "trigger"
KEY: Final = "trigger.yaml"
CRON_JOB: Final = "retrain"
FIRST_DAY: Final = "2013-07-03"
LOG_LINES: Final = 100
MOST_BYTES: Final = 1 << 20
URL: Final = "http://trigger:8080"
# A node looks at its ConfigMaps once a minute or so, and when a pod of its own changes.
LOAD_SECONDS: Final = 100.0
LOOK_SECONDS: Final = 1.0
DRILL_LABEL: Final = "mlops/drill"
FINGERPRINT: Final = "mlops/fingerprint"


def parser() -> output.Parser:
    top = output.Parser(prog="trigger", description="Makes a training Job of an alert.")
    commands = top.add_subparsers(dest="command", required=True, parser_class=output.Parser, metavar="COMMAND")
    commands.add_parser("serve", help="receive Alertmanager's webhooks")
    commands.add_parser("load", help="bring a changed ConfigMap trigger into force at once")
    evaluate = commands.add_parser("evaluate", help="run the rules on recorded alerts")
    evaluate.add_argument("--fixtures", required=True, metavar="SET", help="labelled cases of the image")
    drill = commands.add_parser("drill", help="send an alert through Alertmanager, and count the Jobs that come of it")
    drill.add_argument("--storm", action="store_true", help="then send it five times more, and that it has resolved")
    return top


# --- Jobs


def manifest(cron_job: Mapping[str, Any], job: str, alert: Alert, virtual: datetime) -> dict[str, Any]:
    """Returns the Job for an alert. One for a drill is made suspended: it is there, and does nothing.

    It trains for the moment of the alert, however long its pod takes to start: the lab's clock may have gone on by then.
    """
    template = json.loads(json.dumps(cron_job["spec"]["jobTemplate"]))
    pod = template["spec"]["template"]["spec"]
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        others = [entry for entry in container.get("env", []) if entry["name"] != "NOW"]
        container["env"] = [*others, {"name": "NOW", "value": virtual.isoformat()}]
    labels = {**template.get("metadata", {}).get("labels", {}), "app": CRON_JOB}
    labels |= {DRILL_LABEL: alert.drill} if alert.drill else {"mlops/started-by": "trigger"}
    annotations = {**template.get("metadata", {}).get("annotations", {}), FINGERPRINT: alert.fingerprint, "mlops/alert": alert.name}
    metadata = {"name": job, "labels": labels, "annotations": {**annotations, "mlops/virtual-day": virtual.date().isoformat()}}
    spec = {**template["spec"], **({"suspend": True} if alert.drill else {})}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def make(alert: Alert, job: str, virtual: datetime) -> None:
    """Makes the Job; one that is there already is as good."""
    cron_job = kubernetes.get("cronjob", CRON_JOB)
    if cron_job is None:
        raise ToolError(f"there is no CronJob {CRON_JOB}")
    try:
        kubernetes.create([manifest(cron_job, job, alert, virtual)])
    except ToolError as error:
        if "AlreadyExists" not in str(error):
            raise


class Trigger:
    """Decides about one notification after the other."""

    def __init__(self, policy: Path, pager: str) -> None:
        self.policy = policy
        self.pager = pager
        self.lock = threading.Lock()
        self.log: deque[str] = deque(maxlen=LOG_LINES)

    def note(self, text: str) -> None:
        self.log.append(f"{datetime.now(UTC):%H:%M:%S} {text}")
        logger.info("%s", text)

    def text(self) -> str | None:
        return self.policy.read_text() if self.policy.exists() else None

    def rules(self) -> Rules:
        text = self.text()
        if text is None:
            raise ToolError(f"there are no rules at {self.policy}: ConfigMap {CONFIG_MAP} has no key {KEY}")
        return trigger_rules.parse(text)

    def receive(self, notification: Any) -> list[Decision]:
        """Does what the rules say about each alert; raises ToolError when it could not be done."""
        entries = notification.get("alerts") if isinstance(notification, dict) else None
        if not isinstance(entries, list):
            raise ValueError("this is no notification of Alertmanager: it has no list of alerts")
        with self.lock:
            try:
                return [self.handle(Alert.read(entry)) for entry in entries]
            except ToolError as error:
                self.note(f"error: {error}")
                raise

    def handle(self, alert: Alert) -> Decision:
        rules = self.rules()
        with store.connected() as connection:
            virtual = store.now(connection)
            decision = trigger_rules.decide(rules, alert, virtual, datetime.now(UTC), trigger_log.started(connection))
        action = decision.action
        if action == trigger_rules.START:
            make(alert, str(decision.job), virtual)
            action = trigger_log.STARTED
        elif action == trigger_rules.TICKET:
            self.ticket(alert, decision, virtual)
        if action != trigger_rules.NOTHING:
            with store.connected() as connection:
                trigger_log.add(connection, virtual, alert.name, alert.fingerprint, action, decision.job, decision.reason, alert.drill)
        whose = f" of drill {alert.drill}" if alert.drill else ""
        self.note(f"{alert.name} {alert.status} {alert.fingerprint}{whose}: {action}{f' {decision.job}' if decision.job else ''}, {decision.reason}")
        return decision

    def ticket(self, alert: Alert, decision: Decision, virtual: datetime) -> None:
        """Tells people that the alarm went on, and that nothing was started for it."""
        labels = {"alertname": "RetrainingWaits", "model": "flight-delay", "severity": "ticket", "for": alert.name}
        began = virtual.replace(tzinfo=UTC).isoformat()
        entry = {"status": "firing", "labels": labels, "annotations": {"summary": decision.reason}, "startsAt": began, "fingerprint": alert.fingerprint}
        answer = web.request("POST", f"{self.pager}/?queue=tickets", {"alerts": [entry]})
        if answer.status != 200:
            raise ToolError(f"the pager took no ticket: HTTP {answer.status} {answer.text[:100]}")


# --- server


def handler(trigger: Trigger) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            if self.path == "/healthz":
                self.answer(200, {"status": "ok"})
            elif self.path == "/log":
                self.answer(200, {"log": list(trigger.log)})
            elif self.path == "/rules":
                self.answer(200, {"rules": trigger.text()})
            else:
                self.answer(404, {"error": f"there is no GET {self.path}"})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.path != "/alert" or length > MOST_BYTES:
                self.answer(404 if self.path != "/alert" else 413, {"error": f"there is no POST {self.path}, or it is too long"})
                return
            try:
                decisions = trigger.receive(json.loads(self.rfile.read(length)))
            except ToolError as error:
                self.answer(500, {"error": str(error)})
            except ValueError as error:
                self.answer(400, {"error": str(error)})
            else:
                self.answer(200, {"decisions": [{"action": item.action, "job": item.job, "reason": item.reason} for item in decisions]})

        def answer(self, status: int, data: Any) -> None:
            content = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing: decisions are logged when they are made, and probes are no news."""

    return Handler


def serve() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    trigger = Trigger(Path(os.environ.get("TRIGGER_POLICY", "/etc/trigger/trigger.yaml")), os.environ.get("PAGER_URL", "http://pager:8080"))
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), handler(trigger))
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    logger.info("listening on port %d", server.server_address[1])
    server.serve_forever()
    return 0


# --- recorded alerts


def text_of_lab() -> str:
    found = kubernetes.get("configmap", CONFIG_MAP)
    text = (found or {}).get("data", {}).get(KEY)
    if text is None:
        raise ToolError(f"ConfigMap {CONFIG_MAP} has no key {KEY}" if found else f"there is no ConfigMap {CONFIG_MAP}")
    return str(text)


def load() -> Result:
    """Makes the node bring the ConfigMap to the pod now, and waits until it is there."""
    text = text_of_lab()
    # Read first: rules that can't be read are better not in force.
    trigger_rules.parse(text)
    deadline = time.monotonic() + LOAD_SECONDS
    while (web.request("GET", f"{URL}/rules").json() or {}).get("rules") != text:
        if time.monotonic() > deadline:
            raise ToolError(f"the pod of trigger does not have the rules after {LOAD_SECONDS:g} s")
        kubernetes.kubectl("annotate", "pods", "--selector=app=trigger", f"lab/config-rev={time.time_ns()}", "--overwrite")
        time.sleep(LOOK_SECONDS)
    return Result({"loaded": True}, "the rules of ConfigMap trigger are in force")


def evaluate(rules: Rules, fixtures: Path) -> Result:
    try:
        described: list[Mapping[str, Any]] = json.loads((fixtures / "cases.json").read_text())
    except OSError as error:
        raise ToolError(f"there are no fixtures in {fixtures}") from error
    cases: list[dict[str, Any]] = []
    for case in described:
        found, expected = words(play(rules, case["alerts"])), words(case["expected"])
        cases.append({"name": case["name"], "words": case["words"], "found": found, "expected": expected})
    lines = []
    for case in cases:
        word = "ok " if case["found"] == case["expected"] else "NOT"
        lines.append(f"{word} {case['name']:16} {case['found']:18} expected {case['expected']:18} {case['words']}")
    return Result({"cases": cases, "agree": all(case["found"] == case["expected"] for case in cases)}, "\n".join(lines))


def play(rules: Rules, alerts: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """Counts what comes of alerts that arrive a second apart."""
    started: list[Started] = []
    count = {"jobs": 0, "tickets": 0}
    for second, entry in enumerate(alerts):
        virtual = datetime.fromisoformat(entry.get("day", FIRST_DAY))
        alert = Alert(entry["alert"], entry.get("status", "firing"), "5c1f9a3be27d0846")
        decision = trigger_rules.decide(rules, alert, virtual, datetime(2013, 7, 3, 12, 0, second), started)
        if decision.action == trigger_rules.START:
            started.append(Started(str(decision.job), virtual))
            count["jobs"] += 1
        elif decision.action == trigger_rules.TICKET:
            count["tickets"] += 1
    return count


def words(count: Mapping[str, int]) -> str:
    return f"{count['jobs']} Job{'' if count['jobs'] == 1 else 's'}, {count['tickets']} ticket{'' if count['tickets'] == 1 else 's'}"


def run(options: argparse.Namespace) -> Result:
    if options.command == "evaluate":
        return evaluate(trigger_rules.parse(text_of_lab()), candidates.FIXTURES / options.fixtures)
    if options.command == "load":
        return load()
    from retraining import trigger_drill

    return trigger_drill.run(storm=options.storm)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    action: Callable[[], int] = serve if options.command == "serve" else lambda: output.main(options, run)
    return action()


if __name__ == "__main__":
    sys.exit(main())
