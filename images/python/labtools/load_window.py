"""Watches whether a pod says Ready before its model answers: `probe load-window`.

One extra pod is made from the Deployment's template. Its labels are its own, so no Service sends anybody there, and its model loads
later than usual: a probe that only guesses how long loading takes is seen to guess. Twice a second the pod's condition is read and
then the model's own path asked, so that an answer which comes in between can't count against the pod. The pod is always removed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.contract import MODEL_NAME

from labtools import deployment, kubernetes, output, web
from labtools.drill import ignore_signals, interruptible
from labtools.errors import ToolError
from labtools.output import Result

DEPLOYMENT: Final = "predictor-stable"
OWNER: Final = {"labctl.dev/owner": "probe-load-window"}
VARIABLE: Final = "LOAD_AFTER_LISTEN"
# How much later the model loads than usual.
EXTRA_SECONDS: Final = 12
POLL_SECONDS: Final = 0.5
SECONDS: Final = 90.0
# If nothing else does, this ends the pod.
LIFE_SECONDS: Final = 240


@dataclass
class Seen:
    """Seconds after the start at which things were first seen; None where they were not."""

    ready: float | None = None
    model: float | None = None
    false_ready: float | None = None
    restarts: int = 0


def parser() -> output.Parser:
    top = output.Parser(prog="probe load-window", description="Watches whether a pod says Ready before its model answers.")
    top.add_argument("--deployment", default=DEPLOYMENT, help=f"whose template ({DEPLOYMENT})")
    top.add_argument("--extra", type=int, default=EXTRA_SECONDS, help=f"load so many seconds later ({EXTRA_SECONDS})")
    top.add_argument("--seconds", type=float, default=SECONDS, help=f"how long it may take ({SECONDS:g})")
    return top


def pod_of(found: kubernetes.Object, name: str, extra: int) -> dict[str, Any]:
    """Returns the extra pod: the template's, but with labels of its own, a later model, and no long goodbye."""
    spec = dict(found["spec"]["template"]["spec"])
    container = deployment.pin_of(found).container
    containers = []
    for item in spec["containers"]:
        entry = {**item, "lifecycle": None}
        if item["name"] == container:
            usual = next((variable.get("value") or "0" for variable in item.get("env", []) if variable["name"] == VARIABLE), "0")
            others = [variable for variable in item.get("env", []) if variable["name"] != VARIABLE]
            entry["env"] = [*others, {"name": VARIABLE, "value": str(int(usual) + extra)}]
        containers.append(entry)
    spec |= {"containers": containers, "terminationGracePeriodSeconds": 1, "activeDeadlineSeconds": LIFE_SECONDS}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": dict(OWNER)}, "spec": spec}


def remove() -> None:
    """Removes every pod that this command ever made."""
    selector = ",".join(f"{key}={value}" for key, value in OWNER.items())
    kubernetes.kubectl("delete", "pods", f"--selector={selector}", "--wait=false", "--ignore-not-found")


def watch(name: str, port: int, seconds: float) -> Seen:
    """Looks until the pod is ready and its model answers, or it was restarted."""
    seen = Seen()
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < seconds:
        pod = kubernetes.get("pod", name)
        if pod is None:
            raise ToolError(f"pod {name} was deleted while it was watched")
        if reasons := [reason for reason, _ in deployment.waiting(pod) if reason != "CrashLoopBackOff"]:
            raise ToolError(f"pod {name} can't start: {reasons[0]}")
        seen.restarts = sum(item.get("restartCount", 0) for item in pod.get("status", {}).get("containerStatuses", []))
        ready = deployment.ready(pod)
        answers = model_answers(pod["status"].get("podIP"), port)
        if ready and seen.ready is None:
            seen.ready = now
        if ready and not answers and seen.model is None and seen.false_ready is None:
            seen.false_ready = now
        if answers and seen.model is None:
            seen.model = now
        if seen.restarts or (ready and answers):
            break
        time.sleep(POLL_SECONDS)
    return seen


def model_answers(address: str | None, port: int) -> bool:
    if not address:
        return False
    host = f"[{address}]" if ":" in address else address
    try:
        return web.request("GET", f"http://{host}:{port}/v2/models/{MODEL_NAME}/ready", seconds=3).status == 200
    except ToolError:
        return False


def run(options: argparse.Namespace) -> Result:
    found = deployment.find(options.deployment)
    name = f"load-window-{os.urandom(3).hex()}"
    with interruptible():
        remove()
        try:
            kubernetes.create([pod_of(found, name, options.extra)])
            output.say(f"pod {name} of Deployment {options.deployment} loads {options.extra} s later than usual")
            seen = watch(name, deployment.PORT, options.seconds)
        finally:
            ignore_signals()
            remove()
    return describe(seen, name)


def describe(seen: Seen, name: str) -> Result:
    # A pod that still lies at the end has lied until then.
    too_early = 0.0 if seen.false_ready is None else (seen.model or seen.false_ready + POLL_SECONDS) - seen.false_ready
    data = {"pod": name, "too_early_seconds": round(too_early, 1), "restarts": seen.restarts}
    data |= {key: None if value is None else round(value, 1) for key, value in (("ready_after", seen.ready), ("model_after", seen.model))}
    lines = [f"the model answered after {data['model_after'] or '-'} s, the pod was Ready after {data['ready_after'] or '-'} s"]
    if too_early:
        lines.append(f"Ready {data['too_early_seconds']} s too early")
    if seen.restarts:
        lines.append("the container was restarted while it was loading")
    return Result(data, "\n".join(lines))


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
