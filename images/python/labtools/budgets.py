"""PodDisruptionBudgets that cover the pods of a Deployment, whatever their names and selectors: what a fault closes, and its fix opens.

It is not for judging them: that is a check's work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from labtools import kubernetes
from labtools.kubernetes import Object

WITHOUT = ("NotIn", "DoesNotExist")


def covers(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Says whether a label selector takes pods with these labels in; one without conditions takes all."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for entry in selector.get("matchExpressions", []):
        named = entry["key"] in labels and (not entry.get("values") or labels[entry["key"]] in entry["values"])
        if named == (entry["operator"] in WITHOUT):
            return False
    return True


def covering(deployment: Object) -> list[Object]:
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    found: list[Object] = json.loads(kubernetes.kubectl("get", "pdb", "--output=json"))["items"]
    return [budget for budget in found if "selector" in budget["spec"] and covers(budget["spec"]["selector"], labels)]


def close(deployment: Object) -> None:
    """Lets no pod of the Deployment go."""
    for budget in covering(deployment):
        change(budget, minimum=None, maximum=0)


def reopen(deployment: Object) -> None:
    """Lets one pod go again, and keeps another, where none may go."""
    for budget in covering(deployment):
        if budget["spec"].get("maxUnavailable") != 0:
            continue
        # One that covers others, too, would let all of these go if it kept any one.
        wide = budget["status"]["expectedPods"] > deployment["spec"]["replicas"]
        change(budget, minimum=None if wide else 1, maximum=1 if wide else None)


def change(budget: Object, *, minimum: int | None, maximum: int | None) -> None:
    patch = json.dumps({"spec": {"minAvailable": minimum, "maxUnavailable": maximum}})
    kubernetes.kubectl("patch", "pdb", budget["metadata"]["name"], "--type=merge", f"--patch={patch}")
