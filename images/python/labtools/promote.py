"""Promotion as code: the policy decides, a Job moves the pointers.

    promote --dry-run --fixtures SET      judges the labelled cases of the image with the lab's policy
    promote --dry-run --candidate RUN     judges a run
    promote run --candidate RUN           starts the Job of CronJob `promote` for it and waits until it serves
    promote job --candidate RUN           what that Job runs, as ServiceAccount promoter

The Job's environment: CANDIDATE instead of --candidate, PROMOTION_POLICY (default /etc/promotion/policy.yaml),
MLFLOW_TRACKING_URI. It needs get and patch on Deployment predictor and nothing else in Kubernetes, and prints one JSON
object as its last line. It asks the server whether it may patch before it changes anything, then moves the alias, then the
Deployment: cut off in between, `champion` is ahead of what serves, and the next run completes it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from labtools import candidates, deployment, lifecycle, output, serving
from labtools.errors import ToolError
from labtools.mlflow_api import Registry
from labtools.output import Result

POLICY_VARIABLE: Final = "PROMOTION_POLICY"
POLICY_FILE: Final = "/etc/promotion/policy.yaml"


def parser() -> output.Parser:
    top = output.Parser(prog="promote", description="Judges candidates and promotes them.")
    top.add_argument("action", nargs="?", choices=["run", "job"], help="run: start the Job and wait; job: what the Job runs")
    top.add_argument("--dry-run", action="store_true", help="judge only")
    top.add_argument("--candidate", metavar="RUN", help="name of a finished run")
    top.add_argument("--fixtures", metavar="SET", help="with --dry-run: labelled cases of the image")
    return top


def check(commands: output.Parser, options: argparse.Namespace) -> None:
    """Refuses combinations that mean nothing."""
    if bool(options.action) == options.dry_run:
        commands.error("give either --dry-run or one of run, job")
    if options.fixtures and not options.dry_run:
        commands.error("--fixtures goes with --dry-run only")
    if options.action == "job" and not options.candidate:
        options.candidate = os.environ.get("CANDIDATE")
    if bool(options.candidate) == bool(options.fixtures):
        commands.error("give one of --candidate and --fixtures" if options.dry_run else "--candidate is missing")


def run(options: argparse.Namespace) -> Result:
    if options.fixtures:
        return judge_fixtures(options.fixtures)
    if options.action == "run":
        from labtools import promotion_job

        return promotion_job.run(Registry(), options.candidate)
    if options.action == "job":
        return job(Registry(), options.candidate, Path(os.environ.get(POLICY_VARIABLE) or POLICY_FILE))
    return judge_candidate(Registry(), options.candidate)


def judge_fixtures(fixtures: str) -> Result:
    policy = candidates.policy_of_lab()
    cases: list[dict[str, str]] = []
    lines = []
    for case in candidates.cases(fixtures):
        verdict = policy.judge(case.candidate)
        cases.append({"name": case.name, "words": case.words, "found": verdict.word, "expected": case.expected})
        # The reason stays out: it would spell the case's values.
        lines.append(f"{'ok ' if verdict.word == case.expected else 'NOT'} {case.name:20} {verdict.word:5} expected {case.expected:5}  {case.words}")
    agree = all(case["found"] == case["expected"] for case in cases)
    return Result({"cases": cases, "agree": agree}, "\n".join(lines))


def judge_candidate(registry: Registry, name: str) -> Result:
    policy = candidates.policy_of_lab()
    verdict = policy.judge(candidates.of_run(registry, registry.find_run(name)))
    text = "\n".join([f"{name}: {verdict.word}", *(f"  {reason}" for reason in verdict.reasons)])
    return Result({"candidate": name, "verdict": verdict.word, "reasons": verdict.reasons}, text)


def job(registry: Registry, name: str, policy_file: Path) -> Result:
    policy = candidates.policy_of_file(policy_file)
    source = registry.find_run(name)
    verdict = policy.judge(candidates.of_run(registry, source))
    judged: dict[str, Any] = {"candidate": name, "verdict": verdict.word, "reasons": verdict.reasons}
    if not verdict.allow:
        raise ToolError(f"the policy denies {name}: {'; '.join(verdict.reasons)}", **judged)
    try:
        serving.write_pin("0", manager=lifecycle.PROMOTER, dry_run=True)
    except ToolError as error:
        raise ToolError(f"nothing was changed, since Deployment {deployment.NAME} can't be patched: {error}", **judged) from error
    version = lifecycle.promote(registry, source)
    serving.write_pin(version, manager=lifecycle.PROMOTER)
    aliases = registry.aliases()
    data = {**judged, "version": version, "champion": aliases.get(lifecycle.CHAMPION), "rollback": aliases.get(lifecycle.ROLLBACK)}
    return Result(data, f"{name} is champion as version {version}; Deployment {deployment.NAME} loads it")


def main(arguments: Sequence[str] | None = None) -> int:
    commands = parser()
    options = commands.parse_args(arguments)
    check(commands, options)
    # Whoever started the Job reads its log.
    options.json = getattr(options, "json", False) or options.action == "job"
    return output.main(options, run)


if __name__ == "__main__":
    sys.exit(main())
