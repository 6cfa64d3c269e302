"""The promotion policy: which candidates may become champion, as a short list of rules in YAML.

The policy is the key `policy.yaml` of ConfigMap `promotion-policy`. A complete one:

    # Who may become champion. Rules are read from top to bottom, like a packet filter:
    # the first rule that applies decides, and `allow` below decides when none does.
    allow: false
    rules:
      - name: knows-the-future
        allow: false
        when:
          - featuresInclude: [dep_time, dep_delay, arr_time, arr_delay, air_time]
      - name: approved-and-traceable
        allow: true
        when:
          - tagsPresent: [git_sha, data_digest, train_start, train_end]
          - tagEquals: {tag: validation_status, value: approved}
          - tagsDiffer: [approved_by, author]
          - digest: verified

A rule applies when all conditions of `when` hold and, if it has `unless`, not all conditions of `unless` do. Without either it
always applies. Conditions, one key each:

    tagsPresent: [TAG, ...]              every tag is there and not empty
    tagEquals: {tag: TAG, value: TEXT}   the tag has this value
    tagsDiffer: [TAG, TAG]               both tags are there and have different values
    digest: verified                     SHA-256 of the stored model.pkl is the tag model_digest; also `missing` (no such
                                         tag) and `mismatch` (another digest)
    featuresInclude: [COLUMN, ...]       at least one of the columns is a feature of the model
    featuresExclude: [COLUMN, ...]       none of them is

Anything else is an error that names the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import yaml

from labtools.errors import ToolError

VERIFIED: Final = "verified"
MISSING: Final = "missing"
MISMATCH: Final = "mismatch"


class PolicyError(ToolError):
    """The policy can't be read; the text names the line."""


@dataclass(frozen=True)
class Candidate:
    """What a policy judges. `digest` is verified, missing or mismatch; `features` are the model's input columns."""

    name: str
    tags: Mapping[str, str]
    features: Sequence[str]
    digest: str


@dataclass(frozen=True)
class Verdict:
    """The decision with what led to it, in words."""

    allow: bool
    reasons: list[str]

    @property
    def word(self) -> str:
        return "allow" if self.allow else "deny"


@dataclass(frozen=True)
class Finding:
    """Whether a condition holds for a candidate, and what was found."""

    holds: bool
    words: str


Condition = Callable[[Candidate], Finding]


@dataclass(frozen=True)
class Rule:
    name: str
    allow: bool
    when: Sequence[Condition]
    unless: Sequence[Condition]

    def findings(self, candidate: Candidate) -> tuple[bool, list[Finding]]:
        """Returns whether the rule applies, and the findings that make it so or that keep it from it."""
        when = [condition(candidate) for condition in self.when]
        unless = [condition(candidate) for condition in self.unless]
        if broken := [finding for finding in when if not finding.holds]:
            return False, broken
        if unless and all(finding.holds for finding in unless):
            return False, unless
        return True, when + [finding for finding in unless if not finding.holds]


@dataclass(frozen=True)
class Policy:
    allow: bool
    rules: Sequence[Rule]

    def judge(self, candidate: Candidate) -> Verdict:
        """Returns the verdict of the first rule that applies, else the default."""
        near = []
        for rule in self.rules:
            applies, findings = rule.findings(candidate)
            words = ", ".join(finding.words for finding in findings)
            if applies:
                return Verdict(rule.allow, [f"rule {rule.name}: {words or 'applies to all'}"])
            if rule.allow:
                near.append(f"rule {rule.name} does not apply: {words}")
        if self.allow:
            return Verdict(True, ["no rule applies, and the policy's default is allow: true"])
        return Verdict(False, near or ["no rule applies, and the policy's default is allow: false"])


