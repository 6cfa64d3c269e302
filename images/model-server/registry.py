"""Finds the model that a MODEL_URI names and fetches its bytes.

    models:/NAME/N         version N of a registered model
    models:/NAME/latest    its newest version
    models:/NAME@ALIAS     the version that an alias points to
    s3://BUCKET/PREFIX     MLmodel and model.pkl below a prefix of the object store; manifest.json beside them, or a number at
                           the end of the prefix, says which version that is

It speaks MLflow's REST API itself: importing MLflow's client takes longer than everything else that the server does at its
start. Nothing is unpickled here.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import yaml

logger = logging.getLogger("model_server")

MODEL_FILE: Final = "model.pkl"
DESCRIPTION_FILE: Final = "MLmodel"
MANIFEST_FILE: Final = "manifest.json"
DIGEST_TAG: Final = "model_digest"
REQUEST_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.3
ARTIFACTS: Final = "mlflow-artifacts:/"


class ModelError(Exception):
    """The model can't be served; the text says why."""


class MissingError(ModelError):
    """The store answers, and has no such object."""


class NotYetError(Exception):
    """The registry or the store does not answer; it may do so later."""


@dataclass(frozen=True)
class Column:
    """One input of the model, as its signature has it."""

    name: str
    type: str

    @property
    def text(self) -> bool:
        return self.type == "string"


