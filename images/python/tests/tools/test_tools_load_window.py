"""`probe load-window`: a pod of its own, a pod that lies, one that tells the truth, and one that is restarted; none stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from labtools import deployment, kubernetes, load_window, probe, web
from miniature import Run

SERVER = {
    "name": "model-server",
    "image": "x",
    "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    "env": [{"name": "MODEL_URI", "value": "s3://models/flight-delay/3"}, {"name": "LOAD_AFTER_LISTEN", "value": "6"}],
}
DEPLOYMENT = {"spec": {"selector": {"matchLabels": {"app": "predictor-stable"}}, "template": {"metadata": {}, "spec": {"containers": [SERVER]}}}}


class Cluster:
    """One pod, whose condition and model follow a script of (ready, model answers, restarts)."""

    def __init__(self, script: list[tuple[bool, bool, int]]) -> None:
        self.script = iter(script)
        self.now = (False, False, 0)
        self.created: list[dict[str, Any]] = []
        self.removed = 0

    def get(self, kind: str, _name: str) -> Any:
        if kind == "deployment":
            return DEPLOYMENT
        self.now = next(self.script, self.now)
        ready, _, restarts = self.now
        conditions = [{"type": "Ready", "status": str(ready)}]
        return {"metadata": {"name": "x"}, "status": {"podIP": "10.0.0.9", "conditions": conditions, "containerStatuses": [{"restartCount": restarts}]}}

    def kubectl(self, *words: str, **_: Any) -> str:
        assert words[:2] == ("delete", "pods")
        self.removed += 1
        return ""

    def request(self, _method: str, url: str, **_: Any) -> web.Answer:
        assert url == "http://10.0.0.9:8080/v2/models/flight-delay/ready"
        return web.Answer(200 if self.now[1] else 503, b"")


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def use(*script: tuple[bool, bool, int]) -> Cluster:
        cluster = Cluster(list(script))
        monkeypatch.setattr(kubernetes, "get", cluster.get)
        monkeypatch.setattr(kubernetes, "kubectl", cluster.kubectl)
        monkeypatch.setattr(kubernetes, "create", lambda objects: cluster.created.extend(objects))
        monkeypatch.setattr(web, "request", cluster.request)
        monkeypatch.setattr(load_window, "POLL_SECONDS", 0.1)
        monkeypatch.setattr(deployment, "PORT", 8080)
        return cluster

    yield use


def test_the_pod_is_the_templates_but_nobodys(follow: Any, run: Run) -> None:
    cluster = follow((True, True, 0))
    run(probe.main, "load-window")
    [pod] = cluster.created
    [container] = pod["spec"]["containers"]
    assert pod["metadata"]["labels"] == load_window.OWNER
    assert container["env"] == [{"name": "MODEL_URI", "value": "s3://models/flight-delay/3"}, {"name": "LOAD_AFTER_LISTEN", "value": "18"}]
    assert (container["image"], container["lifecycle"]) == ("x", None)
    assert cluster.removed == 2


def test_a_pod_that_lies(follow: Any, run: Run) -> None:
    follow((False, False, 0), (True, False, 0), (True, False, 0), (True, True, 0))
    code, answer = run(probe.main, "load-window")
    assert code == 0
    assert answer["too_early_seconds"] == pytest.approx(0.2, abs=0.11)
    assert answer["model_after"] > answer["ready_after"] > 0


def test_a_pod_that_lies_to_the_end(follow: Any, run: Run) -> None:
    follow((True, False, 0))
    answer = run(probe.main, "load-window", "--seconds", "0.5")[1]
    assert answer["too_early_seconds"] > 0
    assert answer["model_after"] is None


def test_a_pod_that_tells_the_truth(follow: Any, run: Run) -> None:
    follow((False, False, 0), (False, True, 0), (True, True, 0))
    answer = run(probe.main, "load-window")[1]
    assert (answer["too_early_seconds"], answer["restarts"]) == (0, 0)
    assert answer["ready_after"] > answer["model_after"]


def test_a_pod_that_is_restarted(follow: Any, run: Run) -> None:
    cluster = follow((False, False, 0), (False, False, 1))
    assert run(probe.main, "load-window")[1]["restarts"] == 1
    assert cluster.removed == 2
