"""The object store: a client that gives up while whoever asked is still waiting, and objects by their names."""

from __future__ import annotations

from typing import Any, Final

from labtools.errors import ToolError

# Two attempts of a request end within 25 s, and the tool with them in the 30 s of a check.
CONNECT_SECONDS: Final = 3
READ_SECONDS: Final = 8
ATTEMPTS: Final = 2


def client() -> Any:
    import boto3
    from botocore.config import Config

    # Counted in all: botocore's max_attempts would count those after the first.
    limits = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"mode": "standard", "total_max_attempts": ATTEMPTS})
    return boto3.client("s3", region_name="us-east-1", config=limits)


def read(bucket: str, key: str) -> bytes:
    import botocore.exceptions

    try:
        content: bytes = client().get_object(Bucket=bucket, Key=key)["Body"].read()
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise ToolError(f"s3://{bucket}/{key}: {error}") from error
    return content


def write(bucket: str, key: str, content: bytes, kind: str) -> None:
    import botocore.exceptions

    try:
        client().put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise ToolError(f"s3://{bucket}/{key}: {error}") from error
