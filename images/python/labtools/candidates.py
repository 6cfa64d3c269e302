"""Collects what a policy judges: of a real run from MLflow, or of the labelled cases in the image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labtools import kubernetes, policy
from labtools.errors import ToolError
from labtools.mlflow_api import Registry, Run

FIXTURES: Final = Path("/opt/lab/fixtures")
CONFIG_MAP: Final = "promotion-policy"
KEY: Final = "policy.yaml"
DIGEST_TAG: Final = "model_digest"


@dataclass(frozen=True)
class Case:
    """A labelled candidate; `words` says for people what is special about it."""

    name: str
    words: str
    expected: str
    candidate: policy.Candidate


def sha256(content: bytes) -> str:
    """Returns a digest in the form of the tags and of the server's metric."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def digest_state(tags: Mapping[str, str], stored: str) -> str:
    """Compares the digest that was recorded with that of the stored bytes."""
    recorded = tags.get(DIGEST_TAG)
    if not recorded:
        return policy.MISSING
    return policy.VERIFIED if recorded == stored else policy.MISMATCH


def of_run(registry: Registry, run: Run) -> policy.Candidate:
    """Describes a run as a candidate; its model is read and hashed, whatever the tags say."""
    return policy.Candidate(run.name, run.tags, run.features, digest_state(run.tags, sha256(registry.run_bytes(run))))


def cases(fixtures: str) -> list[Case]:
    """Reads the labelled cases of a set, sorted by name."""
    folder = FIXTURES / fixtures
    found = []
    for path in sorted(folder.glob("*.json")):
        entry = json.loads(path.read_text())
        described = entry["candidate"]
        tags: Mapping[str, str] = described["tags"]
        features: Sequence[str] = described["features"]
        candidate = policy.Candidate(entry["name"], tags, features, digest_state(tags, described["stored_digest"]))
        found.append(Case(entry["name"], entry["words"], entry["expected"], candidate))
    if not found:
        raise ToolError(f"there are no fixtures named {fixtures}")
    return found


def policy_of_lab() -> policy.Policy:
    """Reads the policy from its ConfigMap."""
    found = kubernetes.get("configmap", CONFIG_MAP)
    text = (found or {}).get("data", {}).get(KEY)
    if text is None:
        raise ToolError(f"ConfigMap {CONFIG_MAP} has no key {KEY}" if found else f"there is no ConfigMap {CONFIG_MAP}")
    return policy.parse(text)


def policy_of_file(path: Path) -> policy.Policy:
    """Reads the policy from where it is mounted."""
    try:
        return policy.parse(path.read_text())
    except OSError as error:
        raise ToolError(f"there is no promotion policy at {path}: {error.strerror}") from error
