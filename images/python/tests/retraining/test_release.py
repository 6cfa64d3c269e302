"""Promotion by verdict, its brakes, the safety net and the way back, with a real registry and database, and a cluster in a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def lab(registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:  # noqa: ARG001
    """The lab on 3 July: version 1 serves, nothing was promoted. Returns the file with the cluster."""
    from labtools import deployment, predictor
    from miniature import pod
    from servers import ModelServer, serve

    file = tmp_path / "cluster.json"
    container = {"name": "predictor", "env": [{"name": "MODEL_URI", "value": "models:/flight-delay/1"}]}
    template = {"metadata": {"labels": {"app": "predictor", "mlops/model-version": "1"}}, "spec": {"containers": [container]}}
    ready = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    spec = {"selector": {"matchLabels": {"app": "predictor"}}, "template": template}
    predictor_of = {"metadata": {"name": "predictor", "generation": 1}, "spec": spec, "status": ready}
    state = {"deployment": {"predictor": predictor_of}, "configmap": {}, "pods": {"p": pod("p")}, "job": {}, "patches": [], "rights": {}, "stuck": False}
    file.write_text(json.dumps(state))

    def pinned() -> str:
        env = json.loads(file.read_text())["deployment"]["predictor"]["spec"]["template"]["spec"]["containers"][0]["env"]
        return env[0]["value"].rsplit("/", 1)[1]

    with serve(ModelServer(pinned)) as server:
        settings = {"PREDICTOR_URL": server, "FAKE_CLUSTER": str(file), "POD_NAMESPACE": "lab-retraining"}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(deployment, "PORT", int(server.rsplit(":", 1)[1]))
        monkeypatch.setattr(predictor, "POLL_SECONDS", 0.01)
        yield file


def test_promotion_and_the_way_back(registry, lab: Path, run: Run, flights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gates import gate
    from labtools import registry as tool
    from labtools import serving
    from monitoring import flights as stream
    from monitoring import store
    from retraining import command

    _, made = run(command.main, "run", "--lock")
    number = made["version"]
    assert run(tool.main, "history")[1]["evidence"] == "seed"
    id_file = tmp_path / "gate-run"
    monkeypatch.setenv("GATE_RUN_FILE", str(id_file))
    _, verdict = run(gate.main, "job")
    assert (verdict["verdict"], id_file.read_text()) == ("promote", verdict["id"])

    code, promoted = run(command.main, "promote", "--gate-run-file", str(id_file))
    assert (code, promoted["promoted"], promoted["champion"]) == (0, True, number), promoted
    assert registry.aliases()["champion"] == number
    assert registry.aliases()["rollback"] == "1"
    _, history = run(tool.main, "history")
    assert (history["evidence"], history["champion"], history["pinned"], history["served"]) == ("gate report", number, number, number)
    assert [(item["verdict"], item["report_verdict"]) for item in history["promotions"]] == [("promote", "promote")]
    # Again is not more.
    assert run(command.main, "promote", "--gate-run", verdict["id"])[1]["promoted"] is False
    assert run(gate.main, "job")[1]["id"] == verdict["id"]
    assert run(command.main, "promote", "--gate-run", "none")[0] == 1

    # Another version within a week is held back.
    monkeypatch.setenv("NOW", "2013-07-02")
    _, other = run(command.main, "run")
    with store.connected() as connection:
        report = {**verdict, "id": "other", "candidate": other["version"], "report": "runs:/x/gate/other.json"}
        statement = "INSERT INTO gate_runs (id, at, kind, model, candidate, champion, verdict, report) VALUES ('other', now(), 'c', 'm', %s, %s, 'promote', %s)"
        store.run(connection, statement, (other["version"], number, json.dumps(report)))
    held = run(command.main, "promote", "--gate-run", "other")[1]
    assert (held["promoted"], "less than 7 days ago" in held["reason"]) == (False, True)

    # Two weeks in which the champion says nonsense, and the version before would not have.
    safety = tmp_path / "safety.yaml"
    monkeypatch.setenv("SAFETY_POLICY", str(safety))
    assert run(command.main, "safety", "--if-configured")[1] == {"compared": [], "rolled_back": False}
    assert run(command.main, "safety")[0] == 1
    safety.write_text("windows: 2\nbrierWorseBy: 0.0\nfreezeDays: 14\n")
    with store.connected() as connection:
        now = datetime(2013, 7, 25)
        rows = stream.load(datetime(2013, 7, 9), datetime(2013, 7, 23), flights)
        values = [("flight-delay", name, number, 0.9, moment, "{}") for name, moment in zip(rows["request_id"], rows["event_time"], strict=True)]
        store.insert(connection, "INSERT INTO predictions (model, request_id, model_version, score, event_time, features) VALUES %s", values)
        insert = "INSERT INTO labels (request_id, label, arr_delay, released_at) VALUES %s ON CONFLICT DO NOTHING"
        store.insert(connection, insert, stream.released(datetime(2013, 7, 3), now, flights))
        store.set_now(connection, datetime(2013, 7, 18))
    _, found = run(command.main, "safety")
    assert (len(found["compared"]), found["rolled_back"]) == (1, False)
    with store.connected() as connection:
        store.set_now(connection, now)
    _, found = run(command.main, "safety")
    assert ([item["worse"] for item in found["compared"]], found["rolled_back"]) == ([True, True], True), found
    frozen = json.loads(lab.read_text())["configmap"]["freeze"]["data"]
    assert (frozen["at"], frozen["until"]) == ("2013-07-25T00:00:00", "2013-08-08T00:00:00")
    _, history = run(tool.main, "history")
    assert (history["champion"], history["pinned"], history["evidence"]) == ("1", "1", "rollback")
    assert history["rollbacks"][0]["at"] == "2013-07-25T00:00:00"
    assert run(command.main, "safety")[1] == {"champion": "1", "compared": [], "rolled_back": False}
    # A rollback that was cut off before the pods followed.
    serving.write_pin(number)
    _, found = run(command.main, "safety")
    assert (found["champion"], found["finished"]) == ("1", True)
    assert run(tool.main, "history")[1]["pinned"] == "1"
    assert "it was withdrawn" in run(command.main, "promote", "--gate-run", verdict["id"])[1]["reason"]
    assert "frozen until 2013-08-08" in run(command.main, "promote", "--gate-run", "other")[1]["reason"]
