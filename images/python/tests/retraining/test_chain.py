"""Training, auditing and judging on the real data, with a real tracking server and a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

Run = Callable[..., tuple[int, dict[str, Any]]]


def test_two_runs_one_version(registry, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from gates import gate
    from monitoring import store
    from retraining import command, lineage

    code, first = run(command.main, "run", "--lock")
    assert code == 0, first
    assert not first["duplicate"]
    assert (first["rows"], first["flights"]) == (54336, 54336)
    assert (first["train_start"], first["train_end"], first["gate_start"], first["gate_end"]) == ("2013-04-18", "2013-06-16", "2013-06-17", "2013-06-30")
    code, second = run(command.main, "run", "--lock")
    assert (code, second["duplicate"], second["version"]) == (0, True, first["version"])
    assert registry.aliases()["challenger"] == first["version"]

    code, audit = run(lineage.main, "audit")
    assert code == 0
    assert (audit["missing"], audit["overlap_days"], audit["known_in_time"], audit["digest_matches"]) == ([], 0, True, True)
    assert (audit["agreement"], audit["share"], audit["labels"]) == (1.0, 1.0, 54336)

    code, verdict = run(gate.main, "job")
    assert (code, verdict["verdict"], verdict["rows"]) == (0, "promote", 12683), verdict
    assert verdict["auc_diff"] == pytest.approx(0.081, abs=0.003)
    assert verdict["brier_diff"] == pytest.approx(-0.0746, abs=0.002)
    assert registry.artifact(registry.version(first["version"]).run_id, f"gate/{verdict['id']}.json")["verdict"] == "promote"
    assert registry.artifact(registry.version(first["version"]).run_id, "gate/other.json") is None
    assert run(gate.main, "job")[1]["id"] == verdict["id"]

    code, history = run(gate.main, "history", "--window", "2013-06-17..30", "--rescore")
    assert code == 0
    assert history["rescored"]["auc_diff"] == pytest.approx(verdict["auc_diff"], abs=1e-9)
    assert [item["id"] for item in run(gate.main, "history", "--window", "2013-05-18..31")[1]["runs"]] == []
    monkeypatch.setattr(gate, "of_lab", lambda: gate.CHALLENGER)
    assert [item["id"] for item in run(gate.main, "history")[1]["runs"]] == [verdict["id"]]
    assert run(gate.main, "evaluate", "--candidate", first["version"])[1]["verdict"] == "promote"
    code, judged = run(gate.main, "evaluate", "--candidate", "challenger")
    assert (judged["verdict"], judged["moved"], judged["champion_after"]) == ("promote", False, "1")

    # Labels that were changed are seen, whatever the tags say; so is their repair.
    with store.connected() as connection:
        store.run(
            connection, "UPDATE labels SET label = 1 - label WHERE request_id >= '2013-06' AND request_id < '2013-06-17' AND substr(request_id, 15, 1) < '3'"
        )
    code, audit = run(lineage.main, "audit")
    assert audit["agreement"] < 0.95
    assert not audit["digest_matches"]
    code, poisoned = run(command.main, "run")
    assert (poisoned["duplicate"], poisoned["version"]) == (False, str(int(first["version"]) + 1))
    assert run(gate.main, "evaluate", "--candidate", "challenger")[1]["verdict"] == "reject"
    code, repaired = run(lineage.main, "repair", "--days", "2013-04-18", "2013-06-30")
    assert repaired["changed"] > 3000
    assert run(command.main, "run")[1]["version"] == first["version"] == registry.aliases()["challenger"]


@pytest.mark.usefixtures("registry")
def test_labels_that_are_not_due(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from retraining import command, lineage

    monkeypatch.setenv("LABEL_LEAP_DAYS", "14")
    code, made = run(command.main, "run")
    assert (code, made["train_end"], made["gate_start"]) == (0, "2013-06-30", "2013-06-17")
    _, audit = run(lineage.main, "audit")
    assert (audit["gate_days"], audit["overlap_days"], audit["disjoint"], audit["known_in_time"]) == (14, 14, False, False)


@pytest.mark.usefixtures("registry")
def test_empty_days(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from retraining import command

    monkeypatch.setenv("NOW", "2013-04-19")
    code, said = run(command.main, "run")
    assert code == 1
    assert "1000 are needed" in said["error"]
    monkeypatch.setenv("NOW", "yesterday")
    assert "NOW is 'yesterday'" in run(command.main, "run")[1]["error"]


def test_plan() -> None:
    from retraining import plan

    days = plan.make(datetime(2013, 7, 3))
    assert days.tags == {
        "train_start": "2013-04-18",
        "train_end": "2013-06-16",
        "gate_start": "2013-06-17",
        "gate_end": "2013-06-30",
        "label_cutoff": "2013-07-03T00:00:00",
    }
    assert plan.read(days.tags) == days
    assert json.dumps(days.tags)
