"""Recorded incidents, to be sorted: what happened, and what is to be done?

    triage show [--case N]      what the monitors said, week by week
    triage verify [--case N]    compares ConfigMap triage with what happened

ConfigMap triage, key triage.yaml:

    cases:
      1: {cause: season, action: retrain}

The tables and pages lie in s3://reports/cases; which of them are cases 1 to 4 follows from the namespace.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, Final

import yaml
from labtools import kubernetes, output
from labtools.errors import ToolError
from labtools.output import Result

from monitoring import cases, history, objects

CONFIG_MAP: Final = "triage"
KEY: Final = "triage.yaml"
BUCKET: Final = "reports"
# What to look at where an answer is wrong: the same for every cause, so that it gives none away.
EVIDENCE: Final = ("temp_distance", "carrier_distance", "score_distance", "calibration_ratio", "auc", "label_coverage")


def parser() -> output.Parser:
    top = output.Parser(prog="triage", description="Shows recorded incidents, and judges what somebody makes of them.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=output.Parser)
    numbers = range(1, cases.COUNT + 1)
    show = commands.add_parser("show", help="prints an incident, or where they all are")
    show.add_argument("--case", type=int, choices=numbers)
    judge = commands.add_parser("verify", help="judges the answers, or one")
    judge.add_argument("--case", type=int, choices=numbers)
    return top


def run(options: argparse.Namespace) -> Result:
    incidents = cases.shown(kubernetes.namespace())
    if options.command == "verify":
        given = answers()
        found = {number: verify(number, given.get(str(number)), *incident) for number, incident in enumerate(incidents, 1)}
        if options.case:
            return Result(found[options.case], line(found[options.case]))
        return Result({"cases": [found[number] for number in sorted(found)]}, "\n".join(line(one) for one in found.values()))
    if options.case:
        name = cases.name_of(*incidents[options.case - 1])
        rows = cases.read(stored(name))
        lines = [{column: f"{value:g}" for column, value in row.items()} for row in rows]
        return Result({"case": options.case, "name": name, "weeks": rows}, history.table(cases.COLUMNS, lines))
    names = {number + 1: cases.name_of(*incident) for number, incident in enumerate(incidents)}
    text = "\n".join(f"case {number}: s3://{BUCKET}/cases/{name}.csv, and .html" for number, name in names.items())
    return Result({"cases": {str(number): name for number, name in names.items()}}, text)


def stored(name: str) -> str:
    return objects.read(BUCKET, f"cases/{name}.csv").decode()


def answers() -> dict[str, Any]:
    found = kubernetes.get("configmap", CONFIG_MAP)
    text = (found or {}).get("data", {}).get(KEY)
    if text is None:
        raise ToolError(f"ConfigMap {CONFIG_MAP} has no key {KEY}" if found else f"there is no ConfigMap {CONFIG_MAP}")
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ToolError(f"{KEY} is no YAML: {' '.join(str(error).split())}") from error
    given = document.get("cases") if isinstance(document, dict) else None
    if not isinstance(given, dict):
        raise ToolError(f"{KEY} needs `cases`, with an answer for each number")
    return {str(number): answer for number, answer in given.items()}


def verify(number: int, answer: Any, cause: str, variant: int) -> dict[str, Any]:
    """Judges one answer; what is no answer says why."""
    data: dict[str, Any] = {"case": number, "correct": False, "cause_correct": False, "evidence": ", ".join(EVIDENCE)}
    data["where"] = f"cases/{cases.name_of(cause, variant)}.html"
    if not isinstance(answer, dict) or not {"cause", "action"} <= set(answer):
        return data | {"found": "no cause and action"}
    given = (str(answer["cause"]), str(answer["action"]))
    data["found"] = f"{given[0]}, {given[1]}"
    for word, known in zip(given, (cases.ACTIONS, cases.ALL_ACTIONS), strict=True):
        if word not in known:
            return data | {"found": f"{data['found']} ({word} is none of {', '.join(known)})"}
    return data | {"cause_correct": given[0] == cause, "correct": given[0] == cause and given[1] in cases.ACTIONS[cause]}


def line(found: dict[str, Any]) -> str:
    return f"{'ok ' if found['correct'] else 'NOT'} case {found['case']}: {found['found']}; see {found['where']} in the reports"


def solve() -> None:
    """Writes answers from the tables alone, as a person would.

    It is for the lab's solution and no command: a lab that is solved for somebody says so in its points.
    """
    given = {}
    for number, (cause, variant) in enumerate(cases.shown(kubernetes.namespace()), 1):
        seen = cases.cause_of(cases.read(stored(cases.name_of(cause, variant))))
        given[number] = {"cause": seen, "action": cases.ACTIONS[seen][0]}
    data = {KEY: yaml.safe_dump({"cases": given}, sort_keys=False)}
    kubernetes.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG_MAP}, "data": data}, "solution")


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
