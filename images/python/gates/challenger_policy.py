"""The rules of a challenger gate: key `gate.yaml` of ConfigMap `gate`.

    # Every rule is judged, the strictest word counts: reject, else hold, else promote.
    # Whatever can't be decided is `hold`, whoever wrote the rule.
    onPromote: record            # or `move`: the gate itself points alias champion to the candidate
    rules:
      - {rule: rows, atLeast: 2000, else: hold}
      - {rule: lineage, else: reject}
      - {rule: labels, agreement: 0.995, else: reject}
      - {rule: plausible, aucBelow: 0.85, else: reject}
      - {rule: slices, by: origin, rows: 500, brierWorseBy: 0.01, else: reject}
      - {rule: brier, betterBy: 0.005, else: hold}
      - {rule: auc, lowerBound: -0.005, else: hold}

The rules, and what each looks at:

    rows       how many labelled flights of the gate's days there are
    lineage    all lineage tags are there, training ends before the gate begins, features are those of the contract
    labels     the part of the labels that agree with the flights' arrivals, in training and gate
    plausible  the candidate's own AUC: a model that is too good reads the answer
    slices     Brier of each origin with so many rows, candidate against champion
    brier      Brier on the same flights; `against: recorded` takes the value that the champion had when it was made
    auc        lower 95 % bound of the difference of AUC, by a paired bootstrap; `against: recorded` as above

Anything else is an error that names the line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import yaml
from labtools.errors import ToolError

from gates.evidence import Evidence

PROMOTE: Final = "promote"
HOLD: Final = "hold"
REJECT: Final = "reject"
STRICTNESS: Final = (PROMOTE, HOLD, REJECT)
RECORD: Final = "record"
MOVE: Final = "move"


class PolicyError(ToolError):
    """The policy can't be read; the text names the line."""


@dataclass(frozen=True)
class Finding:
    """What one rule came to: whether it holds, and what was found. `word` is what a broken rule says."""

    rule: str
    holds: bool
    words: str
    word: str


@dataclass(frozen=True)
class Rule:
    kind: str
    word: str
    check: Callable[[Evidence], tuple[bool | None, str]]

    def judge(self, evidence: Evidence) -> Finding:
        holds, words = self.check(evidence)
        # What can't be decided is no reason to throw a candidate away, and none to let it pass.
        return Finding(self.kind, holds is True, words, self.word if holds is False else HOLD)


@dataclass(frozen=True)
class Judgement:
    verdict: str
    findings: Sequence[Finding]

    @property
    def reasons(self) -> list[str]:
        """What led to the verdict: the broken rules with that word, or all rules of one that promotes."""
        if self.verdict == PROMOTE:
            return [f"{finding.rule}: {finding.words}" for finding in self.findings] or ["there are no rules"]
        return [f"{finding.rule}: {finding.words}" for finding in self.findings if not finding.holds and finding.word == self.verdict]


@dataclass(frozen=True)
class Policy:
    rules: Sequence[Rule]
    on_promote: str

    def judge(self, evidence: Evidence) -> Judgement:
        findings = [rule.judge(evidence) for rule in self.rules]
        words = [finding.word for finding in findings if not finding.holds]
        return Judgement(max(words, key=STRICTNESS.index, default=PROMOTE), findings)