@dataclass(frozen=True)
class Stored:
    """A model as it lies in the store."""

    version: str
    run_id: str
    columns: tuple[Column, ...]
    content: bytes

    @property
    def digest(self) -> str:
        """In the form of the tags."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


def fetch(uri: str, tracking_uri: str) -> Stored:
    """Returns the model that uri names now."""
    address = urllib.parse.urlsplit(uri)
    if address.scheme == "s3" and address.netloc and address.path.strip("/"):
        return from_store(address.netloc, address.path.strip("/"))
    if found := re.fullmatch(r"models:/([^/@]+)(?:/(\d+|latest)|@([^/@]+))", uri):
        return from_registry(tracking_uri.rstrip("/"), found[1], found[2], found[3])
    raise ModelError(f"MODEL_URI is {uri!r}; it must be models:/NAME/NUMBER, models:/NAME/latest, models:/NAME@ALIAS or s3://BUCKET/PREFIX")


def wait(ask: Callable[[], Stored], seconds: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> Stored:
    """Asks until there is an answer; logs each reason for the lack of one once."""
    deadline = clock() + seconds
    said = ""
    while True:
        try:
            return ask()
        except NotYetError as error:
            if clock() >= deadline:
                raise ModelError(f"gave up after {seconds:.0f} s: {error}") from error
            if str(error) != said:
                logger.info("waiting: %s", error)
                said = str(error)
            sleep(POLL_SECONDS)


def from_registry(base: str, name: str, version: str | None, alias: str | None) -> Stored:
    api = f"{base}/api/2.0/mlflow"
    if alias:
        found = json.loads(get(f"{api}/registered-models/alias", name=name, alias=alias))["model_version"]
    elif version == "latest":
        found = newest(api, name)
    else:
        found = json.loads(get(f"{api}/model-versions/get", name=name, version=version or ""))["model_version"]
    number = str(found["version"])
    location = json.loads(get(f"{api}/model-versions/get-download-uri", name=name, version=number))["artifact_uri"]
    if not location.startswith(ARTIFACTS):
        raise ModelError(f"version {number} of {name} lies at {location}; only artifacts that the tracking server hands out can be loaded")
    files = f"{base}/api/2.0/mlflow-artifacts/artifacts/{location.removeprefix(ARTIFACTS).strip('/')}"
    content = get_file(f"{files}/{MODEL_FILE}")
    stored = describe(number, get_file(f"{files}/{DESCRIPTION_FILE}"), content)
    tags = {tag["key"]: tag["value"] for tag in found.get("tags", [])}
    recorded = tags.get(DIGEST_TAG)
    if recorded and recorded != stored.digest:
        raise ModelError(f"{MODEL_FILE} of version {number} of {name} is {stored.digest}; its tag {DIGEST_TAG} says {recorded}")
    return stored


def newest(api: str, name: str) -> dict[str, object]:
    """Returns the version with the highest number."""
    query = "name='{}'".format(name.replace("'", "''"))
    versions: list[dict[str, object]] = json.loads(get(f"{api}/model-versions/search", filter=query, max_results="1000")).get("model_versions", [])
    if not versions:
        raise ModelError(f"the registry has no version of {name}")
    return max(versions, key=lambda version: int(str(version["version"])))


def from_store(bucket: str, prefix: str) -> Stored:
    # A second to import, and most servers load from the registry.
    import boto3
    import botocore.exceptions
    from botocore.config import Config

    s3 = boto3.client("s3", config=Config(connect_timeout=3, read_timeout=REQUEST_SECONDS, retries={"max_attempts": 1}))

    def read(name: str) -> bytes:
        try:
            content: bytes = s3.get_object(Bucket=bucket, Key=f"{prefix}/{name}")["Body"].read()
            return content
        except botocore.exceptions.ClientError as error:
            missing = error.response.get("Error", {}).get("Code") == "NoSuchKey"
            raise (MissingError if missing else ModelError)(f"s3://{bucket}/{prefix}/{name}: {error}") from error
        except botocore.exceptions.HTTPClientError as error:
            raise NotYetError(f"the object store does not answer: {error}") from error
        except botocore.exceptions.BotoCoreError as error:
            raise ModelError(f"the object store can't be asked: {error}") from error

    manifest = manifest_of(bucket, prefix, read)
    content = read(MODEL_FILE)
    last = prefix.rsplit("/", 1)[-1]
    # Without either, the digest tells models apart just as well.
    version = manifest.get("version") or (last if last.isdecimal() else hashlib.sha256(content).hexdigest()[:12])
    stored = describe(str(version), read(DESCRIPTION_FILE), content, str(manifest.get("run", "")))
    recorded = manifest.get("digest")
    if recorded and recorded != stored.digest:
        raise ModelError(f"s3://{bucket}/{prefix}/{MODEL_FILE} is {stored.digest}; {MANIFEST_FILE} says {recorded}")
    return stored


def manifest_of(bucket: str, prefix: str, read: Callable[[str], bytes]) -> dict[str, Any]:
    """Returns what manifest.json says: version, run and digest; nothing if there is none."""
    try:
        said = json.loads(read(MANIFEST_FILE))
    except MissingError:
        return {}
    except ValueError as error:
        raise ModelError(f"s3://{bucket}/{prefix}/{MANIFEST_FILE} is no JSON: {error}") from error
    if not isinstance(said, dict):
        raise ModelError(f"s3://{bucket}/{prefix}/{MANIFEST_FILE} is no JSON object")
    return said


def describe(version: str, description: bytes, content: bytes, run: str = "") -> Stored:
    """Puts together a model from its two files; `run` is where it comes from if they do not say so."""
    try:
        document = yaml.safe_load(description)
        columns = tuple(Column(str(column["name"]), str(column["type"])) for column in json.loads(document["signature"]["inputs"]))
        run_id = str(document.get("run_id") or run)
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{DESCRIPTION_FILE} of version {version} has no signature with named columns: {error!r}") from error
    return Stored(version, run_id, columns, content)


def get(url: str, **query: str) -> bytes:
    """Reads from the registry: what it refuses is final, what it can't do now is not."""
    try:
        return read(f"{url}?{urllib.parse.urlencode(query)}")
    except urllib.error.HTTPError as error:
        reason = f"the registry answered {error.code}: {message(error)}"
        raise (NotYetError if error.code >= 500 else ModelError)(reason) from error
    except OSError as error:
        raise NotYetError(f"the registry does not answer: {error}") from error


def get_file(url: str) -> bytes:
    """Reads an artifact. MLflow answers 500 for one that is not there, so waiting would hide that."""
    try:
        return read(url)
    except urllib.error.HTTPError as error:
        raise ModelError(f"{url}: {error.code}: {message(error)}") from error
    except OSError as error:
        raise NotYetError(f"the registry does not answer: {error}") from error


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=REQUEST_SECONDS) as answer:
        content: bytes = answer.read()
        return content


def message(error: urllib.error.HTTPError) -> str:
    """Returns what MLflow says in the body of an error."""
    body = error.read().decode(errors="replace").strip()
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200]
