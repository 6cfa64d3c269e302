"""`labtools.budgets`: which budgets are meant, and what becomes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from labtools import budgets, kubernetes

LABELS = {"app": "predictor-stable", "part": "serving"}
DEPLOYMENT = {"spec": {"replicas": 2, "template": {"metadata": {"labels": LABELS}}}}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({}, True),
        ({"matchLabels": {"app": "predictor-stable"}}, True),
        ({"matchLabels": {"app": "predictor-stable", "part": "other"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["predictor-stable", "x"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "other", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_covers(selector: dict[str, Any], found: bool) -> None:
    assert budgets.covers(selector, LABELS) is found


def test_close_and_reopen(monkeypatch: pytest.MonkeyPatch) -> None:
    def budget(name: str, app: str, pods: int, most: int | None) -> dict[str, Any]:
        spec = {"selector": {"matchLabels": {"app": app}}, "maxUnavailable": most}
        return {"metadata": {"name": name}, "spec": spec, "status": {"expectedPods": pods}}

    there = [budget("mine", "predictor-stable", 2, 0), budget("wide", "predictor-stable", 5, 0), budget("other", "x", 2, 0)]
    asked: list[tuple[str, ...]] = []

    def kubectl(*arguments: str, **_: Any) -> str:
        asked.append(arguments)
        return json.dumps({"items": there})

    monkeypatch.setattr(kubernetes, "kubectl", kubectl)

    def patches() -> dict[str, Any]:
        found = {arguments[2]: json.loads(arguments[-1].removeprefix("--patch="))["spec"] for arguments in asked if arguments[0] == "patch"}
        asked.clear()
        return found

    budgets.close(DEPLOYMENT)
    assert patches() == {name: {"minAvailable": None, "maxUnavailable": 0} for name in ("mine", "wide")}
    budgets.reopen(DEPLOYMENT)
    assert patches() == {"mine": {"minAvailable": 1, "maxUnavailable": None}, "wide": {"minAvailable": None, "maxUnavailable": 1}}
    there[0]["spec"]["maxUnavailable"] = 1
    budgets.reopen(DEPLOYMENT)
    assert set(patches()) == {"wide"}
