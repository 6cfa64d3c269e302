"""The promotion policy: what each condition means, and which line is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from lab import contract
from labtools import candidates, policy
from labtools.errors import ToolError
from miniature import POLICY

TAGS = {"status": "approved", "author": "ana", "by": "ben", "empty": ""}


def holds(condition: str, features: tuple[str, ...] = ("hour",), digest: str = policy.VERIFIED) -> bool:
    rules = policy.parse(f"allow: false\nrules:\n- {{name: r, allow: true, when: [{condition}]}}")
    return rules.judge(policy.Candidate("c", TAGS, features, digest)).allow


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("tagsPresent: [status, author]", True),
        ("tagsPresent: [status, nope]", False),
        ("tagsPresent: [empty]", False),
        ("tagEquals: {tag: status, value: approved}", True),
        ("tagEquals: {tag: status, value: pending}", False),
        ("tagEquals: {tag: nope, value: approved}", False),
        ("tagsDiffer: [author, by]", True),
        ("tagsDiffer: [author, author]", False),
        ("tagsDiffer: [author, nope]", False),
        ("digest: verified", True),
        ("digest: missing", False),
        ("featuresInclude: [dep_delay, hour]", True),
        ("featuresInclude: [dep_delay]", False),
        ("featuresExclude: [dep_delay]", True),
        ("featuresExclude: [dep_delay, hour]", False),
    ],
)
def test_conditions(condition: str, expected: bool) -> None:
    assert holds("{" + condition + "}") is expected


def test_the_first_rule_that_applies_decides() -> None:
    text = "allow: {default}\nrules:\n- {{name: one, allow: {first}, unless: [{{digest: verified}}]}}\n- {{name: two, allow: {second}}}"
    good, bad = (policy.Candidate("c", {}, (), state) for state in (policy.VERIFIED, policy.MISMATCH))
    rules = policy.parse(text.format(default="false", first="false", second="true"))
    assert rules.judge(good) == policy.Verdict(True, ["rule two: applies to all"])
    assert rules.judge(bad) == policy.Verdict(False, ["rule one: model.pkl is not what tag model_digest says"])


def test_the_default_decides_last() -> None:
    candidate = policy.Candidate("c", {}, (), policy.VERIFIED)
    assert policy.parse("allow: true").judge(candidate).allow
    verdict = policy.parse("allow: false\nrules:\n- {name: r, allow: true, when: [{tagsPresent: [git_sha]}]}").judge(candidate)
    assert verdict == policy.Verdict(False, ["rule r does not apply: tag git_sha is missing"])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "line 1: it is empty"),
        ("rules: []", "line 1: field allow is missing"),
        ("allow: yes please", "line 1: expected true or false"),
        ("allow: false\nallow: true", "line 2: field allow is given twice"),
        ("allow: false\n\ndefault: deny", "line 3: unknown field default; known are allow, rules"),
        ("allow: false\nrules:\n  - name: r\n    allow: true\n    if: []", "line 5: unknown field if; known are name, allow, when, unless"),
        ("allow: false\nrules:\n- {name: r, allow: true, when: [{tagEqual: x}]}", "line 3: unknown field tagEqual; known are tagsPresent"),
        ("allow: false\nrules:\n- {name: r, allow: true, when: [{digest: ok}]}", "line 3: digest is one of verified, missing, mismatch, not ok"),
        ("allow: false\nrules:\n- {name: r, allow: true, when: [{tagsDiffer: [a]}]}", "line 3: tagsDiffer takes two tags, not 1"),
        ("allow: false\nrules:\n- {name: r, allow: true, when: [{tagsPresent: []}]}", "line 3: the list is empty"),
        ("allow: false\nrules:\n- {name: r, allow: true, when: [{}]}", "line 3: a condition has exactly one key of tagsPresent"),
        ("allow: false\nrules: {a: b}", "line 2: expected a list"),
        ("allow: false\nrules:\n- {name: r, allow: true}\n- {name: r, allow: false}", "line 3: two rules are named r"),
        ("allow: false\nrules:\n- [", "line 3: expected the node content"),
        ("- allow", "line 1: expected fields (allow, rules)"),
    ],
)
def test_errors_name_the_line(text: str, error: str) -> None:
    with pytest.raises(ToolError) as raised:
        policy.parse(text)
    assert str(raised.value).startswith(f"promotion policy, {error}")


def test_the_example_of_the_documentation_is_a_policy() -> None:
    lines = (policy.__doc__ or "").splitlines()
    example = "\n".join(line[4:] for line in lines[lines.index("    allow: false") : lines.index("          - digest: verified") + 1])
    assert example == POLICY.rstrip()


def test_each_case_breaks_one_rule(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that forgets a rule must be found out, so what it would deny must be right in every other way."""
    monkeypatch.setattr(candidates, "FIXTURES", images / "python" / "labtools" / "fixtures")
    cases = {case.name: case for case in candidates.cases("promotion")}
    assert {name: case.expected for name, case in cases.items()} == {
        "approved-complete": "allow",
        "digest-mismatch": "deny",
        "leaky-air-time": "deny",
        "leaky-arr-delay": "deny",
        "leaky-arr-time": "deny",
        "leaky-dep-delay": "deny",
        "leaky-dep-time": "deny",
        "missing-commit": "deny",
        "missing-digest": "deny",
        "missing-lineage": "deny",
        "missing-train-end": "deny",
        "missing-train-start": "deny",
        "self-approved": "deny",
        "unapproved": "deny",
    }
    conditions = {
        "tagsPresent: [git_sha]": {"missing-commit"},
        "tagsPresent: [data_digest]": {"missing-lineage"},
        "tagsPresent: [train_start]": {"missing-train-start"},
        "tagsPresent: [train_end]": {"missing-train-end"},
        "tagEquals: {tag: validation_status, value: approved}": {"unapproved"},
        "tagsDiffer: [approved_by, author]": {"self-approved"},
        "digest: verified": {"missing-digest", "digest-mismatch"},
        **{f"featuresExclude: [{column}]": {f"leaky-{column.replace('_', '-')}"} for column in contract.FORBIDDEN},
    }
    for condition, denied in conditions.items():
        rules = policy.parse(f"allow: false\nrules:\n- {{name: r, allow: true, when: [{{{condition}}}]}}")
        assert {name for name, case in cases.items() if not rules.judge(case.candidate).allow} == denied


def test_the_words_of_a_case_hold_no_values(images: Path) -> None:
    for path in (images / "python" / "labtools" / "fixtures" / "promotion").glob("*.json"):
        entry = json.loads(path.read_text())
        assert entry["name"] == path.stem
        tags = entry["candidate"]["tags"]
        values = {tags["author"], tags["approved_by"], *contract.FORBIDDEN, *contract.NUMERIC}
        assert not values & set(re.findall(r"\w+", entry["words"]))
