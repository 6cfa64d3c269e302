"""The gates of the labs: `gate evaluate|run|history|weights|drill|job`.

Two kinds of gates share the command. A canary gate compares versions that serve side by side, by what Prometheus counted
(`gates.canary`; a candidate is a version number). A challenger gate compares models on labelled flights (`gates.challenger`;
a candidate is an alias or a version number). Where a call fits both, the lab decides: it has the ConfigMap of the one or of the other.
Each is imported only when it is asked, since they need different libraries.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Final

from labtools import kubernetes, output
from labtools.output import Result
from labtools.probe import positive

CANARY: Final = "gates.canary"
CHALLENGER: Final = "gates.challenger"
# Which gate judges a set of recorded cases.
FIXTURES: Final[Mapping[str, str]] = {"canary": CANARY, "retrain": CHALLENGER}
# The ConfigMap that has a gate's rules.
RULES: Final[Mapping[str, str]] = {CANARY: "canary-gate", CHALLENGER: "gate"}
RPS: Final = 20.0


def parser() -> output.Parser:
    top = output.Parser(prog="gate", description="Judges a candidate by the rules in gate.yaml.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    evaluate = commands.add_parser("evaluate", help="judge recorded cases, or a candidate as it stands now; changes nothing")
    what = evaluate.add_mutually_exclusive_group(required=True)
    what.add_argument("--fixtures", choices=sorted(FIXTURES), help="recorded cases with known verdicts")
    what.add_argument("--candidate", help="a version number, or the alias of a challenger")

    run = commands.add_parser("run", help="take a version through the steps of the canary gate, and promote or withdraw it")
    run.add_argument("--candidate", required=True, type=number, help="the version number")
    run.add_argument("--rps", type=positive, default=RPS, help=f"requests per second of the gate's own traffic ({RPS:g})")
    run.add_argument("--again", action="store_true", help="run even if this gate has judged this version already")

    history = commands.add_parser("history", help="show the gate's verdicts")
    history.add_argument("--window", help="only of challengers judged on these days: 2013-06-17..2013-06-30")
    history.add_argument("--rescore", action="store_true", help="score both models again")

    weights = commands.add_parser("weights", help="show the weights of the gateway, as they are written and as they are in force")
    weights.add_argument("--wait", type=float, default=0, metavar="S", help="bring what is written into force first, for at most S seconds")

    drill = commands.add_parser("drill", help="give a bad version half of the traffic, run CronJob rollback, and put all back")
    drill.add_argument("--candidate", type=number, default="6", help="the version number (6)")
    drill.add_argument("--rps", type=positive, default=RPS, help=f"requests per second meanwhile ({RPS:g})")

    commands.add_parser("job", help="judge the challenger and record the verdict, as Job gate does")
    return top


def number(text: str) -> str:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("must be a version number")
    return text


def of_lab() -> str:
    """Returns the gate that this lab has. A lab whose learner has deleted the rules of the canary gate is still one with canaries."""
    if kubernetes.get("configmap", RULES[CANARY]) is None and kubernetes.get("configmap", RULES[CHALLENGER]) is not None:
        return CHALLENGER
    return CANARY


def module_of(options: argparse.Namespace) -> ModuleType:
    """Returns the gate that a call is for."""
    match options.command:
        case "evaluate":
            name = FIXTURES[options.fixtures] if options.fixtures else of_lab() if options.candidate.isdecimal() else CHALLENGER
        case "history":
            name = CHALLENGER if options.window else of_lab()
        case "weights":
            name = "gates.routes"
        case "drill":
            name = "gates.drill"
        case "job":
            name = CHALLENGER
        case _:
            name = "gates.rollout"
    return importlib.import_module(name)


def run(options: argparse.Namespace) -> Result:
    gate = module_of(options)
    match options.command:
        case "evaluate" if options.fixtures:
            result: Result = gate.evaluate_fixtures(options.fixtures)
        case "evaluate":
            result = gate.evaluate_candidate(options.candidate)
        case "history":
            result = gate.history(options)
        case "weights":
            result = gate.show(options.wait)
        case "job":
            result = gate.job(options)
        case _:
            result = gate.run(options)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
