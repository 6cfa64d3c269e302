"""The end of a window: which Jobs a replay waits for, and whose failures it tells."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from labtools import kubernetes
from labtools.kubernetes import Object
from monitoring.halts import ON_WINDOW, STARTED_BY, Halts

DAY = datetime(2013, 4, 9)
CRON = {"metadata": {"name": "drift", "uid": "c"}, "spec": {"jobTemplate": {"spec": {"template": {}}}}}


def job(name: str, end: str = "", uid: str = "") -> dict[str, Any]:
    conditions = [{"type": end, "status": "True"}] if end else []
    return {"metadata": {"name": name, "uid": uid or name}, "status": {"conditions": conditions}}


class Cluster:
    """Jobs of windows end at once; those of the trigger are what a test makes of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.window, self.started = 0.0, list[Object](), list[dict[str, Any]]()
        for name in ("get", "listed", "create"):
            monkeypatch.setattr(kubernetes, name, getattr(self, name))
        self.halts = Halts(clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def get(self, _kind: str, name: str) -> Object:
        return {"metadata": {"name": name}}

    def listed(self, kind: str, selector: dict[str, str]) -> list[Object]:
        if kind == "cronjobs":
            return [CRON]
        return list(self.started) if STARTED_BY in selector else [item for item in self.window if ON_WINDOW in selector]

    def create(self, jobs: Iterable[Object]) -> list[Object]:
        self.window = [job(f"{item['metadata']['generateName']}x", "Complete") for item in jobs]
        return self.window


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


def test_what_failed_before_is_no_news(cluster: Cluster) -> None:
    cluster.started = [job("retrain-old", "Failed")]
    cluster.halts.begin()
    cluster.halts.at(DAY)
    assert cluster.halts.failed == []
    # One of the same name that was made since is another.
    cluster.started = [job("retrain-old", "Failed", uid="2"), job("retrain-new", "Failed"), job("retrain-good", "Complete")]
    cluster.halts.at(DAY)
    cluster.halts.at(DAY)
    assert (cluster.halts.count, cluster.halts.failed) == (3, ["retrain-old", "retrain-new"])


def test_what_was_under_way_at_the_beginning_counts(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.started = [job("retrain-old", "Failed"), job("retrain-slow")]
    cluster.halts.begin()

    def sleep(seconds: float) -> None:
        cluster.now += seconds
        if cluster.now > 20:
            cluster.started = [job("retrain-old", "Failed"), job("retrain-slow", "Failed")]

    monkeypatch.setattr(cluster.halts, "sleep", sleep)
    cluster.halts.at(DAY)
    assert cluster.now >= 25
    assert cluster.halts.failed == ["retrain-slow"]
