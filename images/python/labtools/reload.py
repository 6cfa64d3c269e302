"""Puts changed ConfigMaps of Prometheus and Alertmanager in force.

A changed ConfigMap reaches its pods after about a minute, and the servers read it when they are told to. So: annotate the pods,
which makes the kubelet look at once, wait until the new text is in the container, reload, and see that it is what runs. Prometheus
shows the files of its container below /user/, Alertmanager the hash of the configuration that it runs.
"""

from __future__ import annotations

import hashlib
import re
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from labtools import kubernetes, prometheus, promtool, web
from labtools.errors import ToolError

SECONDS: Final = 120.0
POLL_SECONDS: Final = 0.5
# The kubelet may look before the API server has told it of the change; then it needs another push.
AGAIN_SECONDS: Final = 5.0
ANNOTATION: Final = "lab/config-rev"
PROMETHEUS: Final = "prometheus"
ALERTMANAGER: Final = "alertmanager"
ROUTES: Final = "alertmanager-config"
ROUTES_KEY: Final = "alertmanager.yml"
PREFIX: Final = "rules-"
SUFFIXES: Final = (".yaml", ".yml")
LINK: Final = re.compile(r'<a href="([^"]+)">')
HASH: Final = re.compile(r"^alertmanager_config_hash (\S+)$", re.MULTILINE)

Texts = Mapping[str, Mapping[str, str]]


@dataclass
class Wait:
    """A limit of time, and the pushes that a pod gets meanwhile."""

    app: str
    deadline: float
    pushed: float = 0.0

    def turn(self, what: str) -> None:
        """Waits a moment; raises ToolError when the time is over."""
        now = time.monotonic()
        if now > self.deadline:
            raise ToolError(f"gave up waiting until {what}")
        if now - self.pushed > AGAIN_SECONDS:
            self.pushed = now
            kubernetes.kubectl("annotate", "pods", f"--selector=app={self.app}", f"{ANNOTATION}={time.time():.3f}", "--overwrite")
        time.sleep(POLL_SECONDS)


