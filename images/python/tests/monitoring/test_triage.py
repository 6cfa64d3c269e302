"""Recorded incidents and what somebody makes of them. That the lab can answer for itself is no command: points tell who did."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from labtools import kubernetes
from labtools.kubernetes import Object
from monitoring import cases, triage

NAMESPACE = "lab-drift-monitor"


@pytest.fixture
def maps(monkeypatch: pytest.MonkeyPatch) -> dict[str, Object]:
    """The ConfigMaps of a lab whose incidents lie in its store."""
    found: dict[str, Object] = {}
    tables = {cases.name_of(cause, variant): cases.csv_of(cases.record(cause, variant)) for cause in cases.ACTIONS for variant in range(cases.VARIANTS)}
    monkeypatch.setenv("POD_NAMESPACE", NAMESPACE)
    monkeypatch.setattr(triage, "stored", tables.__getitem__)
    monkeypatch.setattr(kubernetes, "get", lambda _kind, name: found.get(name))
    monkeypatch.setattr(kubernetes, "apply", lambda manifest, _manager: found.update({manifest["metadata"]["name"]: manifest}))
    return found


def verify(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = triage.main(["verify", "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_solution_answers_every_case(maps: dict[str, Object], capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(capsys) == (1, {"error": "there is no ConfigMap triage"})
    triage.solve()
    code, found = verify(capsys)
    assert (code, [case["correct"] for case in found["cases"]]) == (0, [True] * cases.COUNT)
    first = maps["triage"]
    triage.solve()
    assert maps["triage"] == first


def test_no_command_answers(maps: dict[str, Object], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        triage.main(["solve"])
    assert "invalid choice: 'solve'" in capsys.readouterr().err
    assert maps == {}
    assert "solve" not in triage.parser().format_help()


def test_an_answer_is_judged_by_cause_and_action(maps: dict[str, Object], capsys: pytest.CaptureFixture[str]) -> None:
    cause, _ = cases.shown(NAMESPACE)[0]
    wrong = next(action for action in cases.ALL_ACTIONS if action not in cases.ACTIONS[cause])
    given = {1: {"cause": cause, "action": wrong}, 2: {"cause": "weather", "action": "wait"}, 3: "season"}
    maps["triage"] = {"data": {"triage.yaml": yaml.safe_dump({"cases": given})}}
    found = verify(capsys)[1]["cases"]
    assert [(case["cause_correct"], case["correct"]) for case in found] == [(True, False)] + [(False, False)] * 3
    assert "weather is none of" in found[1]["found"]
    assert [case["found"] for case in found[2:]] == ["no cause and action"] * 2
