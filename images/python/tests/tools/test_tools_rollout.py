"""`gate run` and `gate drill`: which end each of them comes to, and that an interruption leaves nothing half-made."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from gates import canaries, canary, drill, gate, policy, reports, rollout, routes
from labtools import calibrate, deployment, kubernetes, rows, traffic
from labtools.errors import ToolError
from labtools.traffic import Tally
from miniature import Run

GATE = "steps: [10, 50]\nminimumRequests: 500\nchecks: [{name: late, metric: late, compareTo: stable, maxDifference: 0.08}]"


BLIND = GATE.replace("0.08", "1")


def policy_of(text: str) -> policy.Policy:
    return canary.meant(policy.read(text))


class World:
    """What the gate changes, written down in order, and the verdicts that Prometheus leads to."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.pins = {canary.STABLE: "3", canary.CANARY: "3"}
        self.weight = 10
        self.replicas = 1
        self.runs: list[dict[str, Any]] = []
        self.late = {"3": 0.17, "4": 0.2, "5": 0.0}
        self.break_at = ""
        self.sent = 0
        self.gate = GATE

    def answers(self, _server: str) -> int:
        self.sent += 300
        return self.sent

    def note(self, what: str) -> None:
        self.done.append(what)
        if what == self.break_at:
            self.break_at = ""
            raise KeyboardInterrupt

    def set_canary(self, percent: int, _manager: str) -> None:
        self.weight = percent
        self.note(f"weight {percent}")

    def pin(self, version: str, name: str) -> bool:
        changed = self.pins[name] != version
        self.pins[name] = version
        if changed:
            self.note(f"{name} {version}")
        return changed

    def start(self, version: str) -> None:
        self.pin(version, canary.CANARY)
        self.replicas = 1

    def promote(self, version: str) -> None:
        self.pin(version, canary.STABLE)
        self.note("rolled out")

    def stop(self) -> None:
        self.replicas = 0

    def ask(self, query: str) -> float | None:
        return self.late[query.split('"')[1]]

    def write(self, run: dict[str, Any]) -> str:
        self.runs.append(run)
        return "s3://reports/gate/x.json"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    # By its ConfigMap a lab says which gate it has.
    monkeypatch.setattr(kubernetes, "get", lambda _, name: {} if name == canary.CONFIG_MAP else None)
    monkeypatch.setattr(canary, "policy_of_lab", lambda: policy_of(world.gate))
    monkeypatch.setattr(canary, "stable_version", lambda: world.pins[canary.STABLE])
    monkeypatch.setattr(canary, "ask", world.ask)
    monkeypatch.setattr(routes, "set_canary", world.set_canary)
    monkeypatch.setattr(routes, "in_force", lambda: {"stable": 100 - world.weight, "canary": world.weight})
    monkeypatch.setattr(routes, "answers", world.answers)
    for name in ("pin", "start", "promote", "stop"):
        monkeypatch.setattr(canaries, name, getattr(world, name))
    monkeypatch.setattr(reports, "read", lambda: world.runs)
    monkeypatch.setattr(reports, "write", world.write)
    monkeypatch.setattr(rollout, "drive", lambda *_: Tally())
    monkeypatch.setattr(calibrate, "factor", lambda: 1.0)
    monkeypatch.setattr(rollout, "settle", lambda: None)
    return world


def test_a_good_version_is_promoted(world: World, run: Run) -> None:
    code, answer = run(gate.main, "run", "--candidate", "4")
    assert (code, answer["verdict"], answer["promoted"], answer["final_weight"]) == (0, "pass", True, 0)
    assert world.done == ["weight 0", "predictor-canary 4", "weight 10", "weight 50", "predictor-stable 4", "rolled out", "weight 0"]
    assert (world.pins[canary.STABLE], world.replicas) == ("4", 0)


def test_a_step_goes_on_until_there_is_enough(world: World, run: Run) -> None:
    """Each look finds 300 more, so a step takes two turns; a canary that never answers is given up at once."""
    assert {step["requests"] for step in run(gate.main, "run", "--candidate", "4")[1]["steps"]} == {600}
    world.answers = lambda _server: 7  # type: ignore[method-assign]
    routes.answers = world.answers
    code, answer = run(gate.main, "run", "--candidate", "5")
    assert (code, answer["verdict"], answer["reason"]) == (0, "inconclusive", "0 requests of the canary were counted, 500 are needed")


def test_a_bad_version_ends_at_weight_0(world: World, run: Run) -> None:
    code, answer = run(gate.main, "run", "--candidate", "5")
    assert (code, answer["verdict"], answer["promoted"], [step["weight"] for step in answer["steps"]]) == (0, "fail", False, [10])
    assert (world.weight, world.replicas, world.pins[canary.STABLE]) == (0, 0, "3")


