"""The Deployment predictor-canary: a version goes in and serves, and is taken out again; stable is pinned to what passed."""

from __future__ import annotations

import time
from typing import Final

from labtools import deployment, kubernetes, predictor, rows
from labtools.errors import ToolError

from gates.canary import CANARY, STABLE

MANAGER: Final = "gate"
FORCED: Final = {"x-canary": "always"}
ANSWER_SECONDS: Final = 40.0
POLL_SECONDS: Final = 0.3
# The gateway looks at its servers once a second, and believes the second look.
IN_A_ROW: Final = 5


def replicas(name: str = CANARY) -> int:
    return int(deployment.find(name)["spec"].get("replicas", 1))


def scale(count: int, name: str = CANARY) -> None:
    kubernetes.patch("deployment", name, {"spec": {"replicas": count}}, MANAGER)


def pin(version: str, name: str) -> bool:
    """Writes a version into a Deployment, number and label; returns whether it was not there yet."""
    found = deployment.pin_of(deployment.find(name))
    if found.version == version and found.label == version:
        return False
    deployment.apply(deployment.pinned_to(found, version), MANAGER, name)
    return True


def start(version: str) -> None:
    """Makes one pod of the version serve behind the canary route."""
    pin(version, CANARY)
    scale(1)
    deployment.wait(CANARY)
    wait_for(version)


def wait_for(version: str, seconds: float = ANSWER_SECONDS) -> None:
    """Waits until requests that ask for the canary are answered by the version."""
    deadline, seen, said = time.monotonic() + seconds, 0, "nobody"
    while seen < IN_A_ROW:
        try:
            found = predictor.ask(rows.one(), headers=FORCED).version
            said = f"version {found}"
        except ToolError as error:
            found, said = "", str(error)
        seen = seen + 1 if found == version else 0
        if time.monotonic() > deadline:
            raise ToolError(f"requests with x-canary: always are answered by {said} after {seconds:g} s; expected version {version}")
        time.sleep(POLL_SECONDS)


def promote(version: str) -> None:
    """Pins stable to the version, and waits until only its pods are left."""
    pin(version, STABLE)
    deployment.wait(STABLE)


def stop() -> None:
    scale(0)
