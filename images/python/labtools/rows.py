"""Real flights as the model server takes them, so that asking it needs no data frames.

A few flights of April 2013 with all weather known are part of this module; they serve where one answer is enough. What stands for
traffic is a fixture: 400 flights of March 2013, of which the champion scores one in six as late, as it does in all of March. Each
key is a column of the feature contract, in the units of the data set (degrees Fahrenheit, miles, miles per hour, inches, millibars).
"""

from __future__ import annotations

import functools
import json
import os
import random
from pathlib import Path
from typing import Any, Final

from labtools.errors import ToolError

Table = dict[str, list[Any]]

MARCH: Final = Path(os.environ.get("LAB_FIXTURES", "/opt/lab/fixtures")) / "march" / "flights.json"
# A regional carrier that flew for nobody here in 2013: no model was trained on its code.
NEW_CARRIER: Final = "G7"
# How many rows of each mix have it.
MIXES: Final = {"march": 0.08, "mixed-carriers": 0.5}
# Drawn once and not by counting: a gateway that balances in turns would give every n-th row to the same server.
SEED: Final = 7

FLIGHTS: Final[Table] = {
    "carrier": ["AA", "EV", "DL", "VX", "FL", "AA", "DL", "UA"],
    "origin": ["LGA", "EWR", "JFK", "JFK", "LGA", "LGA", "JFK", "EWR"],
    "dest": ["ORD", "RIC", "ATL", "LAX", "ATL", "ORD", "ATL", "CLE"],
    "hour": [6, 16, 15, 13, 13, 20, 6, 20],
    "dow": [0, 3, 0, 5, 2, 6, 4, 0],
    "distance": [733, 277, 760, 2475, 762, 733, 760, 404],
    "temp": [46.94, 53.06, 64.04, 48.92, 60.98, 50.0, 44.96, 55.94],
    "dewp": [41.0, 19.94, 41.0, 37.04, 39.92, 24.08, 39.92, 46.04],
    "humid": [79.7, 26.98, 42.82, 63.39, 45.74, 35.98, 82.38, 69.3],
    "wind_speed": [6.90468, 6.90468, 9.20624, 8.05546, 9.20624, 9.20624, 5.7539, 4.60312],
    "precip": [0.0] * 8,
    "pressure": [1005.6, 1023.4, 1018.0, 1013.0, 1022.9, 1034.8, 1026.5, 1022.4],
    "visib": [10.0] * 8,
}
COUNT: Final = len(FLIGHTS["carrier"])


def one(number: int = 0) -> Table:
    """Returns one flight; numbers beyond the last start again with the first."""
    return {name: [values[number % COUNT]] for name, values in FLIGHTS.items()}


class Mix:
    """An endless sequence of single flights, the same in every process."""

    def __init__(self, name: str) -> None:
        self.flights = march()
        self.count = len(self.flights["carrier"])
        numbers = range(self.count)
        self.new = frozenset(random.Random(SEED).sample(numbers, round(MIXES[name] * self.count)))

    def row(self, number: int) -> Table:
        index = number % self.count
        row = {name: [values[index]] for name, values in self.flights.items()}
        if index in self.new:
            row["carrier"] = [NEW_CARRIER]
        return row


@functools.cache
def march() -> Table:
    try:
        flights: Table = json.loads(MARCH.read_text())
    except OSError as error:
        raise ToolError(f"the flights of March are not here: {error}") from error
    return flights
