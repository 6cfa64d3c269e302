"""Reads and empties the pager of a lab: `oncall list` and `oncall clear`.

    oncall list  [--queue Q] [--label NAME=VALUE ...]            what came, oldest first
    oncall clear [--queue Q] [--label NAME=VALUE ...] [--ended]  forgets it

A label given several times means one of its values. Nobody tells Alertmanager that a rule is gone or that its past was judged anew: an alert
ends by itself, a minute after it was last sent, and its end is one more entry. With --ended the command waits for that first, but not for ever:
an end that went to another queue never comes.

The command is not called pager: Debian's psql pipes long tables into a command of that name.
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
ASK_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.5

Entry = dict[str, Any]


def parser() -> output.Parser:
    top = output.Parser(prog="oncall", description="Reads and empties the pager.")
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
        raise argparse.ArgumentTypeError("must be NAME=VALUE, such as alertname=FeatureDrift; for a queue there is --queue")
    return name, value


def ask(method: str, options: argparse.Namespace) -> Any:
    wanted = [("queue", options.queue)] if options.queue else []
    url = os.environ.get("PAGER_URL", "http://pager:8080").rstrip("/")
    answer = web.request(method, f"{url}/alerts?{urllib.parse.urlencode(wanted + options.label)}", seconds=ASK_SECONDS)
    said = answer.json()
    if answer.status != 200:
        reason = said.get("error") if isinstance(said, dict) else None
        raise ToolError(f"the pager answered HTTP {answer.status}: {str(reason or answer.text).strip()[:300]}")
    return said


def firing(options: argparse.Namespace) -> int:
    """Counts the alerts of which the last word is that they fire."""
    last = {str(sorted(entry["labels"].items())): entry["status"] for entry in ask("GET", options)}
    return list(last.values()).count("firing")


def wait(options: argparse.Namespace) -> int:
    """Waits until no alert fires, and returns how many still do when the time is over."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        left = time.monotonic() < deadline
        try:
            number = firing(options)
            if number == 0 or not left:
                return number
        except web.UnreachableError:
            if not left:
                raise
        time.sleep(POLL_SECONDS)


def line(entry: Entry) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in sorted(entry["labels"].items()) if name != "alertname")
    return f"{entry['receivedAt'][:19]}  {entry['queue']:<8} {entry['status']:<9} {entry['labels'].get('alertname', 'alert')}  {labels}"


def run(options: argparse.Namespace) -> Result:
    if options.command == "list":
        entries: list[Entry] = ask("GET", options)
        return Result({"alerts": entries}, "\n".join(map(line, entries)) or "nothing came")
    still = wait(options) if options.ended else 0
    forgotten = ask("DELETE", options)["forgotten"]
    text = f"{forgotten} entries forgotten"
    if still:
        text += f"; after {WAIT_SECONDS:g} s {still} of the alerts have not ended here, and may come back"
    return Result({"forgotten": forgotten, "still_firing": still}, text)


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
