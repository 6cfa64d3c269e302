"""Retraining: `retrain run|promote|safety|outcome|drill`.

retrain run [--lock] [--move-champion]        trains on the newest labels and registers a version with alias challenger
retrain promote --gate-run ID | --gate-run-file FILE
                                              makes champion what a gate has passed, and waits until it serves
retrain safety                                compares the champion with the version before, and goes back if that was better
retrain outcome --from DAY --until DAY        how the versions did on these days, by the labels that came later
retrain drill                                 runs two training Jobs at once, and puts back what they made

Environment of `run`: NOW (a date; the lab's clock), TRAIN_DAYS (60), GATE_DAYS (14), LABEL_LEAP_DAYS (0).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from labtools import output
from labtools.errors import ToolError
from labtools.output import Result

from retraining import plan, release


def parser() -> output.Parser:
    top = output.Parser(prog="retrain", description="Trains again, and brings what a gate passed into service.")
    commands = top.add_subparsers(dest="command", required=True, parser_class=output.Parser, metavar="COMMAND")

    run = commands.add_parser("run", help="train on the newest labels")
    run.add_argument("--lock", action="store_true", help="let one trainer at a time work; the others wait")
    run.add_argument("--move-champion", action="store_true", help="make the new version champion at once")

    promote = commands.add_parser("promote", help="make champion what a gate has passed")
    which = promote.add_mutually_exclusive_group(required=True)
    which.add_argument("--gate-run", help="id of the verdict")
    which.add_argument("--gate-run-file", type=Path, help="file that has the id")
    promote.add_argument("--cooldown-days", type=int, default=release.COOLDOWN_DAYS, help=f"least days between two promotions ({release.COOLDOWN_DAYS})")

    safety = commands.add_parser("safety", help="go back if the version before was better")
    safety.add_argument("--if-configured", action="store_true", help="do nothing where there are no rules")

    outcome = commands.add_parser("outcome", help="how the versions did on some days")
    outcome.add_argument("--from", dest="start", type=date.fromisoformat, required=True, help="first day")
    outcome.add_argument("--until", dest="end", type=date.fromisoformat, required=True, help="last day")

    commands.add_parser("drill", help="run two training Jobs at once")
    return top


def run(options: argparse.Namespace) -> Result:
    match options.command:
        case "run":
            return train(options)
        case "promote":
            return release.promote(options.gate_run or read(options.gate_run_file), options.cooldown_days)
        case "safety":
            from retraining import safety

            return safety.run(if_configured=options.if_configured)
        case "outcome":
            from retraining import outcome

            return outcome.run(options.start, options.end)
        case _:
            from retraining import drill

            return drill.run()


def train(options: argparse.Namespace) -> Result:
    from retraining import trainer

    text = os.environ.get("NOW", "")
    now = release.moment(text)
    if text and now is None:
        raise ToolError(f"NOW is {text!r}; it must be a date, or not be set")
    order = trainer.Order(
        now=now,
        train_days=plan.days_of("TRAIN_DAYS", plan.TRAIN_DAYS, 1),
        gate_days=plan.days_of("GATE_DAYS", plan.GATE_DAYS, 0),
        leap_days=plan.days_of("LABEL_LEAP_DAYS", 0, 0),
        lock=options.lock,
        move_champion=options.move_champion,
    )
    return trainer.run(order)


def read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ToolError(f"there is no verdict in {path}: {error.strerror}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    output.run_to_end(main)
