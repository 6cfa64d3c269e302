"""The feature contract: what a model may know two hours before a flight's scheduled departure, and what it must not."""

from __future__ import annotations

from typing import Final

MODEL_NAME: Final = "flight-delay"

# A flight is late when it arrives more than this many minutes after its time.
LATE_MINUTES: Final = 15
TARGET: Final = "late"

CATEGORICAL: Final = ("carrier", "origin", "dest")
SCHEDULE: Final = ("hour", "dow", "distance")
# Observed two hours before the scheduled hour, at the airport of departure.
WEATHER: Final = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
NUMERIC: Final = SCHEDULE + WEATHER

# Known only after the prediction is due.
FORBIDDEN: Final = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")
