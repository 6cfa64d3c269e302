"""Prometheus and Alertmanager over HTTP."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from labtools import web
from labtools.errors import ToolError

ASK_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Sample:
    """One series of an instant query."""

    labels: Mapping[str, str]
    value: float
    timestamp: float


def url() -> str:
    return os.environ.get("PROMETHEUS_URL", "http://prometheus:9090").rstrip("/")


def alertmanager_url() -> str:
    return os.environ.get("ALERTMANAGER_URL", "http://alertmanager:9093").rstrip("/")


def ask(path: str, **parameters: str) -> Any:
    """Returns the data of an answer of the API; raises ToolError with the server's words."""
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    answer = web.request("GET", f"{url()}/api/v1/{path}{query}", seconds=ASK_SECONDS)
    said = answer.json()
    if not isinstance(said, dict) or said.get("status") != "success":
        reason = said.get("error", answer.text) if isinstance(said, dict) else answer.text
        raise ToolError(f"Prometheus answered HTTP {answer.status}: {str(reason).strip()[:300]}")
    return said["data"]


def alertmanager_alerts() -> list[dict[str, str]]:
    """Returns the labels of the alerts that Alertmanager holds for active, silenced ones too."""
    answer = web.request("GET", f"{alertmanager_url()}/api/v2/alerts", seconds=ASK_SECONDS)
    said = answer.json()
    if answer.status != 200 or not isinstance(said, list):
        raise ToolError(f"Alertmanager answered HTTP {answer.status}: {answer.text.strip()[:300]}")
    return [alert["labels"] for alert in said]


def query(expr: str) -> list[Sample]:
    """Runs an instant query; a scalar is one sample without labels."""
    data = ask("query", query=expr)
    found = [{"metric": {}, "value": data["result"]}] if data["resultType"] == "scalar" else data["result"]
    return [Sample(item["metric"], float(item["value"][1]), float(item["value"][0])) for item in found]


def rules() -> dict[str, set[tuple[str, str]]]:
    """Returns the rules in force: for each file, the pairs of group and rule."""
    loaded: dict[str, set[tuple[str, str]]] = {}
    for group in ask("rules")["groups"]:
        loaded.setdefault(group["file"], set()).update((group["name"], rule["name"]) for rule in group["rules"])
    return loaded
