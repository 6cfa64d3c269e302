"""The model server, asked as its clients ask it: Open Inference Protocol v2 over HTTP, and its metrics."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.contract import CATEGORICAL, MODEL_NAME

from labtools import rows, web
from labtools.errors import ToolError

DEFAULT_URL: Final = "http://predictor:8080"
ASK_SECONDS: Final = 4.0
POLL_SECONDS: Final = 0.1
# Every answer of a model server names its pod.
POD_HEADER: Final = "x-pod"
# The Service hands out connections at random: so many right answers in a row before a version counts as the only one.
IN_A_ROW: Final = 3

METRIC: Final = re.compile(r"^model_info\{(?P<labels>[^}]*)\}\s+1(\.0)?\s*$", re.MULTILINE)
LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Table = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Prediction:
    """Which version answered, and the probability of being late for each row."""

    version: str
    scores: list[float]


class RefusedError(ToolError):
    """The server answered, but not with scores. `pod` is empty where no model server said anything."""

    def __init__(self, status: int, body: str, pod: str) -> None:
        super().__init__(f"predictor answered HTTP {status}: {body}")
        self.status, self.body, self.pod = status, body, pod


def default_url() -> str:
    return os.environ.get("PREDICTOR_URL", DEFAULT_URL).rstrip("/")


def payload(table: Table) -> dict[str, Any]:
    """Returns an infer request with an id of its own: each column is one input of shape [rows], categories BYTES, numbers FP64."""
    inputs = []
    for name, values in table.items():
        kind = "BYTES" if name in CATEGORICAL else "FP64"
        inputs.append({"name": name, "shape": [len(values)], "datatype": kind, "data": list(values)})
    return {"id": os.urandom(8).hex(), "inputs": inputs}


def ask(table: Table, url: str | None = None, seconds: float = ASK_SECONDS, headers: Mapping[str, str] | None = None) -> Prediction:
    """Sends the rows in one request on a new connection; raises ToolError unless scores come back."""
    answer = web.request("POST", f"{url or default_url()}/v2/models/{MODEL_NAME}/infer", payload(table), seconds, headers)
    said = answer.json()
    if answer.status != 200 or not isinstance(said, dict):
        reason = said.get("error", answer.text) if isinstance(said, dict) else re.sub(r"<[^>]*>", " ", answer.text)
        first = ([line.strip() for line in str(reason).splitlines() if line.strip()] or ["no message"])[0][:300]
        raise RefusedError(answer.status, first, answer.headers.get(POD_HEADER, ""))
    if not said.get("model_version"):
        raise ToolError("predictor's answer names no model_version")
    outputs = said.get("outputs") or [{}]
    return Prediction(str(said["model_version"]), [float(score) for score in outputs[0].get("data", [])])


def ask_again(table: Table, url: str | None = None, seconds: float = ASK_SECONDS) -> Prediction:
    """Asks, and once more if no answer came: right after a rollout a connection may still go to a pod that has ended."""
    try:
        return ask(table, url, seconds)
    except web.UnreachableError:
        return ask(table, url, seconds)


def version(url: str | None = None) -> str | None:
    """Returns the version that answers, None if nothing does."""
    try:
        return ask_again(rows.one(), url).version
    except ToolError:
        return None


def wait_for(expected: str, seconds: float, in_a_row: int = IN_A_ROW) -> None:
    """Waits until the version is the one that answers."""
    deadline = time.monotonic() + seconds
    seen = 0
    while True:
        found = version()
        seen = seen + 1 if found == expected else 0
        if seen == in_a_row:
            return
        if time.monotonic() >= deadline:
            raise ToolError(f"predictor answers as version {found} after {seconds:g} s, expected {expected}")
        if not seen:
            time.sleep(POLL_SECONDS)


def info(url: str) -> dict[str, str] | None:
    """Returns the labels of the metric model_info (model, version, run_id, digest) of one server, None if it has none."""
    answer = web.request("GET", f"{url}/metrics", seconds=ASK_SECONDS)
    for match in METRIC.finditer(answer.text):
        labels = dict(LABEL.findall(match["labels"]))
        if labels.get("model") == MODEL_NAME:
            return labels
    return None
