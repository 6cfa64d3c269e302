"""Kubernetes through `kubectl`, as the learner uses it: with the pod's own ServiceAccount, in the pod's own namespace."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from labtools.errors import ToolError

Object = Mapping[str, Any]

CALL_SECONDS: Final = 15.0
NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def kubectl(*arguments: str, stdin: str = "", seconds: float = CALL_SECONDS) -> str:
    """Runs kubectl for at most `seconds` and returns its stdout; an error carries what it said.

    The limit is on the process: with --request-timeout kubectl does not find the cluster it runs in, and asks localhost
    (it takes any setting for a configuration of its own).
    """
    what = " ".join(arguments[:3])
    try:
        done = subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
    except FileNotFoundError as error:
        raise ToolError("there is no kubectl here") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"kubectl {what}: no end after {seconds:g} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise ToolError(f"kubectl {what}: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def get(kind: str, name: str) -> Object | None:
    """Returns an object, None if there is none."""
    text = kubectl("get", kind, name, "--output=json", "--ignore-not-found")
    return json.loads(text) if text.strip() else None


def listed(kind: str, selector: Mapping[str, str]) -> list[Object]:
    """Returns the objects with these labels."""
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    found: list[Object] = json.loads(kubectl("get", kind, f"--selector={labels}", "--output=json"))["items"]
    return found


def create(objects: Iterable[Object]) -> list[Object]:
    """Creates objects in one call and returns them as the server answered."""
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    # No validation by the client: it would fetch the whole API description first. The server validates.
    return documents(kubectl("create", "--filename=-", "--output=json", "--validate=false", stdin=manifest))


def apply(manifest: Object, manager: str) -> None:
    """Applies an object on the server's side; its fields are this manager's afterwards, whoever had them."""
    options = ["--server-side", "--force-conflicts", f"--field-manager={manager}", "--validate=false", "--output=name"]
    kubectl("apply", "--filename=-", *options, stdin=json.dumps(manifest))


def patch(kind: str, name: str, change: Object, manager: str, *, dry_run: bool = False) -> None:
    """Merges a change into an object, by the kind's own rules for lists; needs no right but `patch` on it (and `get`)."""
    options = [f"--patch={json.dumps(change)}", "--type=strategic", f"--field-manager={manager}", "--output=name"]
    kubectl("patch", kind, name, *options, *(["--dry-run=server"] if dry_run else []))


def documents(text: str) -> list[Object]:
    """Reads JSON objects that follow one another, or one List of them."""
    decoder, position = json.JSONDecoder(), 0
    found: list[Object] = []
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        item, position = decoder.raw_decode(text, position)
        found += item["items"] if item.get("kind") == "List" else [item]
    return found


def namespace() -> str:
    """Returns the namespace of this pod."""
    if name := os.environ.get("POD_NAMESPACE"):
        return name
    try:
        return NAMESPACE_FILE.read_text().strip()
    except OSError as error:
        raise ToolError("this is no pod: it has no namespace (POD_NAMESPACE can name one)") from error
