"""The command that reads and empties the pager, at the real pager."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from labtools import oncall as command
from listening import listening
from miniature import Run
from monitoring import pager


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    kept = pager.Pager(tmp_path / "alerts.json", lambda _model, _job: None)
    monkeypatch.setattr(command, "POLL_SECONDS", 0.01)
    with listening(pager.handler(kept)) as port:
        url = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("PAGER_URL", url)
        yield url


def send(url: str, features: Sequence[str], status: str = "firing", queue: str = "tickets", starts: str = "2026-11-25T15:00:00Z") -> None:
    alerts: list[dict[str, Any]] = [
        {"status": status, "labels": {"alertname": "FeatureDrift", "feature": feature}, "annotations": {}, "startsAt": starts} for feature in features
    ]
    urllib.request.urlopen(urllib.request.Request(f"{url}/?queue={queue}", json.dumps({"alerts": alerts}).encode()), timeout=5).close()


def features(data: dict[str, Any]) -> list[str]:
    return [entry["labels"]["feature"] for entry in data["alerts"]]


def test_it_lists_what_is_meant(phone: str, run: Run) -> None:
    send(phone, ["hour", "temp"])
    send(phone, ["carrier"], queue="page")
    assert features(run(command.main, "list")[1]) == ["hour", "temp", "carrier"]
    assert features(run(command.main, "list", "--queue", "tickets", "--label", "feature=temp", "--label", "feature=carrier")[1]) == ["temp"]


def test_it_forgets_only_that(phone: str, run: Run) -> None:
    send(phone, ["hour", "temp"])
    assert run(command.main, "clear", "--queue", "tickets", "--label", "alertname=FeatureDrift", "--label", "feature=hour") == (
        0,
        {"forgotten": 1, "still_firing": 0},
    )
    assert features(run(command.main, "list")[1]) == ["temp"]


def test_one_value_of_a_label_is_enough(phone: str, run: Run) -> None:
    """The call that DM3b of lab drift-monitor names: it takes what is noisy, ended or not, and leaves the season."""
    send(phone, ["carrier", "hour", "temp"])
    send(phone, ["carrier", "hour"], "resolved")
    assert run(command.main, "clear", "--queue", "tickets", "--label", "feature=carrier", "--label", "feature=hour", "--ended") == (
        0,
        {"forgotten": 4, "still_firing": 0},
    )
    assert features(run(command.main, "list")[1]) == ["temp"]


def test_it_waits_for_the_end(phone: str, run: Run) -> None:
    send(phone, ["hour"])
    ending = threading.Timer(0.2, send, (phone, ["hour"], "resolved"))
    ending.start()
    assert run(command.main, "clear", "--ended") == (0, {"forgotten": 2, "still_firing": 0})
    ending.join()


def test_an_alert_that_began_again_counts_by_its_last_word(phone: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alertmanager tells nothing of an end that is over when it looks: the end that comes later has another beginning."""
    monkeypatch.setattr(command, "WAIT_SECONDS", 60)
    send(phone, ["hour"], starts="2026-11-25T15:00:00Z")
    send(phone, ["hour"], "resolved", starts="2026-11-25T15:20:00Z")
    assert run(command.main, "clear", "--ended") == (0, {"forgotten": 2, "still_firing": 0})


def test_an_end_that_never_comes_is_said(phone: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "WAIT_SECONDS", 0.05)
    send(phone, ["hour"])
    assert run(command.main, "clear", "--ended") == (0, {"forgotten": 1, "still_firing": 1})


@pytest.mark.usefixtures("phone")
def test_the_pager_s_words_are_passed_on(run: Run) -> None:
    code, data = run(command.main, "list", "--queue", "../x")
    assert code == 1
    assert data["error"] == "the pager answered HTTP 400: a queue is a short word in small letters"


@pytest.mark.parametrize("text", ["feature", "=hour", "queue=page"])
def test_a_label_is_a_name_and_a_value(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["list", "--label", text])
    assert "must be NAME=VALUE" in capsys.readouterr().err
