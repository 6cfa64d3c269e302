"""The rules that learners write: what each means, and which line is wrong."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import yaml
from gates import challenger_policy
from gates.evidence import Evidence, weighted_auc
from labtools.errors import ToolError
from retraining import safety, trigger, trigger_rules
from retraining.trigger_log import Started
from retraining.trigger_rules import Alert

LAB = Path(__file__).parents[4] / "labs" / "retraining"
FIXTURES = Path(__file__).parents[2] / "retraining" / "fixtures" / "trigger"
NOON = datetime(2013, 7, 3, 12)


def evidence(**more) -> Evidence:
    draw = np.random.default_rng(1)
    late = (draw.random(4000) < 0.3).astype("float64")
    good = np.clip(0.3 + 0.3 * (late - 0.3) + 0.1 * draw.standard_normal(4000), 0, 1)
    return Evidence(late, np.array(["EWR", "JFK"], dtype=object)[np.arange(4000) % 2], good, np.full(4000, 0.5), **{"agreement": 1.0, **more})


def verdict(rule: str, found: Evidence) -> str:
    return challenger_policy.parse(f"rules:\n  - {rule}\n").judge(found).verdict


@pytest.mark.parametrize(
    ("rule", "more", "expected"),
    [
        ("{rule: rows, atLeast: 4000, else: reject}", {}, "promote"),
        ("{rule: rows, atLeast: 4001, else: reject}", {}, "reject"),
        ("{rule: lineage, else: reject}", {}, "promote"),
        ("{rule: lineage, else: reject}", {"missing_tags": ["git_sha"]}, "reject"),
        ("{rule: lineage, else: reject}", {"overlap_days": 1}, "reject"),
        ("{rule: lineage, else: reject}", {"foreign_features": ["dep_delay"]}, "reject"),
        ("{rule: labels, agreement: 0.995, else: reject}", {"agreement": 0.99}, "reject"),
        # What can't be decided is held, whoever wrote the rule.
        ("{rule: labels, agreement: 0.995, else: reject}", {"agreement": None}, "hold"),
        ("{rule: plausible, aucBelow: 0.85, else: reject}", {}, "reject"),
        ("{rule: slices, brierWorseBy: 0.01, rows: 2001, else: reject}", {}, "hold"),
        ("{rule: slices, brierWorseBy: 0.01, else: reject}", {}, "promote"),
        ("{rule: brier, betterBy: 0.005}", {}, "promote"),
        ("{rule: brier, betterBy: 0.005, against: recorded, else: reject}", {"recorded_brier": 0.01}, "reject"),
        ("{rule: brier, betterBy: 0.005, against: recorded, else: reject}", {}, "hold"),
        ("{rule: auc, lowerBound: 0.2}", {}, "promote"),
        ("{rule: auc, lowerBound: 0, against: recorded}", {"recorded_auc": 0.999999}, "hold"),
    ],
)
def test_rules_of_the_gate(rule: str, more: dict, expected: str) -> None:
    assert verdict(rule, evidence(**more)) == expected


def test_the_strictest_word_counts() -> None:
    text = "rules:\n  - {rule: rows, atLeast: 9999, else: hold}\n  - {rule: labels, agreement: 0.9, else: reject}\n"
    found = challenger_policy.parse(text).judge(evidence(agreement=0.1))
    assert (found.verdict, len(found.reasons)) == ("reject", 1)
    assert challenger_policy.parse("rules: []").judge(evidence()).verdict == "promote"


def test_nothing_to_judge_on() -> None:
    nothing = np.zeros(0)
    found = Evidence(nothing, np.zeros(0, dtype=object), nothing, nothing)
    rules = yaml.safe_load((LAB / "solutions" / "gate.yaml").read_text())["data"]["gate.yaml"]
    assert challenger_policy.parse(rules).judge(found).verdict == "hold"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: it is empty"),
        ("rules: 5", "line 1: expected a list"),
        ("rules:\n  - {rule: auk}", "line 2: rule is one of rows"),
        ("rules:\n  - {rule: rows, least: 5}", "line 2: unknown field least"),
        ("rules:\n  - {rule: rows}", "line 2: field atLeast is missing"),
        ("rules:\n  - {rule: rows, atLeast: many}", "line 2: atLeast must be a number"),
        ("rules:\n  - {rule: lineage, else: promote}", "line 2: else is one of hold, reject"),
        ("onPromote: deploy\nrules: []", "line 1: onPromote is one of record, move"),
    ],
)
def test_a_wrong_line_is_named(text: str, problem: str) -> None:
    with pytest.raises(ToolError, match=problem):
        challenger_policy.parse(text)


def test_auc_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    draw = np.random.default_rng(2)
    late, scores = (draw.random(500) < 0.4).astype("float64"), np.round(draw.random(500), 1)
    weights = draw.integers(0, 4, (3, 500)).astype("float64")
    found = weighted_auc(late, scores, weights)
    assert found == pytest.approx([roc_auc_score(late, scores, sample_weight=row) for row in weights])


# --- trigger


def config(name: str) -> trigger_rules.Rules:
    return trigger_rules.parse(yaml.safe_load((LAB / name).read_text())["data"]["trigger.yaml"])


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("solutions/trigger-config.yaml", set()),
        ("near-misses/trigger-every-alert.yaml", {"drift-alone", "labels-late"}),
        ("near-misses/trigger-by-time.yaml", {"repeated"}),
        ("near-misses/trigger-as-found.yaml", {"drift-alone", "labels-late", "repeated", "within-cooldown"}),
    ],
)
def test_recorded_alerts(name: str, wrong: set[str]) -> None:
    found = trigger.evaluate(config(name), FIXTURES).data
    assert {case["name"] for case in found["cases"] if case["found"] != case["expected"]} == wrong


def test_a_drill_neither_waits_nor_is_waited_for() -> None:
    rules = config("solutions/trigger-config.yaml")
    started = [Started("retrain-a-20130702", datetime(2013, 7, 2))]
    assert trigger_rules.decide(rules, Alert("ModelDegraded", "firing", "f00"), NOON, NOON, started).action == "ticket"
    assert trigger_rules.decide(rules, Alert("ModelDegraded", "firing", "f00", "d1"), NOON, NOON, started).action == "start"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("alerts: [A]\ncooldownDays: 7", "needs the fields"),
        ("alerts: A\ncooldownDays: 7\njobName: a", "alerts must be a list"),
        ("alerts: [A]\ncooldownDays: week\njobName: a", "cooldownDays is 'week'"),
        ("alerts: [A]\ncooldownDays: 7\njobName: 'a-{hour}'", "may have {fingerprint}, {day}, {time}"),
        ("alerts: [A]\ncooldownDays: 7\njobName: 'Retrain {day}'", "no name for a Job"),
    ],
)
def test_wrong_rules_of_the_trigger(text: str, problem: str) -> None:
    with pytest.raises(ToolError, match=problem):
        trigger_rules.parse(text)


@pytest.mark.parametrize("text", ["windows: 0\nbrierWorseBy: 0\nfreezeDays: 14", "windows: 2", "windows: two\nbrierWorseBy: 0\nfreezeDays: 1", ":"])
def test_wrong_rules_of_the_net(text: str) -> None:
    with pytest.raises(ToolError, match=r"safety\.yaml"):
        safety.parse(text)


@pytest.mark.parametrize(("name", "key"), [("gate", "gate.yaml"), ("trigger", "trigger.yaml")])
def test_as_found_is_what_the_chart_brings(name: str, key: str) -> None:
    """An undo must lead back to the text that the brief speaks of, with its comments."""
    template = (LAB / "chart" / "templates" / f"{name}.yaml").read_text().replace('{{- include "lab.labels" . | nindent 4 }}', "{}")
    map_of_chart = next(text for text in re.split(r"^---\n", template, flags=re.MULTILINE) if "kind: ConfigMap" in text)
    assert yaml.safe_load((LAB / "near-misses" / f"{name}-as-found.yaml").read_text())["data"] == {key: yaml.safe_load(map_of_chart)["data"][key]}


def test_the_trainer_as_found_is_that_of_the_chart() -> None:
    """Each field of the undo has the chart's value; what the chart does not set must not be there, so that applying takes it away."""
    lines = {line.strip() for line in (LAB / "chart" / "templates" / "retrain.yaml").read_text().splitlines()}
    undo = (LAB / "near-misses" / "retrain-as-found.yaml").read_text().splitlines()
    assert [line for line in undo if line.strip() not in lines] == []


