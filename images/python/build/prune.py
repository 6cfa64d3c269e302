"""Takes out of an installed package tree what the project's images never use: `prune.py TREE [BASE]`.

Every file is unpacked each time a cluster starts, so each one costs every learner a little.
Whatever BASE (the tree of the image below) holds with the same content is taken out as well.
"""

from __future__ import annotations

import filecmp
import fnmatch
import os
import shutil
import subprocess
import sys
from pathlib import Path

# Directories and files by name, wherever they are.
DIRECTORIES = {"tests", "test", "__pycache__", "bin"}
FILES: tuple[str, ...] = ("*.pyi", "*.pxd", "*.pyx", "*.pxi", "*.h", "*.hpp", "*.c", "*.cpp", "*.cc", "*.a", "*.map", "*.in", "*.md", "*.rst")
FILES += ("py.typed", "meson.build", "*.tp", "*.exe")
# pip's own books; METADATA, entry points and licences stay.
DIST_INFO = ("RECORD", "INSTALLER", "WHEEL", "REQUESTED", "direct_url.json", "top_level.txt", "sboms")

# Patterns relative to the tree: parts of packages that nothing imports here.
PARTS = (
    # Arrow: only the parts behind Parquet, IPC, compute and local files.
    "pyarrow/include",
    "pyarrow/src",
    "pyarrow/includes",
    "pyarrow/libarrow_flight.so*",
    "pyarrow/libarrow_python_flight.so*",
    "pyarrow/libarrow_python.so",  # the same library under two names that nothing loads it by
    "pyarrow/libarrow_python.so.*.*",
    "pyarrow/_flight.*",
    "pyarrow/_orc.*",
    "pyarrow/_gcsfs.*",
    "pyarrow/_azurefs.*",
    "pyarrow/_hdfs.*",
    "pyarrow/_pyarrow_cpp_tests.*",
    "pyarrow/libarrow_python_parquet_encryption.so*",
    "pyarrow/_parquet_encryption.*",
    # Build helpers and headers.
    "numpy/distutils",
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/_core/_simd.*",
    "numpy/_core/*_tests.*",
    "numpy/random/lib",
    "numpy/random/_examples",
    "numpy/_pyinstaller",
    "numpy/doc",
    "pandas/_libs/include",
    "scipy/special/_precompute",
    "scipy/_build_utils",
    "sqlalchemy/testing",
    "alembic/testing",
    "sklearn/_build_utils",
    "sklearn/externals/_scipy",
    # Pictures and data sets other than the small tables that labs use.
    "sklearn/datasets/images",
    "scipy/datasets",
    # boto3: resources are not used, and botocore knows some 400 services.
    "boto3/data",
    "boto3/examples",
    "mlflow/R",
    "mlflow/java",
)
# Of these directories only the named entries stay.
KEEP_ONLY = {
    "botocore/data": {"s3", "sts", "endpoints.json", "partitions.json", "_retry.json", "sdk-default-configuration.json"},
}


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def unwanted(path: Path) -> bool:
    if path.is_dir():
        return path.name in DIRECTORIES
    if path.parent.suffix == ".dist-info" and path.name in DIST_INFO:
        return True
    return any(fnmatch.fnmatch(path.name, pattern) for pattern in FILES)


def prune(tree: Path) -> None:
    for pattern in PARTS:
        for path in tree.glob(pattern):
            remove(path)
    for name, wanted in KEEP_ONLY.items():
        for path in (tree / name).glob("*"):
            if path.name not in wanted:
                remove(path)
    for path in sorted(tree.rglob("*")):
        if path.exists() and unwanted(path) and "licenses" not in path.parts:
            remove(path)


def share_time_zones(tree: Path) -> None:
    """pytz brings the same 600 zone files as tzdata."""
    zones = tree / "pytz" / "zoneinfo"
    if zones.is_dir() and (tree / "tzdata" / "zoneinfo").is_dir():
        shutil.rmtree(zones)
        zones.symlink_to("../tzdata/zoneinfo")


def add_databricks(tree: Path) -> None:
    """MLflow asks for `databricks.agents` by a call that fails if `databricks`, left out here, is not a package at all."""
    if (tree / "mlflow").is_dir():
        (tree / "databricks").mkdir(exist_ok=True)


def strip(tree: Path) -> None:
    """Strips extension modules; libraries that auditwheel patched (`*.libs`) do not survive it."""
    libraries = [str(path) for path in tree.rglob("*.so*") if path.is_file() and path.parent.suffix != ".libs"]
    if libraries:
        subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)


def known(path: Path, there: Path) -> bool:
    """Says whether the base has this file. It has modules in compiled form only; one lock means they are the same ones."""
    if path.suffix == ".py" and there.with_suffix(".pyc").is_file():
        return True
    return there.is_file() and filecmp.cmp(path, there, shallow=False)


def drop_known(tree: Path, base: Path) -> None:
    """Drops what the base has, and then empty directories."""
    for folder, _, files in os.walk(tree, topdown=False):
        here, there = Path(folder), base / Path(folder).relative_to(tree)
        for name in files:
            if known(here / name, there / name):
                (here / name).unlink()
        if here != tree and not any(here.iterdir()):
            here.rmdir()


def main() -> None:
    tree = Path(sys.argv[1])
    prune(tree)
    share_time_zones(tree)
    add_databricks(tree)
    strip(tree)
    if len(sys.argv) > 2 and sys.argv[2]:
        drop_known(tree, Path(sys.argv[2]))


if __name__ == "__main__":
    main()
