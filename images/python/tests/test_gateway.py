"""The gateway's program: it reloads what HAProxy takes, refuses the rest with the reason, and ends when HAProxy has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Knows the names that the file HOSTS has. Takes what does not say "bad"; tells of each signal, and ends at USR1.
HAPROXY = """#!/bin/sh
[ "$GATEWAY_FILE" = "${3:-}" ] || [ "$GATEWAY_FILE" = "${4:-}" ] || exit 9
if [ "$1" = -c ]; then
  for name in $(awk '$1 == "server" { sub(":80", "", $3); print $3 }' "$3"); do
    grep -q "^$name " "$HOSTS" || echo "[WARNING] (7) : config : 'server split/a' : could not resolve address '$name', disabling server."
  done
  grep -q bad "$3" || exit 0
  echo "[NOTICE]   (7) : haproxy version is 2.6" >&2
  echo "[ALERT]    (7) : config : parsing [$3:1] : what is bad" >&2
  exit 1
fi
trap 'echo "runs $(cat "$4")"' USR2
trap 'echo "ends"; exit 0' USR1
echo "runs $(cat "$4")"
while :; do sleep 0.05; done
"""

GETENT = """#!/bin/sh
grep "^${2%.} " "$HOSTS" | awk '{ print $2 " STREAM"; print $2 " DGRAM" }'
"""


class Gateway:
    def __init__(self, folder: Path, program: Path) -> None:
        self.config = folder / "haproxy.cfg"
        self.log = folder / "log"
        self.program = program
        self.hosts = folder / "hosts"
        self.hosts.write_text("")
        for name, text in {"haproxy": HAPROXY, "getent": GETENT}.items():
            tool = folder / "bin" / name
            tool.parent.mkdir(exist_ok=True)
            tool.write_text(text)
            tool.chmod(0o755)
        self.environment = os.environ | {
            "GATEWAY_CONFIG": str(self.config),
            "GATEWAY_RUN": str(folder / "run"),
            "GATEWAY_LOOK": "1",
            "HOSTS": str(self.hosts),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "POD_NAMESPACE": "lab-serving",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(["sh", str(self.program)], env=self.environment, stdout=log, stderr=log)
        return self.process

    def said(self) -> str:
        return self.log.read_text()

    def wait(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)


@pytest.fixture
def gateway(tmp_path: Path, images: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path, images / "gateway" / "gateway.sh")
    yield gateway
    if gateway.process is not None and gateway.process.poll() is None:
        gateway.process.send_signal(signal.SIGTERM)
        gateway.process.wait(10)


def test_a_change_is_reloaded_and_a_bad_one_refused(gateway: Gateway) -> None:
    gateway.config.write_text("one")
    process = gateway.start()
    gateway.wait(lambda: "runs one" in gateway.said())
    gateway.config.write_text("bad")
    gateway.wait(lambda: "what is bad" in gateway.said())
    assert "gateway: refused the new configuration, nothing changes:\ngateway:   [ALERT] config : parsing [haproxy.cfg:1] : what is bad" in gateway.said()
    assert "NOTICE" not in gateway.said()
    gateway.config.write_text("two")
    gateway.wait(lambda: "runs two" in gateway.said())
    assert gateway.said().count("refused") == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert gateway.said().endswith("ends\n")


def test_a_restart_keeps_what_ran(gateway: Gateway) -> None:
    gateway.config.write_text("one")
    process = gateway.start()
    gateway.wait(lambda: "runs one" in gateway.said())
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    gateway.config.write_text("bad")
    gateway.start()
    gateway.wait(lambda: "runs one" in gateway.said())
    assert "refused" in gateway.said()


def test_it_does_not_start_with_a_bad_one_alone(gateway: Gateway) -> None:
    gateway.config.write_text("bad")
    assert gateway.start().wait(10) == 1
    assert "there is no other configuration to start with" in gateway.said()


def test_servers_are_found_when_dns_comes_back_and_when_they_move(gateway: Gateway) -> None:
    name = "stable.lab-serving.svc.cluster.local"
    gateway.config.write_text(f"server a {name}:80 weight 1\n")
    gateway.start()
    gateway.wait(lambda: f"gateway: {name} has no address yet" in gateway.said())
    gateway.hosts.write_text(f"{name} 10.96.0.7\n")
    gateway.wait(lambda: gateway.said().count("a server has another address") == 1)
    # Without an answer it stays with what it knows.
    gateway.hosts.write_text("")
    gateway.config.write_text(f"server a {name}:80 bad\n")
    gateway.wait(lambda: "refused" in gateway.said())
    gateway.hosts.write_text(f"{name} 10.96.0.7\n")
    time.sleep(2)
    assert gateway.said().count("another address") == 1
    gateway.hosts.write_text(f"{name} 10.96.0.8\n")
    gateway.wait(lambda: gateway.said().count("another address") == 2)
    gateway.wait(lambda: gateway.said().count("weight 1") == 3)
    assert gateway.said().count("refused") == 1


def test_names_take_the_namespace(gateway: Gateway) -> None:
    gateway.hosts.write_text("stable.lab-serving.svc.cluster.local 10.96.0.7\n")
    gateway.config.write_text('server a "stable.${POD_NAMESPACE}.svc.cluster.local:80"\n')
    gateway.start()
    addresses = gateway.config.parent / "run" / "addresses"
    gateway.wait(lambda: addresses.exists() and addresses.read_text() == gateway.hosts.read_text())
