"""Reads and empties the pager of a lab: `pager list` and `pager clear`.

    pager list  [--queue Q] [--label NAME=VALUE ...]            what came, oldest first
    pager clear [--queue Q] [--label NAME=VALUE ...] [--ended]  forgets it

A label given several times means one of its values. Nobody tells Alertmanager that a rule is gone or that its past was judged anew: an alert
ends by itself, a minute after it was last sent, and until then it would come back. With --ended the command waits for that first.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import urllib.parse
from collections.abc import Sequence
from typing import Any, Final

from labtools import output, web
from labtools.errors import ToolError
from labtools.output import Result

WAIT_SECONDS: Final = 100.0
POLL_SECONDS: Final = 0.5

Entry = dict[str, Any]


def parser() -> output.Parser:
    top = output.Parser(prog="pager", description="Reads and empties the pager.")
    commands = top.add_subparsers(dest="command", required=True, parser_class=output.Parser)
    for name, words in (("list", "say what came"), ("clear", "forget what came")):
        command = commands.add_parser(name, help=words)
        command.add_argument("--queue", help="only this queue: page or tickets")
        command.add_argument("--label", type=label, action="append", default=[], metavar="NAME=VALUE", help="only alerts with this label; may be repeated")
        if name == "clear":
            command.add_argument("--ended", action="store_true", help=f"wait until they have ended, {WAIT_SECONDS:g} seconds at most")
    return top


def label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals or name == "queue":
        raise argparse.ArgumentTypeError("must be NAME=VALUE, such as alertname=FeatureDrift")
    return name, value


def ask(method: str, options: argparse.Namespace) -> Any:
    wanted = [("queue", options.queue)] if options.queue else []
    url = os.environ.get("PAGER_URL", "http://pager:8080").rstrip("/")
    answer = web.request(method, f"{url}/alerts?{urllib.parse.urlencode(wanted + options.label)}")
    said = answer.json()
    if answer.status != 200:
        reason = said.get("error") if isinstance(said, dict) else None
        raise ToolError(f"the pager answered HTTP {answer.status}: {str(reason or answer.text).strip()[:300]}")
    return said


def going(entries: Sequence[Entry]) -> int:
    """Counts the alerts that began and have not ended."""
    of: dict[str, set[tuple[str, str]]] = {"firing": set(), "resolved": set()}
    for entry in entries:
        of[entry["status"]].add((str(sorted(entry["labels"].items())), entry["startsAt"]))
    return len(of["firing"] - of["resolved"])


def line(entry: Entry) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in sorted(entry["labels"].items()) if name != "alertname")
    return f"{entry['receivedAt'][:19]}  {entry['queue']:<8} {entry['status']:<9} {entry['labels'].get('alertname', 'alert')}  {labels}"


def run(options: argparse.Namespace) -> Result:
    entries: list[Entry] = ask("GET", options)
    if options.command == "list":
        return Result({"alerts": entries}, "\n".join(map(line, entries)) or "nothing came")
    deadline = time.monotonic() + WAIT_SECONDS
    while options.ended and going(entries):
        if time.monotonic() > deadline:
            raise ToolError(f"after {WAIT_SECONDS:g} s {going(entries)} of them are still firing, and would come back: mend their cause first")
        time.sleep(POLL_SECONDS)
        entries = ask("GET", options)
    forgotten = ask("DELETE", options)["forgotten"]
    return Result({"forgotten": forgotten}, f"{forgotten} entries forgotten")


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
