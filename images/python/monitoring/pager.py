"""The on-call phone of a lab: `python3 -m monitoring.pager`.

It takes what Alertmanager sends to a webhook and keeps it for people and for checks:

    POST /                 a notification; with ?queue=tickets it is no page but a ticket
    GET /alerts            what came, oldest first; ?queue=page or ?queue=tickets for one of the two
    DELETE /alerts         forgets it: all, or one queue
    GET /                  the same as a page to look at
    GET /healthz

All that show or forget alerts take labels, too, for those only: ?alertname=FeatureDrift&feature=hour&feature=carrier is FeatureDrift of one of
the two features. An alert is kept once for each time it began and once for each time it ended; repeats only count. With it goes the window of
data that was current when it came: Prometheus is asked for model_window_start_timestamp_seconds of the alert's model then,
because later it knows only the last one. Several jobs publish windows of a model, each at its own pace: the window is that of the
alert's own job or, where the alert has no label job, the one that was pushed last. An entry is

    {"queue", "status": "firing" or "resolved", "labels", "annotations", "startsAt", "endsAt", "fingerprint",
     "receivedAt", "count", "window": "2013-04-16" or null, "windowStart": seconds or null}

Environment: PROMETHEUS_URL (http://prometheus:9090), PAGER_FILE (/data/alerts.json: survives a restart of the container),
PORT (8080). Standard library only.
"""

from __future__ import annotations

import html
import json
import logging
import os
import re
import signal
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

logger = logging.getLogger("pager")

# The oldest entries go when there are more.
MOST_ENTRIES: Final = 2000
MOST_BYTES: Final = 1 << 20
ASK_SECONDS: Final = 2.0
PAGE: Final = "page"
QUEUE: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
KEPT: Final = ("labels", "annotations", "startsAt", "endsAt", "fingerprint")

Entry = dict[str, Any]


class RefusalError(Exception):
    """A request that can't be served; the text says why."""


def window_query(model: str, job: str) -> str:
    """Returns the query for the start of the window that was pushed last for a model: by that job, or by any for ""."""
    # A JSON string is one of PromQL, too.
    labels = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in (("model", model), ("job", job)) if value)
    return f"model_window_start_timestamp_seconds{{{labels}}} and on (model, job) topk(1, push_time_seconds{{{labels}}})"


def window_of(model: str, job: str) -> float | None:
    """Asks Prometheus when the current window of a model begins."""
    query = urllib.parse.urlencode({"query": window_query(model, job)})
    url = f"{os.environ.get('PROMETHEUS_URL', 'http://prometheus:9090').rstrip('/')}/api/v1/query?{query}"
    try:
        with urllib.request.urlopen(url, timeout=ASK_SECONDS) as answer:
            result = json.load(answer)["data"]["result"]
        return float(result[0]["value"][1]) if result else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("no window of model %s: %s", model, error)
        return None


def source(alert: Mapping[str, Any]) -> tuple[str, str]:
    """Returns model and job of an alert, "" where it has none."""
    return str(alert["labels"].get("model", "")), str(alert["labels"].get("job", ""))


def date(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


@dataclass(frozen=True)
class Filter:
    """Which entries are meant: those of a queue (None: of any) whose labels have one of the values given for each name."""

    queue: str | None = None
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, query: str) -> Filter:
        labels = urllib.parse.parse_qs(query, keep_blank_values=True)
        queue = labels.pop("queue", [None])[0]
        if queue is not None and not QUEUE.fullmatch(queue):
            raise RefusalError("a queue is a short word in small letters")
        return cls(queue, labels)

    def has(self, entry: Entry) -> bool:
        return self.queue in (None, entry["queue"]) and all(entry["labels"].get(name) in values for name, values in self.labels.items())


class Pager:
    """What came, in memory and in a file."""

    def __init__(self, file: Path, ask: Callable[[str, str], float | None] = window_of) -> None:
        self.file = file
        self.ask = ask
        self.lock = threading.Lock()
        self.entries: list[Entry] = []
        try:
            self.entries = json.loads(file.read_text())
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            logger.warning("%s: %s", file, error)

    def receive(self, queue: str, notification: Any) -> int:
        """Keeps the alerts of a notification and returns their number."""
        alerts = notification.get("alerts") if isinstance(notification, dict) else None
        if not isinstance(alerts, list) or not all(isinstance(alert, dict) and isinstance(alert.get("labels"), dict) for alert in alerts):
            raise RefusalError("this is no notification of Alertmanager: it has no list of alerts with labels")
        sources = {source(alert) for alert in alerts if "model" in alert["labels"]}
        # Asked without the lock: it takes time.
        windows = {(model, job): self.ask(model, job) for model, job in sorted(sources)}
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self.lock:
            for alert in alerts:
                self.keep(queue, alert, windows.get(source(alert)), now)
            del self.entries[:-MOST_ENTRIES]
            self.save()
        return len(alerts)

    def keep(self, queue: str, alert: Mapping[str, Any], window: float | None, now: str) -> None:
        entry: Entry = {"queue": queue, "status": str(alert.get("status", "firing")), **{key: alert.get(key) for key in KEPT}}
        if entry["status"] == "firing":
            # Alertmanager writes an end in the year 1 for what has not ended.
            entry["endsAt"] = None
        for known in reversed(self.entries):
            if all(known[key] == entry[key] for key in ("queue", "status", "labels", "startsAt")):
                known["count"] += 1
                return
        self.entries.append({**entry, "receivedAt": now, "count": 1, "window": date(window), "windowStart": window})
        logger.info("%s %s %s, window %s", queue, entry["status"], named(entry["labels"]), date(window))

    def listed(self, wanted: Filter) -> list[Entry]:
        with self.lock:
            return [dict(entry) for entry in self.entries if wanted.has(entry)]

    def forget(self, wanted: Filter) -> int:
        with self.lock:
            before = len(self.entries)
            self.entries = [entry for entry in self.entries if not wanted.has(entry)]
            self.save()
            return before - len(self.entries)

    def save(self) -> None:
        """Writes the file in one step. A full or missing volume costs the memory across a restart, nothing else."""
        try:
            new = self.file.with_suffix(".new")
            new.write_text(json.dumps(self.entries))
            new.replace(self.file)
        except OSError as error:
            logger.warning("%s: %s", self.file, error)


