"""Puts a recorded seed into the lab's object store and databases: `python3 -m lab.seed`.

A seed was made once, when its image was built: /seed/buckets/BUCKET/KEY are objects, /seed/DATABASE.sql is the dump of a
database, which belongs to the role of its own name. Objects go first and the dumps last, each in one transaction that also
leaves the digest of the dump in its database. So a run that was cut off is repaired by the next one, and a run after a
complete one changes nothing, whatever the learner did since. A lab without databases has no dump; there a further run
brings only objects that are missing.

With LABCTL_RESET=1 it puts everything back instead, whatever the learner did: the schema of each database is dropped and
restored in one transaction, the buckets come to hold what the seed holds and nothing else, and the database `lab` is
emptied where it has no dump. It may be cut off and run again, and servers may stay connected meanwhile.

Environment (the names of libpq and boto3):

    PGHOST, PGPORT                       where the databases are; default postgres, 5432
    PGPASSWORD                           the password of all their roles
    AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY   the object store
    SEED_WAIT_SECONDS                    how long to wait for each of them; default 300
    LABCTL_RESET                         1: put everything back
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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
BUCKETS = ("mlflow", "data", "models", "reports")
# The learner's own database.
SCRATCH = "lab"
# A session that is in the middle of something holds locks that the drop would wait for; idle ones hold none. Then the schema
# as PostgreSQL makes it in a new database.
EMPTY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle';
DROP SCHEMA IF EXISTS public CASCADE;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""
POLL_SECONDS = 0.2
DEFAULTS = {
    "PGHOST": "postgres",
    "PGPORT": "5432",
    "PGCONNECT_TIMEOUT": "3",
    "AWS_DEFAULT_REGION": "us-east-1",
}

NO_STORE = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectTimeoutError, botocore.exceptions.ConnectionClosedError)

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


def dumps(seed: Path) -> dict[str, Path]:
    """Lists the dumps of the seed by the name of their database."""
    return {path.stem: path for path in sorted(seed.glob("*.sql"))}


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


def restored(database: str) -> str:
    """Returns the digest of the dump that a database holds, or nothing; an OperationalError says the database is not up."""
    connection = psycopg2.connect(dbname=database, user=database)
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
        raise SeedError(f"database {database} holds {tables} tables that are not from a seed; a seed needs an empty database")
    return ""


def psql(database: str, *arguments: str) -> None:
    """Runs commands and files as the owner of a database, in one transaction: all of it or nothing."""
    command = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", *arguments]
    variables = {"PGDATABASE": database, "PGUSER": database}
    done = subprocess.run(command, env=os.environ | variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SeedError(f"database {database} refused: {done.stderr.strip()}")


def restore(database: str, dump: Path, *before: str) -> None:
    """Restores the dump and leaves its digest."""
    digest = lineage.file_digest(dump)
    psql(database, *before, "--file", str(dump), "--command", f"COMMENT ON SCHEMA public IS 'seed {digest}'")
    logger.info("restored database %s from seed %s", database, digest)


def has_scratch(database: str) -> bool:
    """Asks one database whether the learner has one, too; an OperationalError says that none is up."""
    connection = psycopg2.connect(dbname=database, user=database)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_database WHERE datname = %s", (SCRATCH,))
            return bool((cursor.fetchone() or [0])[0])
    finally:
        connection.close()


def reset_databases(recorded: dict[str, Path], seconds: float) -> None:
    if not recorded:
        return
    scratch = wait("the database", lambda: has_scratch(next(iter(recorded))), (psycopg2.OperationalError,), seconds)
    for database, dump in recorded.items():
        restore(database, dump, "--command", EMPTY)
    if scratch and SCRATCH not in recorded:
        psql(SCRATCH, "--command", EMPTY)


def stored(s3: S3Client, bucket: str) -> dict[str, str]:
    """Returns the MD5 of each object in a bucket; one that came in parts has something else, which equals no MD5."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {item["Key"]: item["ETag"].strip('"') for page in pages for item in page.get("Contents", [])}


def remove(s3: S3Client, bucket: str, keys: list[str]) -> None:
    # The most that one request may name.
    for start in range(0, len(keys), 1000):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys[start : start + 1000]], "Quiet": True})
        if errors := answer.get("Errors"):
            raise SeedError(f"bucket {bucket}: {errors[0].get('Key')} can't be deleted: {errors[0].get('Message')}")


def reset_store(s3: S3Client, wanted: list[tuple[str, str, Path]]) -> None:
    """Makes the store equal to the seed; what is there already is not sent again."""
    make_buckets(s3, BUCKETS)
    differing = []
    for bucket in [str(bucket["Name"]) for bucket in s3.list_buckets()["Buckets"]]:
        have = stored(s3, bucket)
        seeded = {key: (bucket, key, file) for name, key, file in wanted if name == bucket}
        remove(s3, bucket, [key for key in have if key not in seeded])
        if bucket not in BUCKETS:
            s3.delete_bucket(Bucket=bucket)
        differing += [item for key, item in seeded.items() if have.get(key) != md5(item[2])]
    upload(s3, differing)
    logger.info("%d of %d objects had to be put back", len(differing), len(wanted))


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def connect_store() -> S3Client:
    s3: S3Client = boto3.client("s3", config=Config(connect_timeout=3, retries={"max_attempts": 2}, max_pool_connections=8))
    return s3


def reset(seed: Path, seconds: float) -> None:
    """Puts everything back, the databases and the store side by side."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        databases = pool.submit(reset_databases, dumps(seed), seconds)
        s3 = connect_store()
        wait("the object store", lambda: reset_store(s3, objects(seed / "buckets")), NO_STORE, seconds)
        databases.result()


def missing(s3: S3Client, wanted: list[tuple[str, str, Path]]) -> list[tuple[str, str, Path]]:
    """Returns the objects whose keys are not in the store."""
    have = {bucket: stored(s3, bucket) for bucket in {bucket for bucket, _, _ in wanted}}
    return [item for item in wanted if item[1] not in have[item[0]]]


def run(seed: Path, seconds: float) -> None:
    recorded = dumps(seed)
    waiting = {}
    for database, dump in recorded.items():
        if found := wait("the database", partial(restored, database), (psycopg2.OperationalError,), seconds):
            logger.info("database %s holds seed %s already", database, found)
        else:
            waiting[database] = dump
    if recorded and not waiting:
        logger.info("nothing to do")
        return
    s3 = connect_store()
    wait("the object store", lambda: make_buckets(s3, BUCKETS), NO_STORE, seconds)
    wanted = objects(seed / "buckets")
    upload(s3, wanted if recorded else missing(s3, wanted))
    logger.info("%d objects are in the store", len(wanted))
    for database, dump in waiting.items():
        restore(database, dump)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        action = reset if os.environ.get("LABCTL_RESET") == "1" else run
        action(SEED, float(os.environ.get("SEED_WAIT_SECONDS", "300")))
    except (SeedError, botocore.exceptions.ClientError) as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
