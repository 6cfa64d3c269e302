"""The drills of retraining: what they count as theirs, and what they leave."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from labtools import web
from labtools.errors import ToolError
from labtools.mlflow_api import Version
from retraining import drill, trigger_drill

SECOND_OF_JULY = datetime(2013, 7, 2)


class Registry:
    """Versions and alias challenger."""

    def __init__(self, challenger: str | None, **gate_ends: str) -> None:
        self.found = [Version(number[1:], f"run {number}", "READY", {"gate_end": day}) for number, day in gate_ends.items()]
        self.alias = challenger
        self.runs: list[str] = []

    def versions(self) -> list[Version]:
        return list(self.found)

    def aliases(self) -> dict[str, str]:
        return {} if self.alias is None else {"challenger": self.alias}

    def set_alias(self, _name: str, number: str) -> None:
        self.alias = number

    def delete_alias(self, _name: str) -> None:
        self.alias = None

    def delete_version(self, number: str) -> None:
        self.found = [version for version in self.found if version.number != number]

    def delete_run(self, run: str) -> None:
        self.runs.append(run)


@pytest.mark.parametrize(
    ("registry", "left", "alias"),
    [
        pytest.param(Registry("8", v7="2013-06-30", v8="2013-06-29", v9="2013-06-29"), ["7"], "7", id="two of its own"),
        pytest.param(Registry("9", v7="2013-06-28", v8="2013-06-30", v9="2013-06-29"), ["7", "8"], "8", id="somebody else trained first"),
        pytest.param(Registry("9", v7="2013-06-28", v8="2013-06-29", v9="2013-06-30"), ["7", "9"], "9", id="somebody else trained last"),
    ],
)
def test_only_what_the_drill_made_is_taken_away(registry: Registry, left: list[str], alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "remove_jobs", lambda: None)
    before = {"7"}
    made = [version.number for version in drill.made_for(SECOND_OF_JULY, registry.versions(), before)]
    drill.restore(registry, SECOND_OF_JULY, before, "7")
    assert [version.number for version in registry.found] == left
    assert registry.runs == [f"run v{number}" for number in made]
    assert registry.alias == alias


def test_an_alias_that_was_not_set_goes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "remove_jobs", lambda: None)
    registry = Registry("8", v8="2013-06-29")
    drill.restore(registry, SECOND_OF_JULY, set(), None)
    assert (registry.found, registry.alias) == ([], None)


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ({"command": ["retrain", "run", "--lock", "--move-champion"]}, {"command": ["retrain", "run", "--lock"]}),
        ({"command": ["sh", "-c"], "args": ["retrain run --move-champion"]}, {"command": ["sh", "-c"], "args": ["retrain run"]}),
    ],
)
def test_a_drill_moves_no_champion(words: dict[str, list[str]], left: dict[str, list[str]]) -> None:
    container = {"name": "retrain", **words}
    cron_job: dict[str, Any] = {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [container]}}}}}}
    made = drill.manifest(cron_job, "j", SECOND_OF_JULY)["spec"]["template"]["spec"]["containers"][0]
    assert {key: made[key] for key in left} == left
    assert container == {"name": "retrain", **words}


class Answer:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def json(self) -> dict[str, list[str]]:
        return {"log": self.lines}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (["old"], "nothing"),
        (["old", "of drill d1: started", "of drill d2: started"], "of drill d1: started"),
        (["old", "error: Forbidden"], "error: Forbidden"),
    ],
)
def test_the_trigger_is_quoted_on_this_drill_only(now: list[str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "request", lambda *_: Answer(now))
    assert trigger_drill.last_line("d1", ["old"]) == expected


def test_a_trigger_that_is_down_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def request(*_: str) -> None:
        raise ToolError("trigger does not answer")

    monkeypatch.setattr(web, "request", request)
    assert trigger_drill.last_line("d1", []) == "trigger does not answer"
