"""How slow this machine is, as a factor: `probe calibrate`.

It times a fixed piece of work like that of a client, encoding and decoding requests, in two processes for about a second, and
compares it with what the labs were written on. A lab on a slow or a busy laptop can then ask for less load. A shorter look would
not do: who has just woken up gets the CPU at once, whoever else wants it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from labtools import output, predictor, rows
from labtools.output import Result

PROCESSES: Final = 2
REQUESTS: Final = 16_000
# What each process took on two cores that had nothing else to do, on the machine that the labs' limits were measured on.
USUAL_SECONDS: Final = 0.8
# A machine that is faster is asked for no more than the usual, and none for less than this part of it.
MOST: Final = 4.0


def work(count: int) -> float:
    begin = time.perf_counter()
    for number in range(count):
        json.loads(json.dumps(predictor.payload(rows.one(number))))
    return time.perf_counter() - begin


def factor() -> float:
    with ProcessPoolExecutor(PROCESSES) as pool:
        slowest = max(pool.map(work, [REQUESTS] * PROCESSES))
    return min(max(slowest / USUAL_SECONDS, 1.0), MOST)


def run(_: argparse.Namespace) -> Result:
    found = round(factor(), 2)
    return Result({"factor": found}, f"this machine is {found} times as slow as usual")


def main(arguments: Sequence[str] | None = None) -> int:
    return output.main(output.Parser(prog="probe calibrate", description="How slow this machine is, as a factor.").parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
