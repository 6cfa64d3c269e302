"""The Deployment that serves the model: which version it is pinned to, and how to pin it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lab.contract import MODEL_NAME

from labtools import kubernetes
from labtools.errors import ToolError

NAME: Final = "predictor"
VARIABLE: Final = "MODEL_URI"
LABEL: Final = "mlops/model-version"
PORT: Final = 8080

NUMBERED: Final = re.compile(rf"(?:models:|s3://models)/{re.escape(MODEL_NAME)}/([0-9]+)")

# A new pod loads Python, the libraries and a model, on a slow machine beside everything else.
ROLLOUT_SECONDS: Final = 120.0
# How often a rollout is looked at in between, and after how many crashes of a pod it is given up.
LOOK_SECONDS: Final = 15
POLL_SECONDS: Final = 0.5
# As long as a pod may take to end.
DRAIN_SECONDS: Final = 40.0
MANY_RESTARTS: Final = 3


@dataclass(frozen=True)
class Pin:
    """What the pods are told to load.

    `uri` is the value of MODEL_URI (taken from its ConfigMap where it is a reference), `entry` the variable as the pod
    template has it, `label` the pods' label mlops/model-version, `container` the container that reads the variable.
    """

    container: str
    uri: str | None
    entry: Mapping[str, Any] | None
    label: str | None

    @property
    def version(self) -> str | None:
        """The version number in the URI; None where it names no number, since that can change under running pods."""
        match = NUMBERED.fullmatch(self.uri or "")
        return match[1] if match else None


def uri(version: str, like: str | None = None) -> str:
    """Returns the URI of a version, in the object store where the one before lies there."""
    scheme = "s3://models" if (like or "").startswith("s3://") else "models:"
    return f"{scheme}/{MODEL_NAME}/{version}"


def find(name: str = NAME) -> kubernetes.Object:
    deployment = kubernetes.get("deployment", name)
    if deployment is None:
        raise ToolError(f"there is no Deployment {name}")
    return deployment


def pin_of(deployment: kubernetes.Object) -> Pin:
    """Reads the pin from a Deployment."""
    template = deployment["spec"]["template"]
    label = template["metadata"].get("labels", {}).get(LABEL)
    containers = template["spec"]["containers"]
    for container in containers:
        for entry in container.get("env", []):
            if entry["name"] == VARIABLE:
                return Pin(container["name"], value_of(entry), entry, label)
    named = next((container["name"] for container in containers if container["name"] == NAME), containers[0]["name"])
    return Pin(named, None, None, label)


def value_of(entry: Mapping[str, Any]) -> str | None:
    """Returns the value of a container's variable, looked up where it refers to a ConfigMap."""
    reference = entry.get("valueFrom", {}).get("configMapKeyRef")
    if reference is None:
        return entry.get("value")
    found = kubernetes.get("configmap", reference["name"]) or {}
    value: str | None = found.get("data", {}).get(reference["key"])
    return value


def change(pin: Pin) -> kubernetes.Object:
    """Returns the patch that gives a Deployment this pin, variable and label in one step."""
    # A merge keeps what it is not told about, so the form that is not wanted is taken out by name.
    entry = {"name": VARIABLE, "value": None, "valueFrom": None, **pin.entry} if pin.entry else {"name": VARIABLE, "$patch": "delete"}
    template = {
        "metadata": {"labels": {LABEL: pin.label}},
        "spec": {"containers": [{"name": pin.container, "env": [entry]}]},
    }
    return {"spec": {"template": template}}


def pinned_to(pin: Pin, version: str) -> Pin:
    """Returns the pin for a version: the number itself in the URI, and on the label."""
    address = uri(version, pin.uri)
    return Pin(pin.container, address, {"name": VARIABLE, "value": address}, version)


def apply(pin: Pin, manager: str, name: str = NAME, *, dry_run: bool = False) -> None:
    """Writes a pin into the Deployment; a dry run lets the server judge it only."""
    kubernetes.patch("deployment", name, change(pin), manager, dry_run=dry_run)


def wait(name: str = NAME, seconds: float = ROLLOUT_SECONDS) -> None:
    """Waits until all pods are those of the newest template and ready; says what holds them up if that fails or can't succeed."""
    deadline = time.monotonic() + seconds
    while True:
        turn = max(1, min(LOOK_SECONDS, int(deadline - time.monotonic())))
        try:
            kubernetes.kubectl("rollout", "status", f"deployment/{name}", f"--timeout={turn}s", seconds=turn + kubernetes.CALL_SECONDS)
            return
        except ToolError as error:
            found = pods(find(name))
            if "timed out" not in str(error) or time.monotonic() >= deadline or any(hopeless(pod) for pod in found):
                causes = [cause for pod in found if (cause := obstacle(pod))]
                raise ToolError(f"Deployment {name} is not rolled out: {'; '.join(causes) or error}") from error


def wait_replaced(name: str = NAME, seconds: float = ROLLOUT_SECONDS) -> None:
    """Waits as `wait` does, by the Deployment's own counts: for accounts that may read it by its name, and may not list pods."""
    deadline = time.monotonic() + seconds
    while not replaced(find(name)):
        if time.monotonic() >= deadline:
            raise ToolError(f"Deployment {name} is not rolled out after {seconds:g} s")
        time.sleep(POLL_SECONDS)


def replaced(deployment: kubernetes.Object) -> bool:
    """Says whether all pods are those of the newest template and ready, as `kubectl rollout status` counts."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    counts = [status.get(count, 0) for count in ("replicas", "updatedReplicas", "availableReplicas")]
    return status.get("observedGeneration", 0) >= deployment["metadata"]["generation"] and counts == [wanted] * 3


def wait_drained(name: str = NAME, seconds: float = DRAIN_SECONDS) -> bool:
    """Waits until no pod of the Deployment is on its way out, and returns whether that is so.

    A pod that drains still answers whoever has a connection to it or has not heard of its end, with the version and the settings that
    it was started with, after the rollout counts as done.
    """
    labels = find(name)["spec"]["selector"]["matchLabels"]
    deadline = time.monotonic() + seconds
    while any("deletionTimestamp" in pod["metadata"] for pod in kubernetes.listed("pods", labels)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def pods(deployment: kubernetes.Object) -> list[kubernetes.Object]:
    """Returns the Deployment's pods that are not on their way out."""
    found = kubernetes.listed("pods", deployment["spec"]["selector"]["matchLabels"])
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def ready(pod: kubernetes.Object) -> bool:
    return any(item["type"] == "Ready" and item["status"] == "True" for item in pod.get("status", {}).get("conditions", []))


def waiting(pod: kubernetes.Object) -> list[tuple[str, int]]:
    """Returns for each container that can't start why, and how often it was restarted."""
    status = pod.get("status", {})
    found = []
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        reason = container.get("state", {}).get("waiting", {}).get("reason", "")
        if reason not in ("", "ContainerCreating", "PodInitializing"):
            found.append((reason, container.get("restartCount", 0)))
    return found


def hopeless(pod: kubernetes.Object) -> bool:
    """Says whether waiting for the pod is in vain: its image can't be had, or it crashed again and again."""
    return any(reason != "CrashLoopBackOff" or restarts >= MANY_RESTARTS for reason, restarts in waiting(pod))


def obstacle(pod: kubernetes.Object) -> str:
    """Says why a pod is not ready, or nothing."""
    if ready(pod):
        return ""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    if found := waiting(pod):
        return f"pod {name}: {found[0][0]}"
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"pod {name}: {condition.get('message') or condition.get('reason')}"
    return f"pod {name} is {status.get('phase', 'Unknown')}, not ready"
