"""The lab's virtual time: `clock show [--stream S]`, `clock set MOMENT [--stream S]`.

Only `replay` should move it; setting it by hand skips the flights in between, which is right for tests and repairs only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from labtools import output
from labtools.output import Result

from monitoring import store, windows


def parser() -> output.Parser:
    top = output.Parser(prog="clock", description="Shows or sets the lab's virtual time.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=output.Parser)
    show = commands.add_parser("show", help="says what time it is")
    change = commands.add_parser("set", help="sets the time, without traffic in between")
    change.add_argument("moment", help="a date, or days from now such as +7d")
    for command in (show, change):
        command.add_argument("--stream", default=store.FLIGHTS, help="which stream's time (flights)")
    return top


def run(options: argparse.Namespace) -> Result:
    with store.connected() as connection:
        now = store.now(connection, options.stream)
        if options.command == "set":
            now = windows.moment(options.moment, now)
            store.set_now(connection, now, options.stream)
    return Result({"stream": options.stream, "now": now.isoformat()}, windows.short(now))


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(parser().parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
