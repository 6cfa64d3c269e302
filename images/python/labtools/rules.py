"""Rules of Prometheus: `rules test` judges them on recorded series, `rules load` puts them in force, `rules live` watches one.

The learner's rules are those of the ConfigMaps that the Deployment prometheus mounts (rules-serving, rules-drift, ...).

    rules test --fixtures SET     runs the rules over every recorded case of the set; --file takes a file instead of the cluster
    rules load                    brings changed ConfigMaps into the pods, reloads, and waits until they are in force
    rules live --record NAME      drives load through the gateway and says for which version the record has a new value

A set of cases is a directory /opt/lab/fixtures/SET (in the project: images/python/PACKAGE/fixtures/SET) of YAML files, one a case;
labtools/cases.py says what is in such a file.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from labtools import cases, output, probe, prometheus, promtool, reload, rows, traffic
from labtools.errors import ToolError
from labtools.output import Result
from labtools.traffic import Load

# After the load: a scrape, an evaluation, and some more.
SETTLE_SECONDS: Final = 15.0
GATEWAY: Final = "http://gateway:8080"


def parser() -> output.Parser:
    top = output.Parser(prog="rules", description="Tests, loads and watches the rules of Prometheus.")
    commands = top.add_subparsers(dest="command", required=True, parser_class=output.Parser)
    test = commands.add_parser("test", help="judge rules on recorded series")
    test.add_argument("--fixtures", metavar="SET", required=True, help="which cases")
    test.add_argument("--file", type=Path, action="append", default=[], help="a rule file to judge instead of those of the cluster; may be repeated")
    load = commands.add_parser("load", help="put changed rules and routes of alerts in force")
    load.add_argument("--seconds", type=probe.positive, default=reload.SECONDS, help=f"how long to wait ({reload.SECONDS:g})")
    live = commands.add_parser("live", help="say for which versions a record has a value while load is on")
    live.add_argument("--record", metavar="NAME", required=True, help="the record")
    live.add_argument("--load", metavar="DURATION", type=duration, default=30.0, help="how long (30s)")
    live.add_argument("--rps", type=probe.positive, default=10.0, help="requests per second (10)")
    live.add_argument("--url", default=os.environ.get("PREDICTOR_URL", GATEWAY), help=f"where to send the load ({GATEWAY})")
    return top


def duration(text: str) -> float:
    """Reads 30s or 2m."""
    units = {"s": 1, "m": 60}
    try:
        return probe.positive(text[:-1]) * units[text[-1:]]
    except (ValueError, KeyError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 30s or 2m") from error


def rule_files(paths: Sequence[Path]) -> dict[str, str]:
    """Reads the rules to judge, by the names that messages give them."""
    if not paths:
        return reload.rule_files(reload.rule_maps())
    try:
        return {path.name: path.read_text() for path in paths}
    except OSError as error:
        raise ToolError(f"{error.filename}: {error.strerror}") from error


def test(options: argparse.Namespace) -> Result:
    files = rule_files(options.file)
    promtool.check(files)
    with ThreadPoolExecutor(max_workers=2) as pool:
        judged = pool.map(lambda case: cases.judge(case, files), cases.read(options.fixtures))
        verdicts = [verdict for found in judged for verdict in found]
    lines = [f"{'ok ' if verdict['agree'] else 'NOT'} {verdict['name']}, {verdict['rule']}: {verdict['words']}" for verdict in verdicts]
    for number, verdict in enumerate(verdicts):
        if not verdict["agree"]:
            lines[number] += f"\n      found {verdict['found']}\n      expected {verdict['expected']}"
    return Result({"cases": verdicts, "agree": all(verdict["agree"] for verdict in verdicts)}, "\n".join(lines))


def load(options: argparse.Namespace) -> Result:
    loaded = reload.load(options.seconds)
    return Result(loaded, "in force: " + ", ".join(reload.described(loaded)))


def live(options: argparse.Namespace) -> Result:
    begin = time.time()
    tally = traffic.send(Load(options.url, options.rps, options.load, None, rows.Mix("march").row, lambda _: {}), threading.Event())
    answered = {version: count for version, count in tally.versions.items() if count}
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        versions, labels = observed(options.record, answered, begin)
        alive = bool(versions) and all(version["live"] for version in versions)
        if alive or time.monotonic() > deadline:
            break
        time.sleep(1)
    lines = [f"version {one['version']}: {one['answers']} answers, {options.record} is {one['found']}" for one in versions]
    found = {"record": options.record, "n": sum(answered.values()), "failed": len(tally.failures), "versions": versions, "labels": labels, "live": alive}
    first = tally.first()
    return Result(found, "\n".join(lines) or f"no answer from {options.url}: {tally.describe(first) if first else 'nothing was sent'}")


def observed(record: str, answered: Mapping[str, int], begin: float) -> tuple[list[dict[str, Any]], list[str]]:
    """Says for each version that answered what the record has for it, and which labels the record has at all."""
    values = prometheus.query(record)
    times = {sample.labels.get("version"): sample.value for sample in prometheus.query(f"timestamp({record})")}
    versions = []
    for version, answers in sorted(answered.items()):
        mine = [sample.value for sample in values if sample.labels.get("version") == version]
        fresh = times.get(version, 0.0) > begin
        found = " and ".join(f"{value:.4g}" for value in mine) if mine else "no value"
        is_live = fresh and len(mine) == 1 and mine[0] > 0
        versions.append({"version": version, "answers": answers, "found": found, "fresh": fresh, "live": is_live})
    return versions, sorted({label for sample in values for label in sample.labels if label != "__name__"})


def run(options: argparse.Namespace) -> Result:
    actions = {"test": test, "load": load, "live": live}
    return actions[options.command](options)


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
