"""A second Docker Engine that a test may stop, kill and fill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class SpareEngine:
    """A dockerd of the test's own, with everything it writes in one directory."""

    def __init__(self, data: Path) -> None:
        # containerd's sockets need short paths; pytest's temporary directories are too deep.
        self._home = home = Path(tempfile.mkdtemp(prefix="smft-", dir="/tmp"))
        self.socket = home / "docker.sock"
        self.bridge = f"smft{os.getpid() % 100000}"
        self._log = (home / "dockerd.log").open("w")
        subprocess.run(("ip", "link", "add", self.bridge, "type", "bridge"), check=True)
        subprocess.run(("ip", "address", "add", "10.213.99.1/24", "dev", self.bridge), check=True)
        self._process = subprocess.Popen(
            (
                "dockerd",
                f"--data-root={data}",
                f"--exec-root={home / 'exec'}",
                f"--pidfile={home / 'pid'}",
                f"--host=unix://{self.socket}",
                f"--bridge={self.bridge}",
                "--iptables=false",
                "--ip6tables=false",
                "--feature=containerd-snapshotter",
                f"--containerd-namespace={self.bridge}",
                f"--containerd-plugins-namespace={self.bridge}-plugins",
            ),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            done = subprocess.run(
                ("docker", "-H", self.host, "version"), capture_output=True, check=False
            )
            if done.returncode == 0:
                return
            time.sleep(0.2)
        raise RuntimeError(f"dockerd did not start: {Path(self._log.name).read_text()[-2000:]}")

    def kill(self) -> None:
        """End it as a crash would, its containerd and steps included."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """Ask it to end, as a service manager does, without waiting."""
        self._process.terminate()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()
        subprocess.run(("ip", "link", "delete", self.bridge), check=False)
        _unmount_below(self._home)
        shutil.rmtree(self._home, ignore_errors=True)


def _unmount_below(directory: Path) -> None:
    """A killed engine leaves the mounts of its running steps behind."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if mount.startswith(f"{directory}/"):
            subprocess.run(("umount", "--lazy", mount), check=False)


@pytest.fixture
def start_spare_engine(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], SpareEngine]]:
    """Starts a second engine that the test may kill; the environment then leads to it."""
    started: list[SpareEngine] = []

    def start(data: Path) -> SpareEngine:
        spare = SpareEngine(data)
        started.append(spare)
        spare.wait_until_ready()
        monkeypatch.setenv("DOCKER_HOST", spare.host)
        return spare

    try:
        yield start
    finally:
        for spare in started:
            spare.close()
        _unmount_below(tmp_path)
