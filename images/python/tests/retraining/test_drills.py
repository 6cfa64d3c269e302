"""The drills of retraining: what they count as theirs, and what they leave."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from labtools import serving, web
from labtools.errors import ToolError
from labtools.mlflow_api import Version
from retraining import drill, trigger_drill

SECOND_OF_JULY = datetime(2013, 7, 2)


class Registry:
    """Versions and aliases."""

    def __init__(self, challenger: str | None, **gate_ends: str) -> None:
        self.found = [Version(number[1:], f"run {number}", "READY", {"gate_end": day}) for number, day in gate_ends.items()]
        self.named = {} if challenger is None else {"challenger": challenger}
        self.runs: list[str] = []

    @property
    def alias(self) -> str | None:
        return self.named.get("challenger")

    def versions(self) -> list[Version]:
        return list(self.found)

    def aliases(self) -> dict[str, str]:
        return dict(self.named)

    def set_alias(self, name: str, number: str) -> None:
        self.named[name] = number

    def delete_alias(self, name: str) -> None:
        del self.named[name]

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
    drill.restore(registry, SECOND_OF_JULY, before, {"challenger": "7"})
    assert [version.number for version in registry.found] == left
    assert registry.runs == [f"run v{number}" for number in made]
    assert registry.alias == alias


def test_an_alias_that_was_not_set_goes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "remove_jobs", lambda: None)
    registry = Registry("8", v8="2013-06-29")
    drill.restore(registry, SECOND_OF_JULY, set(), {})
    assert (registry.found, registry.alias) == ([], None)


@pytest.mark.parametrize("rollback", [None, "5"])
def test_a_champion_that_the_drill_made_is_put_back(rollback: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "remove_jobs", lambda: None)
    pins: list[str] = []
    monkeypatch.setattr(serving, "write_pin", pins.append)
    registry = Registry("8", v5="2013-06-20", v7="2013-06-28", v8="2013-06-29")
    registry.named |= {"champion": "8", "rollback": "7"}
    before = {"challenger": "7", "champion": "7"} | ({"rollback": rollback} if rollback else {})
    drill.restore(registry, SECOND_OF_JULY, {"5", "7"}, before)
    assert (registry.named, pins) == (before, ["7"])
    assert [version.number for version in registry.found] == ["5", "7"]


def test_what_serves_is_never_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has promoted another version on top of the drill's, and no champion was set before."""
    monkeypatch.setattr(drill, "remove_jobs", lambda: None)
    registry = Registry("7", v7="2013-06-28", v8="2013-06-29", v9="2013-06-29")
    registry.named |= {"champion": "7", "rollback": "8"}
    drill.restore(registry, SECOND_OF_JULY, {"7"}, {"challenger": "7"})
    assert [version.number for version in registry.found] == ["7", "8"]
    assert registry.named == {"challenger": "7", "champion": "7", "rollback": "8"}


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ({"command": ["retrain", "run", "--lock", "--move-champion"]}, {"command": ["retrain", "run", "--lock"]}),
        ({"command": ["sh", "-c"], "args": ["retrain run --move-champion"]}, {"command": ["sh", "-c"], "args": ["retrain run"]}),
        ({"command": ["/bin/sh", "-ec", "exec retrain run --lock"]}, {"command": ["/bin/sh", "-ec", "exec retrain run --lock"]}),
        ({"args": ["retrain", "run", "--lock"]}, {"args": ["retrain", "run", "--lock"]}),
        # All steps in one script: only the first is the drill's.
        ({"command": ["sh", "-ec", "retrain run --lock; gate job; retrain promote --gate-run-file /work/id"]}, {"command": ["retrain", "run", "--lock"]}),
        ({"command": ["sh", "-c"], "args": ["set -e\nretrain run\ngate job && retrain promote --gate-run-file /work/id"]}, {"command": ["retrain", "run"]}),
        # What can't be looked into stays.
        ({"command": ["/scripts/chain.sh"]}, {"command": ["/scripts/chain.sh"]}),
    ],
)
def test_a_drill_moves_no_champion(words: dict[str, list[str]], left: dict[str, list[str]]) -> None:
    container = {"name": "retrain", **words}
    cron_job: dict[str, Any] = {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [container]}}}}}}
    made = drill.manifest(cron_job, "j", SECOND_OF_JULY)["spec"]["template"]["spec"]["containers"][0]
    assert {key: made[key] for key in ("command", "args") if key in made} == left
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


class Pager:
    """What `web.request` finds at the pager: entries that come after so many questions."""

    def __init__(self, *entries: tuple[int, str, str]) -> None:
        self.entries, self.asked, self.deleted = entries, 0, ""

    def request(self, method: str, url: str, *_: Any) -> Any:
        parts = urllib.parse.urlsplit(url)
        assert parts.netloc == "pager:8080"
        if method == "DELETE":
            self.deleted = parts.query
            return None
        self.asked += 1
        queue = urllib.parse.parse_qs(parts.query).get("queue")
        found = [{"queue": where, "status": status} for after, where, status in self.entries if self.asked > after and queue in (None, [where])]
        return type("Answer", (), {"json": lambda _: found})()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """A clock that only sleeping moves."""
    now = [100.0]
    monkeypatch.setattr(trigger_drill.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(trigger_drill.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return lambda: now[0]


@pytest.mark.parametrize(
    ("pager", "expected", "until"),
    [
        (Pager((0, "page", "firing")), True, 100.0),
        (Pager((3, "page", "firing")), True, 101.5),
        (Pager((0, "tickets", "firing")), False, 105.0),
        (Pager(), False, 105.0),
    ],
)
def test_a_page_is_waited_for(pager: Pager, expected: bool, until: float, clock: Callable[[], float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "request", pager.request)
    assert (trigger_drill.paged("d1", 105.0), clock()) == (expected, until)


@pytest.mark.parametrize(
    ("pager", "until"),
    [
        (Pager(), 100.0),
        (Pager((0, "page", "firing"), (2, "page", "resolved")), 101.0),
        # An end that never comes.
        (Pager((0, "page", "firing")), 108.0),
    ],
)
def test_a_drill_takes_its_pages_away(pager: Pager, until: float, clock: Callable[[], float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "request", pager.request)
    trigger_drill.forget("d1")
    assert (pager.deleted, clock()) == ("drill=d1", until)