def rule_maps() -> dict[str, Mapping[str, str]]:
    """Returns the ConfigMaps with rules that Prometheus mounts, by name; one that does not exist has no keys."""
    found = kubernetes.get("deployment", PROMETHEUS)
    if found is None:
        raise ToolError("there is no Deployment prometheus in this lab")
    volumes = found["spec"]["template"]["spec"].get("volumes", [])
    mounted = [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
    there = {item["metadata"]["name"]: item.get("data", {}) for item in kubernetes.listed("configmaps", {})}
    return {name: there.get(name, {}) for name in mounted if name.startswith(PREFIX)}


def rule_files(maps: Texts) -> dict[str, str]:
    """Returns the files that Prometheus reads, by CONFIGMAP/KEY; other keys would be passed over without a word."""
    for name, data in maps.items():
        if wrong := [key for key in data if not key.endswith(SUFFIXES)]:
            raise ToolError(f"ConfigMap {name}: Prometheus reads only keys that end in .yaml or .yml, so not {wrong[0]}")
    return {f"{name}/{key}": text for name, data in maps.items() for key, text in data.items()}


def named(text: str) -> set[tuple[str, str]]:
    """Returns the pairs of group and rule that a rule file defines."""
    groups = (yaml.safe_load(text) or {}).get("groups") or []
    return {(group["name"], rule.get("record") or rule.get("alert")) for group in groups for rule in group.get("rules") or []}


def load_rules(maps: Texts, files: Mapping[str, str], seconds: float) -> dict[str, int]:
    """Puts the rules of these ConfigMaps in force, whose files are these; returns the number of rules by file."""
    wait = Wait(PROMETHEUS, time.monotonic() + seconds)
    for name, data in maps.items():
        while not arrived(name, data):
            wait.turn(f"ConfigMap {name} is in the pod of Prometheus")
    answer = web.request("POST", f"{prometheus.url()}/-/reload", seconds=prometheus.ASK_SECONDS)
    if answer.status != 200:
        raise ToolError(f"Prometheus refuses the reload (HTTP {answer.status}): {answer.text.strip()}; its log says more")
    expected = {file: named(text) for file, text in files.items()}
    while in_force() != {file: names for file, names in expected.items() if names}:
        wait.turn("Prometheus runs the rules")
    return {file: len(names) for file, names in expected.items()}


def arrived(name: str, data: Mapping[str, str]) -> bool:
    """Says whether the container has a ConfigMap as it is now: its keys with their texts, and no others."""
    present = {file for file in LINK.findall(content(f"{name}/") or "") if file.endswith(SUFFIXES)}
    return present == set(data) and all(content(f"{name}/{key}") == text for key, text in data.items())


def content(path: str) -> str | None:
    """Returns a rule file as the container has it now, or the page that lists a directory."""
    answer = web.request("GET", f"{prometheus.url()}/user/rules/{urllib.parse.quote(path)}", seconds=prometheus.ASK_SECONDS)
    return answer.body.decode() if answer.status == 200 else None


def in_force() -> dict[str, set[tuple[str, str]]]:
    return {"/".join(file.split("/")[-2:]): names for file, names in prometheus.rules().items()}


def load_routes(seconds: float) -> bool:
    """Puts the configuration of Alertmanager in force; False where the lab has none."""
    found = kubernetes.get("configmap", ROUTES)
    if found is None or kubernetes.get("deployment", ALERTMANAGER) is None:
        return False
    text = found.get("data", {}).get(ROUTES_KEY)
    if text is None:
        raise ToolError(f"ConfigMap {ROUTES} has no key {ROUTES_KEY}")
    wait = Wait(ALERTMANAGER, time.monotonic() + seconds)
    refused = Refusals()
    wanted = fingerprint(text)
    # A reload for nothing would still lose an alert that comes while it lasts.
    while running() != wanted:
        wait.turn(f"ConfigMap {ROUTES} is in the pod of Alertmanager")
        answer = web.request("POST", f"{prometheus.alertmanager_url()}/-/reload", seconds=prometheus.ASK_SECONDS)
        refused.add(answer.text.strip() if answer.status != 200 else "")
        if refused.final():
            raise ToolError(f"Alertmanager refuses ConfigMap {ROUTES}: {refused.text}")
    return True


class Refusals:
    """Tells a refusal of the new text from one of the text before: it stays when the pod had time to get the new one."""

    PATIENCE: Final = 2 * AGAIN_SECONDS

    def __init__(self) -> None:
        self.text = ""
        self.since = 0.0

    def add(self, text: str) -> None:
        if text != self.text:
            self.text, self.since = text, time.monotonic()

    def final(self) -> bool:
        return bool(self.text) and time.monotonic() - self.since > self.PATIENCE


def running() -> float | None:
    """Returns the hash of the configuration that Alertmanager runs."""
    match = HASH.search(web.request("GET", f"{prometheus.alertmanager_url()}/metrics", seconds=prometheus.ASK_SECONDS).text)
    return float(match[1]) if match else None


def fingerprint(text: str) -> float:
    """Returns the hash as Alertmanager counts it: the first six bytes of the MD5."""
    return float(int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:6], "little"))


def load(seconds: float) -> dict[str, Any]:
    maps = rule_maps()
    files = rule_files(maps)
    # Prometheus itself refuses what is wrong, too, with fewer words.
    if promtool.here():
        promtool.check(files)
    # An alert of the new rules must find the routes that it is meant for.
    routes = load_routes(seconds)
    return {"rules": load_rules(maps, files, seconds), "routes": routes}


def described(loaded: Mapping[str, Any]) -> Sequence[str]:
    lines = [f"{count} rules of {file}" for file, count in loaded["rules"].items()] or ["no rules"]
    return [*lines, "routes of alerts"] if loaded["routes"] else lines