def parse(text: str) -> Policy:
    """Reads a policy; raises PolicyError with the line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise PolicyError(f"gate.yaml, line {mark.line + 1 if mark else 1}: {error.problem}") from error
    if root is None:
        raise PolicyError("gate.yaml, line 1: it is empty")
    top = Fields(root, ("rules",), ("onPromote",))
    nodes = top.get("rules")
    if not isinstance(nodes, yaml.SequenceNode):
        raise problem(nodes, "expected a list of rules")
    return Policy([rule(node) for node in nodes.value], top.choice("onPromote", (RECORD, MOVE), RECORD))


def rule(node: yaml.Node) -> Rule:
    kind = Fields(node, ("rule",), None).choice("rule", tuple(RULES))
    needed, optional, make = RULES[kind]
    fields = Fields(node, ("rule", *needed), (*optional, "else"))
    return Rule(kind, fields.choice("else", (HOLD, REJECT), HOLD), make(fields))


class Fields:
    """The fields of one mapping, read with their lines; `optional` None leaves the names for later."""

    def __init__(self, node: yaml.Node, required: Sequence[str], optional: Sequence[str] | None) -> None:
        if not isinstance(node, yaml.MappingNode):
            raise problem(node, f"expected fields ({', '.join(required)})")
        self.node = node
        self.nodes: dict[str, yaml.Node] = {}
        known = None if optional is None else [*required, *optional]
        for key, value in node.value:
            name = str(key.value)
            if known is not None and name not in known:
                raise problem(key, f"unknown field {name}; known are {', '.join(known)}")
            if name in self.nodes:
                raise problem(key, f"field {name} is given twice")
            self.nodes[name] = value
        for name in required:
            if name not in self.nodes:
                raise problem(node, f"field {name} is missing")

    def get(self, name: str) -> yaml.Node:
        return self.nodes[name]

    def choice(self, name: str, words: Sequence[str], default: str | None = None) -> str:
        if name not in self.nodes and default is not None:
            return default
        node = self.nodes[name]
        value = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
        if value not in words:
            raise problem(node, f"{name} is one of {', '.join(words)}, not {value or 'that'}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        if name not in self.nodes and default is not None:
            return default
        node = self.nodes[name]
        try:
            return float(node.value)
        except (TypeError, ValueError) as error:
            raise problem(node, f"{name} must be a number") from error


def problem(node: yaml.Node, text: str) -> PolicyError:
    return PolicyError(f"gate.yaml, line {node.start_mark.line + 1}: {text}")


# --- rules: each gives whether it holds (None: it can't be decided), and what was found

Check = Callable[[Evidence], tuple[bool | None, str]]
LIVE: Final = "champion"
RECORDED: Final = "recorded"


def rows(fields: Fields) -> Check:
    least = fields.number("atLeast")
    return lambda evidence: (evidence.rows >= least, f"{evidence.rows} labelled flights, at least {least:g}")


def lineage(_: Fields) -> Check:
    def check(evidence: Evidence) -> tuple[bool | None, str]:
        if evidence.missing_tags:
            return False, f"tag {', '.join(evidence.missing_tags)} is missing"
        if evidence.overlap_days:
            return False, f"{evidence.overlap_days} days of the gate were trained on"
        if evidence.foreign_features:
            return False, f"{', '.join(evidence.foreign_features)} is not in the feature contract"
        return True, "tags are complete, and the gate's days were not trained on"

    return check


def labels(fields: Fields) -> Check:
    least = fields.number("agreement")

    def check(evidence: Evidence) -> tuple[bool | None, str]:
        if evidence.agreement is None:
            return None, "nobody knows how many labels agree with the arrivals"
        return evidence.agreement >= least, f"{evidence.agreement:.4f} of the labels agree with the arrivals, at least {least:g}"

    return check


def plausible(fields: Fields) -> Check:
    cap = fields.number("aucBelow")

    def check(evidence: Evidence) -> tuple[bool | None, str]:
        auc = evidence.candidate.auc
        return (None, "no AUC") if auc is None else (auc < cap, f"AUC {auc:.3f}, below {cap:g}")

    return check


def slices(fields: Fields) -> Check:
    fields.choice("by", ("origin",), "origin")
    least, most = fields.number("rows", 500), fields.number("brierWorseBy")

    def check(evidence: Evidence) -> tuple[bool | None, str]:
        found = [(part.brier_diff, part.name) for part in evidence.slices if part.rows >= least]
        if not found:
            return None, f"no origin has {least:g} flights"
        worst, name = max(found)
        return worst <= most, f"Brier at {name} {worst:+.4f}, at most {most:+g}"

    return check


def brier(fields: Fields) -> Check:
    against, least = fields.choice("against", (LIVE, RECORDED), LIVE), fields.number("betterBy")

    def check(evidence: Evidence) -> tuple[bool | None, str]:
        other = evidence.champion.brier if against == LIVE else evidence.recorded_brier
        if evidence.candidate.brier is None or other is None:
            return None, "no Brier score"
        difference = evidence.candidate.brier - other
        return -difference >= least, f"Brier {evidence.candidate.brier:.4f} against {other:.4f} ({against}), better by {least:g}"

    return check


def auc(fields: Fields) -> Check:
    against, least = fields.choice("against", (LIVE, RECORDED), LIVE), fields.number("lowerBound")

    def check(evidence: Evidence) -> tuple[bool | None, str]:
        if against == RECORDED:
            if evidence.candidate.auc is None or evidence.recorded_auc is None:
                return None, "no AUC"
            return evidence.candidate.auc - evidence.recorded_auc > least, f"AUC {evidence.candidate.auc:.3f} against the recorded {evidence.recorded_auc:.3f}"
        bound = evidence.auc_lower_bound
        return (None, "no AUC") if bound is None else (bound > least, f"AUC difference is above {bound:+.4f} with 95 %, must be above {least:+g}")

    return check


# kind -> needed fields, optional fields, how it is made
RULES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[Fields], Check]]]] = {
    "rows": (("atLeast",), (), rows),
    "lineage": ((), (), lineage),
    "labels": (("agreement",), (), labels),
    "plausible": (("aucBelow",), (), plausible),
    "slices": (("brierWorseBy",), ("by", "rows"), slices),
    "brier": (("betterBy",), ("against",), brier),
    "auc": (("lowerBound",), ("against",), auc),
}
