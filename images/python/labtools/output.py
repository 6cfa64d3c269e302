"""The frame of every command: options, what goes to stdout and stderr, and the exit code."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from labtools.errors import ToolError

# A tool that runs another one under --json sets this, so that the inner one's answer can be read.
JSON_VARIABLE: Final = "LABTOOLS_JSON"

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2


@dataclass(frozen=True)
class Result:
    """What a command found: the JSON object, and the same for people."""

    data: Mapping[str, Any]
    text: str
    code: int = DONE


class Parser(argparse.ArgumentParser):
    """An argument parser that knows --json, also when the call is wrong."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "allow_abbrev": False})
        # No default: a command and its subcommand both have the option, and neither may undo the other.
        self.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")

    def error(self, message: str) -> NoReturn:
        if wants_json(sys.argv[1:]):
            print(json.dumps({"error": f"{self.prog}: {message}"}))
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def wants_json(arguments: Sequence[str]) -> bool:
    own = list(arguments)[: list(arguments).index("--")] if "--" in arguments else arguments
    return "--json" in own or os.environ.get(JSON_VARIABLE) == "1"


def say(text: str) -> None:
    """Tells people about progress. A reader who has gone away is no reason to stop half-way."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def main(options: argparse.Namespace, run: Callable[[argparse.Namespace], Result]) -> int:
    """Runs a command whose call is right and prints its result; returns the exit code."""
    as_json = getattr(options, "json", False) or os.environ.get(JSON_VARIABLE) == "1"
    try:
        # stdout belongs to the answer alone; libraries print there, too.
        with contextlib.redirect_stdout(sys.stderr):
            result = run(options)
    except ToolError as error:
        result = failure(str(error), error.details)
    except KeyboardInterrupt:
        result = failure("interrupted", {})
    except Exception as error:
        traceback.print_exc()
        result = failure(f"{type(error).__name__}: {error}", {})
    if as_json:
        print(json.dumps(result.data))
    elif result.text:
        print(result.text, file=sys.stdout if "error" not in result.data else sys.stderr)
    return result.code


def run_to_end(main: Callable[[], int]) -> NoReturn:
    """Runs a command that imports large libraries, and ends the process.

    Looking for garbage among the objects of an import, and freeing them one by one at the end, take as long as half of the import.
    """
    gc.disable()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def failure(text: str, details: Mapping[str, Any]) -> Result:
    return Result({"error": text, **details}, f"error: {text}", FAILED)
