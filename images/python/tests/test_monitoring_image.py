"""What starts Prometheus and Alertmanager leaves out what they can't read, and hands it to the first reload."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

TOOL = """#!/bin/sh
case "$1 $2" in
  "check rules") file=$3 ;;
  "check-config "*) file=$2 ;;
  *) [ -e "$READY" ]; exit ;;
esac
echo "Checking $file"
grep -q bad "$file" || exit 0
echo "  FAILED:"
echo "$file: what is bad"
exit 1
"""
# Waits for the reload where one is to come. Rules that were left out may arrive as soon as it is ready, so it says first what it starts with.
SERVER = """#!/bin/sh
trap 'echo reloaded; exit 0' HUP
echo "starts with $(cd "$RULES" 2> /dev/null && echo *) $*"
touch "$READY"
[ "$WAIT" = yes ] || exit 0
while :; do sleep 0.05; done
"""


def run(script: Path, folder: Path, wait: bool) -> str:
    """Runs the script with its paths moved below the folder."""
    for name, text in {"promtool": TOOL, "amtool": TOOL, "prometheus": SERVER, "prometheus-alertmanager": SERVER}.items():
        path = folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    text = script.read_text()
    for name in ("/etc/", "/run/"):
        text = text.replace(name, f"{folder}{name}")
    paths = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "RULES": f"{folder}/run/prometheus/rules", "READY": f"{folder}/ready"}
    environment = os.environ | paths | {"WAIT": "yes" if wait else "no"}
    command = ["sh", "-c", text]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=True, preexec_fn=hear_hangups).stdout


def hear_hangups() -> None:
    """A shell can't trap a signal that was ignored when it began, as under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize("bad", [False, True])
def test_rules(tmp_path: Path, images: Path, bad: bool) -> None:
    for name, text in {"rules-serving/a.yaml": "good", "rules-drift/b.yml": "bad" if bad else "good", "rules-perf/notes.txt": "bad"}.items():
        path = tmp_path / "etc" / "prometheus" / "rules" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    said = run(images / "monitoring" / "prometheus.sh", tmp_path, bad)
    assert f"starts with {'' if bad else 'rules-drift '}rules-perf rules-serving --config.file=" in said
    assert ("rules: ConfigMap rules-drift is left out of the start:\nrules:   rules-drift/b.yml: what is bad\n" in said) is bad
    assert ("reloaded" in said) is bad
    assert sorted(path.name for path in (tmp_path / "run" / "prometheus" / "rules").iterdir()) == ["rules-drift", "rules-perf", "rules-serving"]


@pytest.mark.parametrize("bad", [False, True])
def test_routes(tmp_path: Path, images: Path, bad: bool) -> None:
    path = tmp_path / "etc" / "alertmanager" / "alertmanager.yml"
    path.parent.mkdir(parents=True)
    path.write_text("bad" if bad else "good")
    said = run(images / "monitoring" / "alertmanager.sh", tmp_path, bad)
    assert ("nobody is told of alerts:\n" in said) is bad
    assert ("reloaded" in said) is bad
    assert (tmp_path / "run" / "alertmanager" / "alertmanager.yml").readlink() == path
