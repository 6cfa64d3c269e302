"""What the build stages take out of a package tree, and how they compile the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import prune
import pytest


def grow(root: Path, *names: str, content: str = "") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("pkg/module.py", True),
        ("pkg/tests/test_module.py", False),
        ("pkg/sub/test/data.bin", False),
        ("pkg/testing.py", True),
        ("pkg/module.pyi", False),
        ("pkg/header.h", False),
        ("pkg/py.typed", False),
        ("pkg/static/app.js", True),
        ("pkg/static/app.js.map", False),
        ("pkg-1.dist-info/METADATA", True),
        ("pkg-1.dist-info/RECORD", False),
        ("pkg-1.dist-info/licenses/LICENSE.md", True),
        ("bin/tool", False),
        ("botocore/data/s3/2006-03-01/service-2.json.gz", True),
        ("botocore/data/endpoints.json", True),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", False),
        ("pyarrow/include/arrow/api.x", False),
        ("pyarrow/parquet/core.py", True),
    ],
)
def test_prune(tmp_path: Path, name: str, stays: bool) -> None:
    grow(tmp_path, name)
    prune.prune(tmp_path)
    assert (name in files(tmp_path)) is stays


def test_time_zones_are_shared(tmp_path: Path) -> None:
    grow(tmp_path, "pytz/zoneinfo/UTC", "tzdata/zoneinfo/UTC", content="zone")
    prune.share_time_zones(tmp_path)
    assert (tmp_path / "pytz" / "zoneinfo").is_symlink()
    assert (tmp_path / "pytz" / "zoneinfo" / "UTC").read_text() == "zone"


def test_what_the_base_has_is_dropped(tmp_path: Path) -> None:
    tree, base = tmp_path / "tree", tmp_path / "base"
    grow(tree, "p/__init__.py", "p/only_here.py", "p/same.json", "q/all/known.json")
    grow(tree, "p/other.json", content="new")
    grow(base, "p/__init__.pyc", "p/same.json", "p/other.json", "q/all/known.json")
    prune.drop_known(tree, base)
    assert files(tree) == {"p/only_here.py", "p/other.json"}
    assert not (tree / "q").exists()


def compile_tree(tree: Path, *options: str) -> None:
    script = Path(prune.__file__).with_name("compile.py")
    # A build has no other place for bytecode than beside the sources.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"}
    subprocess.run([sys.executable, str(script), str(tree), "/in/image", *options], env=env, check=True)


def test_compiled_trees_run_without_sources(tmp_path: Path) -> None:
    grow(tmp_path, "pkg/__init__.py", content="def answer():\n    return 42\n")
    grow(tmp_path, "pkg/new_syntax.py", content="def (")
    grow(tmp_path, "mlflow/store/db_migrations/versions/one.py")
    compile_tree(tmp_path)
    assert files(tmp_path) == {"pkg/__init__.pyc", "pkg/new_syntax.py", "mlflow/store/db_migrations/versions/one.py"}
    code = "import pkg; print(pkg.answer(), pkg.answer.__code__.co_filename)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["42", "/in/image/pkg/__init__.py"]


def test_compiling_is_repeatable(tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        grow(tmp_path / name, "pkg/__init__.py", content="NAMES = {'a', 'b'}\n\n\ndef f(x):\n    return [y for y in x if y in NAMES]\n")
        compile_tree(tmp_path / name, "--keep-sources")
        paths = sorted((tmp_path / name).rglob("*"))
        results.append([(path.name, path.stat().st_mtime, path.read_bytes() if path.is_file() else b"") for path in paths])
    assert results[0] == results[1]
    assert any(name.endswith(".pyc") for name, _, _ in results[0])


def test_packages_in_an_archive_are_imported(tmp_path: Path, images: Path) -> None:
    grow(tmp_path, "plotly/__init__.py", "_plotly_utils/__init__.py", content="def answer():\n    return 42\n")
    grow(tmp_path, "plotly/package_data/plotly.min.js", "jupyterlab_plotly/a.js", "evidently/ui/service/assets/a.js", "evidently/core.py")
    compile_tree(tmp_path)
    script = images / "workbench-monitoring" / "pack.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    assert files(tmp_path) == {"plotly.zip", "plotly.pth", "evidently/core.pyc"}
    # Without the environment's own packages (-S), of which plotly may be one.
    code = f"import site; site.addsitedir({str(tmp_path)!r}); import plotly; print(plotly.answer(), plotly.__file__)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["42", str(tmp_path / "plotly.zip" / "plotly" / "__init__.pyc")]
