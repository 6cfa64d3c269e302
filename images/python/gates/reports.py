"""The gate's runs as they lie in the object store: s3://reports/gate/TIME-vN.json, one object a finished run."""

from __future__ import annotations

import json
from typing import Any, Final

from labtools.errors import ToolError

BUCKET: Final = "reports"
PREFIX: Final = "gate/"
SECONDS: Final = 5


def store() -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client("s3", region_name="us-east-1", config=Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"max_attempts": 2}))


def write(run: dict[str, Any]) -> str:
    """Keeps a run, and returns where."""
    import botocore.exceptions

    key = f"{PREFIX}{run['started']}-v{run['candidate']}.json"
    try:
        store().put_object(Bucket=BUCKET, Key=key, Body=json.dumps(run, indent=2).encode())
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise ToolError(f"the object store does not take the report: {error}", report=run) from error
    return f"s3://{BUCKET}/{key}"


def read() -> list[dict[str, Any]]:
    """Returns all runs, oldest first."""
    import botocore.exceptions

    try:
        s3 = store()
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=PREFIX)
        keys = sorted(item["Key"] for page in pages for item in page.get("Contents", []))
        return [json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise ToolError(f"the object store does not answer: {error}") from error
