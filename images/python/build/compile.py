"""Byte-compiles a package tree: `compile.py TREE [PATH_IN_IMAGE] [--keep-sources]`.

With a read-only root no .pyc is ever written at run time, so every start would compile again. The pycs are unchecked:
no look at their source, no time stamp in them. Sources are dropped (a third of the files and a sixth of the bytes that
every cluster start unpacks; tracebacks keep file, line and function), except those that somebody runs or reads by path.
"""

from __future__ import annotations

import argparse
import compileall
import fnmatch
import os
import py_compile
from pathlib import Path

# Read as text or run as scripts: Alembic's migrations, and what MLflow starts in a process of its own.
KEEP = ("mlflow/store/db_migrations/*", "mlflow/utils/_capture_*.py", "mlflow/pyfunc/_mlflow_pyfunc_backend_predict.py")
EPOCH = 1356998400  # 2013-01-01, so that the same files make the same layer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=Path)
    parser.add_argument("path", nargs="?")
    parser.add_argument("--keep-sources", action="store_true")
    options = parser.parse_args()
    tree: Path = options.tree

    # Files for other Python versions fail to compile; nothing imports them.
    compileall.compile_dir(
        tree,
        quiet=2,
        legacy=not options.keep_sources,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        workers=0,
        stripdir=str(tree),
        prependdir=options.path or str(tree),
    )
    if not options.keep_sources:
        for source in tree.rglob("*.py"):
            name = source.relative_to(tree).as_posix()
            kept = any(fnmatch.fnmatch(name, pattern) for pattern in KEEP)
            compiled = source.with_suffix(".pyc")
            if kept:
                compiled.unlink(missing_ok=True)
            elif compiled.exists():
                source.unlink()
    for path in [*tree.rglob("*"), tree]:
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


if __name__ == "__main__":
    main()
