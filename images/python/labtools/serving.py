"""Brings the served version in line with the registry, and tells where each of them stands."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from labtools import deployment, lifecycle, predictor
from labtools.deployment import Pin
from labtools.errors import ToolError
from labtools.mlflow_api import Registry

# Whose fields of the Deployment the workbench's are.
MANAGER: Final = "solution"
# After the rollout: endpoints and connections follow within moments.
ANSWER_SECONDS: Final = 30.0


@dataclass(frozen=True)
class State:
    """Version numbers by where they are named; None where none is. `uri` is what the Deployment says in full."""

    champion: str | None
    rollback: str | None
    pinned: str | None
    served: str | None
    uri: str | None


@dataclass(frozen=True)
class Replica:
    """What one ready pod says that it serves; None where it says nothing."""

    pod: str
    version: str | None
    digest: str | None


def state(registry: Registry) -> State:
    """Asks registry, Deployment and server at the same time; a server that does not answer serves nothing."""
    with ThreadPoolExecutor() as pool:
        aliases = pool.submit(registry.aliases)
        pin = pool.submit(lambda: deployment.pin_of(deployment.find()))
        served = pool.submit(predictor.version)
        named, pinned = aliases.result(), pin.result()
        return State(named.get(lifecycle.CHAMPION), named.get(lifecycle.ROLLBACK), pinned.version, served.result(), pinned.uri)


def replicas(name: str = deployment.NAME) -> list[Replica]:
    """Reads the metric model_info of every ready pod of a Deployment."""
    found = [pod for pod in deployment.pods(deployment.find(name)) if deployment.ready(pod)]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(replica, found))


def replica(pod: Any) -> Replica:
    name, address = pod["metadata"]["name"], pod["status"]["podIP"]
    host = f"[{address}]" if ":" in address else address
    try:
        labels = predictor.info(f"http://{host}:{deployment.PORT}") or {}
    except ToolError:
        labels = {}
    return Replica(name, labels.get("version"), labels.get("digest"))


def pin(version: str, name: str = deployment.NAME, manager: str = MANAGER) -> bool:
    """Pins the Deployment to a version, waits until only its pods are left, and returns whether anything had to be changed."""
    changed = write_pin(version, name, manager)
    deployment.wait(name)
    predictor.wait_for(version, ANSWER_SECONDS)
    return changed


def write_pin(version: str, name: str = deployment.NAME, manager: str = MANAGER, *, dry_run: bool = False) -> bool:
    """Writes the pin without waiting; returns whether it was not there yet."""
    found = deployment.pin_of(deployment.find(name))
    if holds(found, version) and not dry_run:
        return False
    deployment.apply(deployment.pinned_to(found, version), manager, name, dry_run=dry_run)
    return True


def holds(pin: Pin, version: str) -> bool:
    return pin.version == version and pin.label == version