def named(labels: Mapping[str, str]) -> str:
    """Writes `ModelDegraded{model=sea}`."""
    inner = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "alertname")
    return f"{labels.get('alertname', 'alert')}{{{inner}}}"


STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1d2330; background: #f6f7f9 }
h1 { font-size: 1.3rem } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem }
table { border-collapse: collapse; width: 100%; background: #fff; box-shadow: 0 1px 2px #0002 }
th, td { text-align: left; vertical-align: top; padding: .45rem .7rem; border-top: 1px solid #e6e8ee } th { border: 0; color: #5b6478; font-weight: 500 }
.firing { color: #b3261e; font-weight: 600 } .resolved { color: #1a7f4b } .label { color: #5b6478; font-size: .88em } .none { color: #5b6478 }
"""


def page(entries: Sequence[Entry]) -> str:
    """Writes what came as a page, newest first."""
    sections = []
    for queue in sorted({PAGE, "tickets", *(entry["queue"] for entry in entries)}):
        mine = [entry for entry in reversed(entries) if entry["queue"] == queue]
        title = {"page": "Pages", "tickets": "Tickets"}.get(queue, queue)
        body = table(mine) if mine else '<p class="none">Nothing.</p>'
        sections.append(f"<h2>{html.escape(title)} ({len(mine)})</h2>{body}")
    head = f'<meta charset="utf-8"><meta http-equiv="refresh" content="10"><title>Pager</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>Pager</h1>{"".join(sections)}</body></html>'


def table(entries: Sequence[Entry]) -> str:
    rows = []
    for entry in entries:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(entry["labels"].items()) if key != "alertname")
        said = " ".join(str(text) for text in (entry["annotations"] or {}).values())
        what = f"{html.escape(str(entry['labels'].get('alertname', '')))}<br><span class=label>{html.escape(labels)}</span>"
        status = html.escape(entry["status"])
        cells = [f'<span class="{status}">{status}</span>', what, html.escape(said), html.escape(entry["window"] or "-"), html.escape(entry["receivedAt"][:19])]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("Status", "Alert", "Says", "Window", "Received (UTC)"))
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def handler(pager: Pager) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            self.answer(self.read)

        def do_POST(self) -> None:
            self.answer(self.take)

        def do_DELETE(self) -> None:
            self.answer(self.drop)

        def answer(self, action: Callable[[str, Filter], Any]) -> None:
            """Reads the body in any case, so that the connection can serve the next request."""
            parts = urllib.parse.urlsplit(self.path)
            try:
                status, found = 200, action(parts.path, Filter.of(parts.query))
            except RefusalError as refusal:
                status, found = 400, {"error": str(refusal)}
                self.close_connection = True
            if found is None:
                status, found = 404, {"error": f"there is no {self.command} {parts.path}"}
                self.close_connection = True
            kind = "text/html; charset=utf-8" if isinstance(found, str) else "application/json"
            content = (found if isinstance(found, str) else json.dumps(found)).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def read(self, path: str, wanted: Filter) -> Any:
            if path == "/healthz":
                return {"status": "ok"}
            if path == "/alerts":
                return pager.listed(wanted)
            return page(pager.listed(wanted)) if path == "/" else None

        def take(self, path: str, wanted: Filter) -> Any:
            length = int(self.headers.get("Content-Length") or 0)
            if length > MOST_BYTES:
                raise RefusalError(f"a notification of {length} bytes is too long")
            content = self.rfile.read(length)
            if path != "/":
                return None
            try:
                notification = json.loads(content)
            except ValueError as error:
                raise RefusalError(f"this is no JSON: {error}") from error
            return {"received": pager.receive(wanted.queue or PAGE, notification)}

        def drop(self, path: str, wanted: Filter) -> Any:
            return {"forgotten": pager.forget(wanted)} if path == "/alerts" else None

        def log_message(self, *_: Any) -> None:
            """Nothing: alerts are logged when they come, and probes are no news."""

    return Handler


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    pager = Pager(Path(os.environ.get("PAGER_FILE", "/data/alerts.json")))
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), handler(pager))
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    logger.info("listening on port %d, %d alerts kept", server.server_address[1], len(pager.entries))
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
