"""SEA, a stream whose inputs never change while their meaning does (Street and Kim's "streaming ensemble algorithm" data).

Three numbers, even between 0 and 10; the class is 1 where the first two add up to a limit or less, and every tenth label is wrong. In
the middle of window 10 of 20 the limit moves from 8 to 9.5. That concerns 13.1 % of the rows, so the error of a model that knew the
first limit goes from 0.100 to 0.205, while neither the inputs nor the model's scores move.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from monitoring.windows import DAY, WEEK

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MODEL: Final = "sea"
FEATURES: Final = ("f1", "f2", "f3")
WINDOWS: Final = 20
ROWS: Final = 1200
START: Final = datetime(2013, 4, 2)
# Time for the labels of the last day.
END: Final = START + WINDOWS * WEEK + 2 * DAY
LABEL_DELAY: Final = timedelta(hours=24)
NOISE: Final = 0.1
LIMITS: Final = (8.0, 9.5)
SWITCH: Final = START + 9.5 * WEEK
SEED: Final = 7
TRAINING_ROWS: Final = 20_000


def draw(rows: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Returns the inputs, and which labels are wrong."""
    import numpy as np

    generator = np.random.Generator(np.random.PCG64(seed))
    return np.round(generator.uniform(0, 10, (rows, len(FEATURES))), 4), generator.uniform(0, 1, rows) < NOISE


def frame(values: np.ndarray[Any, Any], wrong: np.ndarray[Any, Any], limit: np.ndarray[Any, Any] | float) -> pd.DataFrame:
    import pandas as pd

    rows = pd.DataFrame(values, columns=list(FEATURES))
    return rows.assign(label=((rows["f1"] + rows["f2"] <= limit) ^ wrong).astype("int64"))


def training() -> pd.DataFrame:
    """Returns what the model learned from."""
    return frame(*draw(TRAINING_ROWS, SEED), LIMITS[0])


def load(start: datetime, end: datetime) -> pd.DataFrame:
    """Returns the rows of the stream from start up to end, in the form of `flights.load`."""
    import numpy as np
    import pandas as pd

    count = WINDOWS * ROWS
    step = (pd.Timedelta(WEEK) / ROWS).to_timedelta64()
    times = pd.DatetimeIndex(pd.Timestamp(START) + np.arange(count) * step).floor("s")
    limit = np.where(times < pd.Timestamp(SWITCH), *LIMITS)
    rows = frame(*draw(count, SEED + 1), limit).assign(
        request_id=[f"sea-{number:05d}" for number in range(count)],
        event_time=times,
        released_at=times + LABEL_DELAY,
    )
    return rows[(rows["event_time"] >= start) & (rows["event_time"] < end)].reset_index(drop=True)


def released(first: datetime, until: datetime) -> list[tuple[str, int | None, float | None, datetime]]:
    """Returns the labels, as rows of the table, that are known at `until` of the rows from first on."""
    rows = load(first, until)
    rows = rows[rows["released_at"] <= until]
    return [
        (request_id, int(label), None, moment.to_pydatetime())
        for request_id, label, moment in zip(rows["request_id"], rows["label"], rows["released_at"], strict=True)
    ]


def fit(rows: pd.DataFrame) -> Any:
    """Trains the model once; it never learns of the second limit."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000, random_state=SEED).fit(rows[list(FEATURES)], rows["label"])
