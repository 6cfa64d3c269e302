"""The weights of the gateway: in ConfigMap gateway-routes, and in force.

Two servers of backend `split` share the traffic, `stable` and `canary`. A weight is written into the ConfigMap, the gateway's pods
are annotated so that they get it in seconds instead of a minute, and it counts once the gateway itself reports it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Final

from labtools import kubernetes, web
from labtools.errors import ToolError
from labtools.output import Result

CONFIG_MAP: Final = "gateway-routes"
KEY: Final = "haproxy.cfg"
BACKEND: Final = "split"
ANNOTATION: Final = "lab/config-rev"
SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.3
# The kubelet may look before the API server has told it of the change; then it needs another push.
AGAIN_SECONDS: Final = 5.0
SECTION: Final = re.compile(rf"^backend\s+{BACKEND}\s*$(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
SERVER: Final = re.compile(r"^[ \t]+server[ \t]+(\S+)[ \t]+.*$", re.MULTILINE)
WEIGHT: Final = re.compile(r"\bweight[ \t]+(\d+)")
# What the gateway says of a changed configuration, and how far back it is looked for among the lines of requests.
SAID: Final = re.compile(r"^gateway: (refused|reloaded)\b.*(?:\n(?:gateway:  .*))*", re.MULTILINE)
SAID_SINCE: Final = "10m"
METRIC: Final = re.compile(rf'^haproxy_server_weight\{{proxy="{BACKEND}",server="([^"]+)"\}} (\d+)', re.MULTILINE)
ANSWERS: Final = re.compile(r'^haproxy_server_http_responses_total\{proxy="[^"]+",server="([^"]+)",code="[^"]+"\} (\d+)', re.MULTILINE)
USUAL_WEIGHT: Final = 1


def metrics_url() -> str:
    return os.environ.get("GATEWAY_METRICS_URL", "http://gateway:8405").rstrip("/")


def read() -> str:
    found = kubernetes.get("configmap", CONFIG_MAP)
    if found is None or KEY not in found.get("data", {}):
        raise ToolError(f"there is no ConfigMap {CONFIG_MAP} with key {KEY}")
    return str(found["data"][KEY])


def weights(text: str) -> dict[str, int]:
    """Returns the weights of the servers of backend split, as they are written."""
    section = SECTION.search(text)
    found = {}
    for line in SERVER.finditer(section[1] if section else ""):
        weight = WEIGHT.search(line[0])
        found[line[1]] = int(weight[1]) if weight else USUAL_WEIGHT
    return found


def with_canary(text: str, percent: int) -> str:
    """Returns the routes with this share for the canary, and the rest for stable."""
    if set(weights(text)) != {"stable", "canary"}:
        raise ToolError(f"backend {BACKEND} of ConfigMap {CONFIG_MAP} has the servers {', '.join(weights(text)) or 'none'}; it needs stable and canary")
    wanted = {"stable": 100 - percent, "canary": percent}

    def line(match: re.Match[str]) -> str:
        weight = f"weight {wanted[match[1]]}"
        return WEIGHT.sub(weight, match[0]) if WEIGHT.search(match[0]) else f"{match[0].rstrip()} {weight}"

    return SECTION.sub(lambda section: SERVER.sub(line, section[0]), text)


def in_force() -> dict[str, int]:
    """Returns the weights that the gateway works with."""
    answer = web.request("GET", f"{metrics_url()}/metrics", seconds=10)
    return {server: int(weight) for server, weight in METRIC.findall(answer.text)}


def refusal() -> str | None:
    """Returns why the gateway did not take the newest routes; None if it took them, or said nothing yet."""
    said = list(SAID.finditer(kubernetes.kubectl("logs", "--selector=app=gateway", f"--since={SAID_SINCE}", "--tail=-1")))
    if not said or said[-1][1] == "reloaded":
        return None
    reasons = [line.removeprefix("gateway:").strip() for line in said[-1][0].splitlines()[1:]]
    return " ".join(reasons) or "the gateway gave no reason"


def show(seconds: float = 0) -> Result:
    written = weights(read())
    if seconds:
        wait(written, seconds)
    works = in_force()
    refused = None if written == works else refusal()
    lines = [f"{name:8} written {number(written, name):4} in force {number(works, name):4}" for name in dict.fromkeys([*written, *works])]
    if refused:
        lines.append(f"the gateway refused the routes as they are written: {refused}")
    return Result({"written": written, "in_force": works, "settled": written == works, "refused": refused}, "\n".join(lines) or "backend split has no server")


def number(found: Mapping[str, int], name: str) -> str:
    return str(found.get(name, "-"))


def answers(server: str) -> int:
    """Returns how many answers of a server, in all backends, the gateway has counted since its last reload."""
    answer = web.request("GET", f"{metrics_url()}/metrics", seconds=10)
    return sum(int(count) for name, count in ANSWERS.findall(answer.text) if name == server)


def write(text: str, manager: str) -> None:
    kubernetes.patch("configmap", CONFIG_MAP, {"data": {KEY: text}}, manager)


def push() -> None:
    """Makes the kubelet bring the ConfigMap now."""
    kubernetes.kubectl("annotate", "pods", "--selector=app=gateway", f"{ANNOTATION}={time.time():.3f}", "--overwrite")


def set_canary(percent: int, manager: str, seconds: float = SECONDS) -> None:
    """Gives the canary its share, and waits until the gateway works with it."""
    text = read()
    changed = with_canary(text, percent)
    if changed != text:
        write(changed, manager)
    wait(weights(changed), seconds)


def put_back(text: str, manager: str, seconds: float = SECONDS) -> None:
    """Restores the routes word for word."""
    if read() != text:
        write(text, manager)
    wait(weights(text), seconds)


def wait(wanted: Mapping[str, int], seconds: float) -> None:
    deadline, pushed = time.monotonic() + seconds, 0.0
    while True:
        try:
            found = in_force()
        except ToolError as error:
            found, said = {}, str(error)
        else:
            said = f"the gateway works with {', '.join(f'{name} {weight}' for name, weight in found.items()) or 'no weights'}"
        if found == wanted:
            return
        now = time.monotonic()
        if now > deadline:
            raise ToolError(f"{said}, expected {', '.join(f'{name} {weight}' for name, weight in wanted.items())}; its log says why a change was refused")
        if now - pushed > AGAIN_SECONDS:
            pushed = now
            push()
        time.sleep(POLL_SECONDS)