def test_a_week_without_flights_ends_a_row() -> None:
    def week(day: int) -> safety.Compared:
        start = datetime(2013, 9, day)
        return safety.Compared(safety.Window(start, start + 7 * safety.DAY), 10, 0.3, 0.2)

    assert safety.in_a_row([week(3), week(10)], 2)
    assert not safety.in_a_row([week(3), week(17)], 2)
    assert not safety.in_a_row([week(3)], 2)
    assert safety.in_a_row([week(3)], 1)


def test_manifest_of_a_drill_does_nothing() -> None:
    pod = {"initContainers": [{"name": "train", "env": [{"name": "NOW", "value": "2013-01-01"}]}], "containers": [{"name": "retrain"}]}
    cron_job = {"spec": {"jobTemplate": {"metadata": {"labels": {"app": "retrain"}}, "spec": {"backoffLimit": 1, "template": {"spec": pod}}}}}
    drill = trigger.manifest(cron_job, "j", Alert("ModelDegraded", "firing", "f00", "d1"), NOON)
    assert (drill["spec"]["backoffLimit"], drill["spec"]["suspend"]) == (1, True)
    assert "mlops/started-by" not in drill["metadata"]["labels"]
    earnest = trigger.manifest(cron_job, "j", Alert("ModelDegraded", "firing", "f00"), NOON)
    assert earnest["metadata"]["labels"]["mlops/started-by"] == "trigger"
    assert "suspend" not in earnest["spec"]
    made = earnest["spec"]["template"]["spec"]
    assert [container["env"] for container in (*made["initContainers"], *made["containers"])] == [[{"name": "NOW", "value": "2013-07-03T12:00:00"}]] * 2
    assert pod["containers"] == [{"name": "retrain"}]
