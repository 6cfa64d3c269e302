"""Who only asks the gate changes nothing, and undoes nothing that others did meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from gates import challenger, challenger_policy


class Registry:
    """Version 1 is champion and version 2 the challenger; somebody moves champion while the gate judges."""

    def __init__(self, meanwhile: str | None) -> None:
        self.named, self.meanwhile = {"champion": "1", "challenger": "2"}, meanwhile

    def aliases(self) -> dict[str, str]:
        return dict(self.named)

    def version(self, number: str) -> Any:
        return SimpleNamespace(number=number, tags={})

    def set_alias(self, name: str, number: str) -> None:
        self.named[name] = number


@pytest.mark.parametrize(
    ("on_promote", "verdict", "meanwhile", "moved", "champion"),
    [
        ("record", "promote", None, False, "1"),
        ("move", "promote", None, True, "1"),
        ("move", "hold", None, False, "1"),
        # A promotion by the chain, or a rollback by the safety net.
        ("record", "promote", "2", False, "2"),
        ("record", "hold", "0", False, "0"),
        ("move", "hold", "2", False, "2"),
    ],
)
def test_only_its_own_move_is_put_back(
    on_promote: str, verdict: str, meanwhile: str | None, moved: bool, champion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(meanwhile)

    def judge(*_: Any) -> Any:
        if meanwhile:
            registry.set_alias("champion", meanwhile)
        report = {"candidate": "2", "champion": "1", "gate_start": None, "gate_end": None, "verdict": verdict, "reasons": []}
        return report, SimpleNamespace(verdict=verdict)

    monkeypatch.setattr(challenger, "Registry", lambda: registry)
    monkeypatch.setattr(challenger, "policy_text", lambda: f"onPromote: {on_promote}\nrules: []")
    monkeypatch.setattr(challenger, "judge", judge)
    for name in ("challenger", "2"):
        registry.named["champion"] = "1"
        found = challenger.evaluate_candidate(name).data
        assert (found["moved"], found["champion_before"], registry.named["champion"]) == (moved, "1", champion)
    assert challenger_policy.parse(challenger.policy_text()).on_promote == on_promote
