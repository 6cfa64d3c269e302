"""Makes the packages of the image small: `pack.py TREE`.

Plotly, which draws the reports, is 15,000 modules of which a report needs some hundred. They go into one archive that Python
imports from, since each file costs a node time when it unpacks the image. Of Evidently only the web service and examples go.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

ARCHIVE = "plotly.zip"
PACKAGES = ("plotly", "_plotly_utils")
# For pages without a network and for notebooks; Evidently brings its own script.
UNUSED = (
    "plotly/package_data/plotly.min.js",
    "jupyterlab_plotly",
    "share",
    "etc",
    "evidently/ui/service/assets",
    "evidently/legacy/ui/assets",
    "evidently/legacy/ui/example.ipynb",
    "evidently/legacy/dashboard/tabs/quality_metrics_options_example.ipynb",
)


def remove(tree: Path) -> None:
    for name in UNUSED:
        path = tree / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def pack(tree: Path) -> None:
    """Writes the archive, the same bytes for the same files, and the line that makes Python look into it."""
    with zipfile.ZipFile(tree / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(file for package in PACKAGES for file in (tree / package).rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(tree).as_posix(), date_time=(2013, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    for package in PACKAGES:
        shutil.rmtree(tree / package)
    (tree / "plotly.pth").write_text(f"{ARCHIVE}\n")


def main() -> None:
    tree = Path(sys.argv[1])
    remove(tree)
    pack(tree)


if __name__ == "__main__":
    main()