def test_what_was_judged_is_not_judged_again_but_taken_out(world: World, run: Run) -> None:
    run(gate.main, "run", "--candidate", "5")
    world.weight, world.replicas, world.done = 10, 1, []
    code, answer = run(gate.main, "run", "--candidate", "5")
    assert (code, answer["verdict"], world.done, world.weight, world.replicas) == (0, "fail", ["weight 0"], 0, 0)
    assert len(world.runs) == 1
    run(gate.main, "run", "--candidate", "5", "--again")
    assert len(world.runs) == 2


def test_what_serves_is_not_judged_again(world: World, run: Run) -> None:
    run(gate.main, "run", "--candidate", "4")
    code, answer = run(gate.main, "run", "--candidate", "4")
    assert (code, answer["verdict"], len(world.runs)) == (0, "pass", 1)
    assert run(gate.main, "run", "--candidate", "3")[0] == 0
    assert run(gate.main, "run", "--candidate", "3", "--again")[1]["error"] == "version 3 is stable already"


def test_what_another_gate_passed_has_to_make_room(world: World, run: Run) -> None:
    """Whoever runs a gate before it is complete has the bad version as stable, and is told the way out."""
    world.gate = BLIND
    assert run(gate.main, "run", "--candidate", "5")[1]["promoted"]
    world.gate = GATE
    code, answer = run(gate.main, "run", "--candidate", "5")
    error = "version 5 is stable already by the verdict of another gate; to judge it, pin predictor-stable back to 3 first"
    assert (code, answer, len(world.runs)) == (1, {"error": error}, 1)
    world.pins[canary.STABLE] = "3"
    assert run(gate.main, "run", "--candidate", "5")[1]["verdict"] == "fail"
    assert run(gate.main, "run", "--candidate", "4")[1]["promoted"]
    history = run(gate.main, "history")[1]
    own = [(found["candidate"], found["verdict"]) for found in history["runs"] if found["gate"] == history["gate"]]
    assert own == [("5", "fail"), ("4", "pass")]


def test_what_was_pinned_by_hand_has_to_make_room(world: World, run: Run) -> None:
    world.pins[canary.STABLE] = "4"
    assert run(gate.main, "run", "--candidate", "4")[1]["error"] == "version 4 is stable already; to judge it, pin predictor-stable back to 3 first"


def test_a_gate_is_what_it_means() -> None:
    commented = f"# why 8 points\n{GATE.replace(', metric: late', ', metric: late ')}\nwhenAbsent: inconclusive\n"
    assert policy_of(commented) == policy_of(GATE)
    assert policy_of(BLIND).digest != policy_of(GATE).digest
    assert policy_of(GATE.replace("[10, 50]", "[10]")).digest != policy_of(GATE).digest


def test_a_pass_that_was_undone_is_judged_again(world: World, run: Run) -> None:
    run(gate.main, "run", "--candidate", "4")
    world.pins[canary.STABLE] = "3"
    assert run(gate.main, "run", "--candidate", "4")[1]["promoted"]
    assert len(world.runs) == 2


@pytest.mark.parametrize("moment", ["predictor-canary 4", "weight 10", "weight 50", "predictor-stable 4", "rolled out"])
def test_an_interruption_leaves_nothing_half_made(world: World, run: Run, moment: str) -> None:
    world.break_at = moment
    code, answer = run(gate.main, "run", "--candidate", "4")
    assert (code, answer["error"]) == (1, "interrupted")
    assert (world.weight, world.replicas, world.pins[canary.STABLE], world.runs) == (0, 0, "3", [])


@pytest.mark.usefixtures("world")
def test_a_history_shows_what_was_kept(run: Run) -> None:
    run(gate.main, "run", "--candidate", "5")
    assert [(found["candidate"], found["verdict"]) for found in run(gate.main, "history")[1]["runs"]] == [("5", "fail")]