def parse(text: str) -> Policy:
    """Reads a policy; raises PolicyError with the line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise PolicyError(f"promotion policy, line {mark.line + 1 if mark else 1}: {error.problem}") from error
    if root is None:
        raise PolicyError("promotion policy, line 1: it is empty")
    fields = mapping(root, required=("allow",), optional=("rules",))
    rules = [rule(node) for node in sequence(fields["rules"])] if "rules" in fields else []
    names = [item.name for item in rules]
    for name in names:
        if names.count(name) > 1:
            raise problem(fields["rules"], f"two rules are named {name}")
    return Policy(boolean(fields["allow"]), rules)


def rule(node: yaml.Node) -> Rule:
    fields = mapping(node, required=("name", "allow"), optional=("when", "unless"))
    when, unless = ([condition(item) for item in sequence(fields[key])] if key in fields else [] for key in ("when", "unless"))
    return Rule(text_of(fields["name"]), boolean(fields["allow"]), when, unless)


def condition(node: yaml.Node) -> Condition:
    fields = mapping(node, required=(), optional=tuple(CONDITIONS))
    if len(fields) != 1:
        raise problem(node, f"a condition has exactly one key of {', '.join(CONDITIONS)}")
    ((key, value),) = fields.items()
    return CONDITIONS[key](value)


# --- conditions


def tags_present(node: yaml.Node) -> Condition:
    wanted = texts(node)

    def check(candidate: Candidate) -> Finding:
        absent = [tag for tag in wanted if not candidate.tags.get(tag)]
        return Finding(not absent, f"tag {', '.join(absent)} is missing" if absent else f"tags {', '.join(wanted)} are there")

    return check


def tag_equals(node: yaml.Node) -> Condition:
    fields = mapping(node, required=("tag", "value"), optional=())
    tag, value = text_of(fields["tag"]), text_of(fields["value"])

    def check(candidate: Candidate) -> Finding:
        found = candidate.tags.get(tag)
        if found == value:
            return Finding(True, f"{tag} is {value}")
        return Finding(False, f"{tag} is {found}, not {value}" if found else f"tag {tag} is missing, expected {value}")

    return check


def tags_differ(node: yaml.Node) -> Condition:
    wanted = texts(node)
    if len(wanted) != 2:
        raise problem(node, f"tagsDiffer takes two tags, not {len(wanted)}")
    first, second = wanted

    def check(candidate: Candidate) -> Finding:
        absent = [tag for tag in wanted if not candidate.tags.get(tag)]
        if absent:
            return Finding(False, f"tag {', '.join(absent)} is missing")
        one, other = candidate.tags[first], candidate.tags[second]
        return Finding(one != other, f"{first} is {one}, {second} is {other}" if one != other else f"{first} and {second} are both {one}")

    return check


def digest(node: yaml.Node) -> Condition:
    words = {VERIFIED: "the digest of model.pkl is verified", MISSING: "tag model_digest is missing", MISMATCH: "model.pkl is not what tag model_digest says"}
    wanted = text_of(node)
    if wanted not in words:
        raise problem(node, f"digest is one of {', '.join(words)}, not {wanted}")
    return lambda candidate: Finding(candidate.digest == wanted, words[candidate.digest])


def features_include(node: yaml.Node) -> Condition:
    wanted = texts(node)

    def check(candidate: Candidate) -> Finding:
        found = [name for name in wanted if name in candidate.features]
        return Finding(bool(found), f"features include {', '.join(found)}" if found else f"no feature of {', '.join(wanted)}")

    return check


def features_exclude(node: yaml.Node) -> Condition:
    include = features_include(node)

    def check(candidate: Candidate) -> Finding:
        found = include(candidate)
        return Finding(not found.holds, found.words)

    return check


CONDITIONS: Final[dict[str, Callable[[yaml.Node], Condition]]] = {
    "tagsPresent": tags_present,
    "tagEquals": tag_equals,
    "tagsDiffer": tags_differ,
    "digest": digest,
    "featuresInclude": features_include,
    "featuresExclude": features_exclude,
}


# --- reading YAML with its lines


def problem(node: yaml.Node, text: str) -> PolicyError:
    return PolicyError(f"promotion policy, line {node.start_mark.line + 1}: {text}")


def mapping(node: yaml.Node, required: Sequence[str], optional: Sequence[str]) -> dict[str, yaml.Node]:
    known = [*required, *optional]
    if not isinstance(node, yaml.MappingNode):
        raise problem(node, f"expected fields ({', '.join(known)})")
    fields: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = text_of(key)
        if name not in known:
            raise problem(key, f"unknown field {name}; known are {', '.join(known)}")
        if name in fields:
            raise problem(key, f"field {name} is given twice")
        fields[name] = value
    for name in required:
        if name not in fields:
            raise problem(node, f"field {name} is missing")
    return fields


def sequence(node: yaml.Node) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise problem(node, "expected a list")
    found: list[yaml.Node] = node.value
    return found


def texts(node: yaml.Node) -> list[str]:
    found = [text_of(item) for item in sequence(node)]
    if not found:
        raise problem(node, "the list is empty")
    return found


def text_of(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        raise problem(node, "expected a text")
    return str(node.value)


def boolean(node: yaml.Node) -> bool:
    if not isinstance(node, yaml.ScalarNode) or node.value not in ("true", "false") or node.tag != "tag:yaml.org,2002:bool":
        raise problem(node, "expected true or false")
    return bool(node.value == "true")
