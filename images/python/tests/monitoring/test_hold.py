"""A push is held until it was scraped and the rules were evaluated after that, and no longer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from labtools import prometheus
from labtools.errors import ToolError
from labtools.prometheus import Sample
from monitoring import push


class World:
    """A Prometheus that scrapes and evaluates each second, evaluations a little after scrapes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, evaluates: bool = True) -> None:
        self.now, self.evaluates, self.firing_from = 1000.0, evaluates, 1e9
        # How long an alert is on its way to Alertmanager; nothing where Alertmanager is away.
        self.way: float | None = 0.0
        monkeypatch.setattr(push.time, "sleep", self.sleep)
        monkeypatch.setattr(push.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(push, "pushed_at", lambda *_: 1000.0)
        monkeypatch.setattr(prometheus, "query", self.query)
        monkeypatch.setattr(prometheus, "ask", self.ask)
        monkeypatch.setattr(prometheus, "alertmanager_alerts", self.alertmanager)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def alertmanager(self) -> list[dict[str, str]]:
        if self.way is None:
            raise ToolError("Alertmanager is away")
        return [{"alertname": "A"}] if self.now >= self.firing_from + self.way else []

    @property
    def scrape(self) -> float:
        return float(int(self.now)) + 0.05 if self.now % 1 >= 0.05 else float(int(self.now)) - 0.95

    def query(self, expr: str) -> list[Sample]:
        value = self.scrape if expr.startswith("timestamp") else (1000.0 if self.scrape > 1000 else 900.0)
        return [Sample({"model": "m"}, value, self.now)]

    def ask(self, path: str) -> Any:
        if path == "alerts":
            return {"alerts": [{"labels": {"alertname": "A"}, "state": "firing"}] if self.now >= self.firing_from else []}
        at = int(self.now - 0.1) + 0.1 if self.evaluates else 0.0
        stamp = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
        return {"groups": [{"lastEvaluation": stamp}]}


def test_it_ends_with_the_next_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    assert push.Hold().until_seen("drift", ["m"])
    assert 1001.0 < world.now < 1002.5


def test_a_new_alert_gets_time_to_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.firing_from = 1000.5
    assert push.Hold().until_seen("drift", ["m"])
    assert world.now > 1001.0 + push.ALERT_SECONDS


def test_it_stays_until_alertmanager_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.firing_from, world.way = 1000.5, 9.0
    assert push.Hold().until_seen("drift", ["m"])
    assert 1009.5 + push.ALERT_SECONDS <= world.now < 1010.0 + push.ALERT_SECONDS


@pytest.mark.parametrize(("way", "seconds"), [(None, 0.0), (1e6, push.ARRIVE_SECONDS)])
def test_an_alertmanager_that_never_knows_is_left(monkeypatch: pytest.MonkeyPatch, way: float | None, seconds: float) -> None:
    world = World(monkeypatch)
    world.firing_from, world.way = 1000.5, way
    assert push.Hold().until_seen("drift", ["m"])
    assert 1001.0 + seconds + push.ALERT_SECONDS < world.now < 1003.0 + seconds + push.ALERT_SECONDS


def test_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, evaluates=False)
    assert not push.Hold().until_seen("drift", ["m"])
    assert world.now < 1000 + push.HOLD_SECONDS + 1
