"""Puts a recorded seed into the lab's object store and database: `python3 -m lab.seed`.

A seed was made once, when its image was built: /seed/buckets/BUCKET/KEY are objects, /seed/mlflow.sql is a database dump.
Objects go first and the dump last, in one transaction that also leaves the seed's digest in the database. So a run that
was cut off is repaired by the next one, and a run after a complete one changes nothing, whatever the learner did since.

Environment (the names of libpq and boto3):

    PGHOST, PGPORT, PGUSER, PGDATABASE   the database; default postgres, 5432, mlflow, mlflow
    PGPASSWORD                           its password
    AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY   the object store
    SEED_WAIT_SECONDS                    how long to wait for each of them; default 300

It is not for resetting a lab: it never takes anything away.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import boto3
import botocore.exceptions
import psycopg2
from botocore.config import Config

from lab import lineage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = logging.getLogger("seed")

SEED = Path("/seed")
DUMP = "mlflow.sql"
BUCKETS = ("mlflow", "data", "models", "reports")
POLL_SECONDS = 0.2
DEFAULTS = {
    "PGHOST": "postgres",
    "PGPORT": "5432",
    "PGUSER": "mlflow",
    "PGDATABASE": "mlflow",
    "PGCONNECT_TIMEOUT": "3",
    "AWS_DEFAULT_REGION": "us-east-1",
}

Answer = TypeVar("Answer")


class SeedError(Exception):
    """The seed can't be put in place; the text says why."""


def wait(
    what: str,
    ask: Callable[[], Answer],
    not_yet: tuple[type[Exception], ...],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Asks until there is an answer; logs once why there is none."""
    deadline = clock() + seconds
    said = ""
    while True:
        try:
            return ask()
        except not_yet as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if clock() >= deadline:
                raise SeedError(f"gave up waiting for {what} after {seconds:.0f} s: {reason}") from error
            if reason != said:
                logger.info("waiting for %s: %s", what, reason)
                said = reason
            sleep(POLL_SECONDS)


def objects(root: Path) -> list[tuple[str, str, Path]]:
    """Lists what the seed holds as (bucket, key, file)."""
    files = sorted(path for path in root.glob("*/**/*") if path.is_file())
    return [(path.relative_to(root).parts[0], path.relative_to(root / path.relative_to(root).parts[0]).as_posix(), path) for path in files]


def make_buckets(s3: S3Client, names: Iterable[str]) -> None:
    """Makes the buckets that are not there yet."""
    have = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for name in names:
        if name not in have:
            s3.create_bucket(Bucket=name)


def upload(s3: S3Client, wanted: list[tuple[str, str, Path]]) -> None:
    def put(item: tuple[str, str, Path]) -> None:
        bucket, key, file = item
        s3.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(put, wanted))


def restored() -> str:
    """Returns the digest of the seed that the database holds, or nothing; an OperationalError says the database is not up."""
    connection = psycopg2.connect("")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(obj_description('public'::regnamespace, 'pg_namespace'), '')")
            comment = str((cursor.fetchone() or [""])[0])
            cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            tables = int((cursor.fetchone() or [0])[0])
    finally:
        connection.close()
    if comment.startswith("seed "):
        return comment.removeprefix("seed ")
    if tables:
        raise SeedError(f"the database holds {tables} tables that are not from a seed; a seed needs an empty database")
    return ""


def restore(dump: Path, digest: str) -> None:
    """Restores the dump and leaves the digest, all or nothing."""
    command = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction"]
    command += ["--file", str(dump), "--command", f"COMMENT ON SCHEMA public IS 'seed {digest}'"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SeedError(f"the database refused the dump: {done.stderr.strip()}")


def run(seed: Path, seconds: float) -> None:
    digest = lineage.file_digest(seed / DUMP)
    if found := wait("the database", restored, (psycopg2.OperationalError,), seconds):
        logger.info("the database holds seed %s already; nothing to do", found)
        return
    s3 = boto3.client("s3", config=Config(connect_timeout=3, retries={"max_attempts": 2}, max_pool_connections=8))
    no_store = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectTimeoutError, botocore.exceptions.ConnectionClosedError)
    wait("the object store", lambda: make_buckets(s3, BUCKETS), no_store, seconds)
    wanted = objects(seed / "buckets")
    upload(s3, wanted)
    logger.info("%d objects are in the store", len(wanted))
    restore(seed / DUMP, digest)
    logger.info("restored seed %s", digest)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        run(SEED, float(os.environ.get("SEED_WAIT_SECONDS", "300")))
    except (SeedError, botocore.exceptions.ClientError) as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
