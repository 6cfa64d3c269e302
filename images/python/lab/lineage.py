"""Says from what a run was made: its code and its environment, as digests that anybody can compute again."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).parent


def git_sha(directory: Path = PACKAGE) -> str:
    """Returns the id that Git gives to the tree of a flat directory of Python modules (`git rev-parse COMMIT:DIRECTORY`).

    An image holds no repository, but a tree's id depends on its content only, so it can be looked up in one.
    """
    entries = []
    for path in sorted(path for path in directory.iterdir() if path.is_file()):
        entries.append(f"100644 {path.name}\0".encode() + bytes.fromhex(git_object("blob", path.read_bytes())))
    return git_object("tree", b"".join(entries))


def git_object(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def environment_digest() -> str:
    """Returns the digest of the installed packages with their versions, which an image's lock file fixes."""
    packages = sorted({f"{d.metadata['Name'].lower().replace('_', '-')}=={d.version}" for d in metadata.distributions()})
    return f"sha256:{hashlib.sha256(chr(10).join(packages).encode()).hexdigest()}"


def file_digest(path: Path) -> str:
    """Returns a file's SHA-256 as tags and object names carry it."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
