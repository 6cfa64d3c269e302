"""A few real flights as the model server takes them, so that asking it needs no data frames.

They are of April 2013, with all weather known; each key is a column of the feature contract, in the units of the data set
(degrees Fahrenheit, miles, miles per hour, inches, millibars).
"""

from __future__ import annotations

from typing import Any, Final

FLIGHTS: Final[dict[str, list[Any]]] = {
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


def one(number: int = 0) -> dict[str, list[Any]]:
    """Returns one flight; numbers beyond the last start again with the first."""
    return {name: [values[number % COUNT]] for name, values in FLIGHTS.items()}
