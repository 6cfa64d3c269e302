"""The on-call phone: what it keeps of notifications, and how it gives it back."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import programs
import pytest
import yaml
from listening import listening
from monitoring import pager

APRIL_16 = 1366070400.0
MAY_28 = 1369699200.0


def alert(name: str, status: str = "firing", starts: str = "2026-11-25T15:00:00Z", **labels: str) -> dict[str, Any]:
    ends = "0001-01-01T00:00:00Z" if status == "firing" else "2026-11-25T15:10:00Z"
    return {
        "status": status,
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": "ratio <2.35>"},
        "startsAt": starts,
        "endsAt": ends,
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "f1",
    }


class Phone:
    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        self.connection.request(method, path, None if body is None else body if isinstance(body, bytes) else json.dumps(body))
        answer = self.connection.getresponse()
        content = answer.read().decode()
        return answer.status, json.loads(content) if answer.headers["Content-Type"] == "application/json" else content


@pytest.fixture
def kept(tmp_path: Path) -> pager.Pager:
    windows = {("flight-delay", ""): APRIL_16, ("flight-delay", "drift"): MAY_28}
    return pager.Pager(tmp_path / "alerts.json", lambda model, job: windows.get((model, job)))


@pytest.fixture
def phone(kept: pager.Pager) -> Iterator[Phone]:
    with listening(pager.handler(kept)) as port:
        yield Phone(port)


def test_alerts_are_kept_with_the_window_that_was_current(phone: Phone) -> None:
    assert phone("POST", "/", {"alerts": [alert("ModelDegraded", model="flight-delay"), alert("DriftJobStale")]}) == (200, {"received": 2})
    assert phone("POST", "/?queue=tickets", {"alerts": [alert("FeatureDrift", model="sea", feature="f1")]})[0] == 200
    status, pages = phone("GET", "/alerts?queue=page")
    assert status == 200
    assert [(entry["labels"]["alertname"], entry["window"], entry["windowStart"]) for entry in pages] == [
        ("ModelDegraded", "2013-04-16", APRIL_16),
        ("DriftJobStale", None, None),
    ]
    assert (pages[0]["status"], pages[0]["endsAt"], pages[0]["annotations"]) == ("firing", None, {"summary": "ratio <2.35>"})
    assert [entry["labels"]["feature"] for entry in phone("GET", "/alerts?queue=tickets")[1]] == ["f1"]
    assert len(phone("GET", "/alerts")[1]) == 3


def test_the_window_is_that_of_the_alert_s_own_job(phone: Phone) -> None:
    phone("POST", "/", {"alerts": [alert("ModelDegraded", model="flight-delay"), alert("FeatureDrift", model="flight-delay", job="drift")]})
    assert [entry["window"] for entry in phone("GET", "/alerts")[1]] == ["2013-04-16", "2013-05-28"]


# What the Pushgateway has while perf publishes the spring once more, long after drift saw the last week of May.
SERIES = {
    'model_window_start_timestamp_seconds{job="drift",model="flight-delay"}': MAY_28,
    'push_time_seconds{job="drift",model="flight-delay"}': 100,
    'model_window_start_timestamp_seconds{job="perf",model="flight-delay"}': APRIL_16,
    'push_time_seconds{job="perf",model="flight-delay"}': 200,
    'model_window_start_timestamp_seconds{job="perf",model="sea"}': 7,
    'push_time_seconds{job="perf",model="sea"}': 300,
}


@pytest.mark.parametrize(
    ("model", "job", "expected"),
    [("flight-delay", "", APRIL_16), ("flight-delay", "perf", APRIL_16), ("flight-delay", "drift", MAY_28), ("sea", "", 7), ('a "b" ü\\', "", None)],
)
def test_the_window_asked_for(tmp_path: Path, model: str, job: str, expected: float | None) -> None:
    programs.need("promtool")
    samples = [] if expected is None else [{"labels": name, "value": value} for name, value in SERIES.items() if value == expected]
    case = {
        "interval": "5s",
        "input_series": [{"series": name, "values": str(value)} for name, value in SERIES.items()],
        "promql_expr_test": [{"expr": pager.window_query(model, job), "eval_time": "0s", "exp_samples": samples}],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "5s", "tests": [case]}))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_repeat_is_counted_an_end_and_a_new_beginning_are_kept(phone: Phone) -> None:
    for item in (alert("A"), alert("A"), alert("A", "resolved"), alert("A", starts="2026-11-25T15:20:00Z")):
        phone("POST", "/", {"alerts": [item]})
    entries = phone("GET", "/alerts")[1]
    assert [(entry["status"], entry["startsAt"][11:16], entry["count"]) for entry in entries] == [
        ("firing", "15:00", 2),
        ("resolved", "15:00", 1),
        ("firing", "15:20", 1),
    ]
    assert entries[1]["endsAt"] == "2026-11-25T15:10:00Z"


def test_it_forgets_when_told(phone: Phone) -> None:
    phone("POST", "/", {"alerts": [alert("A")]})
    phone("POST", "/?queue=tickets", {"alerts": [alert("B"), alert("C")]})
    assert phone("DELETE", "/alerts?queue=tickets") == (200, {"forgotten": 2})
    assert len(phone("GET", "/alerts")[1]) == 1
    assert phone("DELETE", "/alerts") == (200, {"forgotten": 1})


def test_it_forgets_alerts_of_one_name(phone: Phone) -> None:
    for name in ("ModelDegraded", "FeatureDrift"):
        phone("POST", "/", {"alerts": [alert(name)]})
    assert phone("DELETE", "/alerts?queue=page&alertname=FeatureDrift") == (200, {"forgotten": 1})
    assert [entry["labels"]["alertname"] for entry in phone("GET", "/alerts")[1]] == ["ModelDegraded"]


def test_labels_say_which_alerts_are_meant(phone: Phone) -> None:
    phone("POST", "/", {"alerts": [alert("FeatureDrift", feature=feature) for feature in ("hour", "carrier", "temp")] + [alert("DriftJobStale")]})
    asked = "/alerts?queue=page&alertname=FeatureDrift&feature=hour&feature=carrier"
    assert [entry["labels"]["feature"] for entry in phone("GET", asked)[1]] == ["hour", "carrier"]
    assert phone("GET", "/alerts?feature=")[1] == []
    assert phone("DELETE", asked) == (200, {"forgotten": 2})
    assert [entry["labels"].get("feature") for entry in phone("GET", "/alerts")[1]] == ["temp", None]


def test_a_restart_forgets_nothing(phone: Phone, kept: pager.Pager) -> None:
    phone("POST", "/", {"alerts": [alert("A", model="flight-delay")]})
    again = pager.Pager(kept.file)
    assert again.listed(pager.Filter("page")) == phone("GET", "/alerts")[1]
    kept.file.write_text("half")
    assert pager.Pager(kept.file).listed(pager.Filter()) == []


def test_it_has_a_bound(phone: Phone, kept: pager.Pager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pager, "MOST_ENTRIES", 3)
    for number in range(5):
        phone("POST", "/", {"alerts": [alert(f"A{number}")]})
    assert [entry["labels"]["alertname"] for entry in kept.listed(pager.Filter())] == ["A2", "A3", "A4"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/", b"{", 400),
        ("POST", "/", [], 400),
        ("POST", "/", {"alerts": [{"labels": 7}]}, 400),
        ("POST", "/?queue=../x", {"alerts": []}, 400),
        ("POST", "/elsewhere", {"alerts": []}, 404),
        ("GET", "/elsewhere", None, 404),
        ("DELETE", "/", None, 404),
        ("GET", "/healthz", None, 200),
    ],
)
def test_requests(phone: Phone, method: str, path: str, body: Any, status: int) -> None:
    assert phone(method, path, body)[0] == status


def test_the_page_is_safe_to_look_at(phone: Phone) -> None:
    phone("POST", "/", {"alerts": [alert("<script>", model="flight-delay")]})
    status, text = phone("GET", "/")
    assert status == 200
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert "ratio &lt;2.35&gt;" in text
    assert "2013-04-16" in text


def test_no_answer_of_prometheus_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_URL", "http://127.0.0.1:1")
    assert pager.window_of("x", "") is None
