#!/usr/bin/env python3
"""Writes the Python lock files: one for everything, a strict subset for each image.

It needs `uv` and a package index; nothing else of the project does. Run it after a change of a `requirements*.in`:

    python3 images/python/lock.py            # keeps the versions that are locked and still fit
    python3 images/python/lock.py --upgrade  # takes the newest ones

Everything is resolved for Debian 12's Python 3.11 on x86_64 and aarch64, and both must come to the same versions.
A lock lists the hashes of the wheels that fit these two, so an install needs no compiler and can't pick another file.

An image's `requirements.in` names what it adds to its base. A comment line `# without: a b` leaves out packages that
the resolver wants but the image never imports; `# base: NAME` leaves out what image NAME has already.

It is not a build step: images and tests only read the lock files.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parent
PLATFORMS = ("x86_64-manylinux_2_36", "aarch64-manylinux_2_36")
PYTHON = "3.11"
# Packages without a wheel for aarch64; they are built from source there.
SOURCE_ONLY_ON_AARCH64 = frozenset({"psutil"})

HEADER = "# Written by images/python/lock.py; do not edit.\n"

Locked = dict[str, tuple[str, frozenset[str]]]


def resolve(source: Path, constraints: Path | None, upgrade: bool = False) -> Locked:
    """Resolves source on every platform and merges the hashes of the files that fit."""
    merged: Locked = {}
    names: set[str] | None = None
    for platform in PLATFORMS:
        packages = resolve_on(source, platform, constraints, upgrade)
        if names is not None and names != set(packages):
            raise SystemExit(f"{source}: platforms differ in {sorted(names ^ set(packages))}")
        names = set(packages)
        for name, (version, hashes) in packages.items():
            known_version, known_hashes = merged.get(name, (version, frozenset()))
            if known_version != version:
                raise SystemExit(f"{source}: {name} is {known_version} on one platform and {version} on {platform}")
            merged[name] = (version, known_hashes | hashes)
    return merged


def resolve_on(source: Path, platform: str, constraints: Path | None, upgrade: bool) -> Locked:
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "pylock.toml"
        command = ["uv", "pip", "compile", str(source), "--quiet", "--python-version", PYTHON]
        command += ["--python-platform", platform, "--format", "pylock.toml", "--output-file", str(output)]
        if constraints is not None and constraints.exists() and not upgrade:
            command += ["--constraints", str(constraints)]
        subprocess.run(command, check=True)
        document = tomllib.loads(output.read_text())
    return {package["name"]: pin(package, platform) for package in document["packages"]}


def pin(package: dict[str, Any], platform: str) -> tuple[str, frozenset[str]]:
    files = package.get("wheels", [])
    if not files:
        name = package["name"]
        if platform.startswith("x86_64") or name not in SOURCE_ONLY_ON_AARCH64:
            raise SystemExit(f"{name} {package['version']} has no wheel for {platform}")
        files = [package["sdist"]]
    return package["version"], frozenset(file["hashes"]["sha256"] for file in files)


def write(target: Path, locked: Locked) -> None:
    lines = [HEADER]
    for name, (version, hashes) in sorted(locked.items()):
        lines.append(" \\\n".join([f"{name}=={version}", *(f"    --hash=sha256:{h}" for h in sorted(hashes))]) + "\n")
    target.write_text("".join(lines))
    print(f"{target.relative_to(IMAGES)}: {len(locked)} packages")


def read(lock: Path) -> Locked:
    """Reads a lock file back; the inverse of write."""
    locked: Locked = {}
    for block in re.split(r"\n(?=\S)", lock.read_text()):
        if match := re.match(r"([a-z0-9-]+)==(\S+)", block):
            hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
            locked[match[1]] = (match[2], hashes)
    return locked


def notes(source: Path, key: str) -> list[str]:
    """Returns the words of the comment lines `# key: ...`."""
    return [word for line in re.findall(rf"^# {key}: (.*)$", source.read_text(), re.M) for word in line.split()]


def image_closure(source: Path, lock: Path) -> Locked:
    """Resolves one image's requirements inside the common lock and takes away what its base has."""
    packages = resolve(source, lock)
    common = read(lock)
    unknown = sorted(name for name, (version, _) in packages.items() if common.get(name, ("",))[0] != version)
    if unknown:
        raise SystemExit(f"{source}: not in {lock.name}: {unknown}; add them to requirements.in")
    left_out = set(notes(source, "without"))
    if idle := sorted(left_out - set(packages)):
        raise SystemExit(f"{source}: `# without:` names {idle}, which nothing asks for")
    for base in notes(source, "base"):
        left_out |= set(read(IMAGES / base / "requirements.lock"))
    return {name: common[name] for name in packages if name not in left_out}


def image_sources() -> list[Path]:
    """Lists the images' requirements, bases first."""
    sources = [path for path in IMAGES.glob("*/requirements.in") if path.parent != HERE]
    return sorted(sources, key=lambda path: (len(notes(path, "base")), path))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    upgrade = parser.parse_args().upgrade
    lock, dev = HERE / "requirements.lock", HERE / "requirements-dev.lock"
    write(lock, resolve(HERE / "requirements.in", lock, upgrade))
    tools = resolve(HERE / "requirements-dev.in", lock)
    write(dev, {name: tools[name] for name in tools if name not in notes(HERE / "requirements-dev.in", "without")})
    for source in image_sources():
        write(source.with_name("requirements.lock"), image_closure(source, lock))
    return 0


if __name__ == "__main__":
    sys.exit(main())