@pytest.mark.usefixtures("world")
def test_a_history_is_there_without_a_gate(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> policy.Policy:
        raise ToolError("gate.yaml is no YAML")

    run(gate.main, "run", "--candidate", "5")
    monkeypatch.setattr(canary, "policy_of_lab", broken)
    code, answer = run(gate.main, "history")
    assert (code, len(answer["runs"]), answer["gate"]) == (0, 1, None)


@pytest.mark.parametrize("command", ["run --candidate 4", "drill"])
@pytest.mark.parametrize("rate", ["0", "-1", "inf"])
def test_a_rate_is_positive(command: str, rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        gate.main([*command.split(), "--rps", rate])
    assert ended.value.code == 2
    assert "must be a positive number" in capsys.readouterr().err


class Store:
    """An object store that refuses."""

    def put_object(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")

    def get_paginator(self, _: str) -> Any:
        raise ClientError({"Error": {"Code": "NoSuchBucket", "Message": "no"}}, "ListObjectsV2")


def test_a_report_that_is_refused_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "store", Store)
    report = {"started": "2013-04-01T09:00:00Z", "candidate": "4", "verdict": "pass"}
    with pytest.raises(ToolError, match=r"does not take the report: .*AccessDenied") as raised:
        reports.write(report)
    assert raised.value.details == {"report": report}
    with pytest.raises(ToolError, match=r"does not answer: .*NoSuchBucket"):
        reports.read()


# --- the drill


@pytest.fixture
def drilled(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A drill whose middle part is left out; what is around it is real."""
    maps: dict[str, Any] = {}
    text = 'backend split\n  server stable "s" weight 100\n  server canary "c" weight 0\n'

    def get(kind: str, name: str) -> Any:
        return {"spec": {}} if kind == "cronjob" else maps.get(name)

    def create(objects: Any) -> None:
        for item in objects:
            maps[item["metadata"]["name"]] = item

    def kubectl(*words: str, **_: Any) -> str:
        if words[:2] == ("delete", "configmap"):
            maps.pop(words[2], None)
        return ""

    monkeypatch.setattr(kubernetes, "get", get)
    monkeypatch.setattr(kubernetes, "create", create)
    monkeypatch.setattr(kubernetes, "kubectl", kubectl)
    monkeypatch.setattr(routes, "read", lambda: text)
    monkeypatch.setattr(routes, "put_back", lambda text, _: world.note(f"routes {routes.weights(text)['canary']}"))
    monkeypatch.setattr(canaries, "replicas", lambda: 0)
    monkeypatch.setattr(canaries, "scale", lambda count: world.note(f"replicas {count}"))
    monkeypatch.setattr(deployment, "find", lambda _: {})
    monkeypatch.setattr(deployment, "pin_of", lambda _: deployment.Pin("c", None, None, None))
    return maps


def test_a_drill_puts_back_what_it_found(world: World, drilled: dict[str, Any], monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    seen = {"candidate": "6", "n": 9, "failed": 0, "versions": {"6": 4, "3": 5}, "job": "complete", "weight_written": 0, "weight_after": 0}
    monkeypatch.setattr(drill, "drill", lambda *_: {**seen, "seconds_to_old_version": 2.5, "first_error": None})
    code, answer = run(gate.main, "drill")
    assert (code, answer["seconds_to_old_version"], drilled) == (0, 2.5, {})
    assert world.done == ["routes 0", "replicas 0"]


@pytest.mark.parametrize(("written", "works"), [(0, 50), (50, 50), (0, 0)])
def test_a_drill_tells_what_is_written_and_what_works(world: World, monkeypatch: pytest.MonkeyPatch, written: int, works: int) -> None:
    """A rollback that changed nothing is told from one of which the gateway did not hear."""

    def send(_load: Any, _ended: Any, tally: Tally) -> None:
        tally.answered("6", 0.0)

    monkeypatch.setattr(traffic, "send", send)
    monkeypatch.setattr(rows, "Mix", lambda _: SimpleNamespace(row=None))
    monkeypatch.setattr(drill, "start_job", lambda *_: None)
    monkeypatch.setattr(drill, "follow", lambda *_: "complete")
    monkeypatch.setattr(routes, "read", lambda: f'backend split\n  server stable "s" weight {100 - written}\n  server canary "c" weight {written}\n')
    monkeypatch.setattr(routes, "in_force", lambda: {"canary": works})
    found = drill.drill("6", "3", {}, 20)
    assert (found["weight_written"], found["weight_after"], found["job"]) == (written, works, "complete")
    assert world.pins[canary.CANARY] == "6"


def test_a_drill_that_breaks_puts_back_too(world: World, drilled: dict[str, Any], monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def fail(*_: Any) -> None:
        raise ToolError("version 6 never answered")

    monkeypatch.setattr(drill, "drill", fail)
    assert run(gate.main, "drill") == (1, {"error": "version 6 never answered"})
    assert (world.done, drilled) == (["routes 0", "replicas 0"], {})


def test_what_an_earlier_drill_left_is_put_right_first(world: World, drilled: dict[str, Any], monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    left = {"routes": 'backend split\n  server stable "s" weight 95\n  server canary "c" weight 5\n', "replicas": 2, "version": "4"}
    drilled[drill.CONFIG_MAP] = {"data": {"before": json.dumps(left)}}
    monkeypatch.setattr(drill, "drill", lambda *_: pytest.fail("not reached"))
    monkeypatch.setattr(drill, "look", lambda: world.note("looked") or (_ for _ in ()).throw(ToolError("enough")))
    assert run(gate.main, "drill") == (1, {"error": "enough"})
    assert world.done == ["routes 5", "replicas 2", "predictor-canary 4", "looked"]


def test_the_drill_needs_another_version_than_stable(world: World, run: Run) -> None:
    world.pins[canary.STABLE] = "6"
    assert run(gate.main, "drill")[1] == {"error": "version 6 is stable: a drill needs another one"}
