"""A builder of the small project, reports that say what a test wants, engines that it may kill."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from smforge.report.build import report_of
from smforge.report.model import Report
from smforge.verdict.audit import audit
from smforge.verdict.request import AuditRequest
from smforge.workflow.building.build import Builder
from smforge.workflow.building.results import CellAudit
from smforge.workflow.building.settings import BuildSettings
from tests.small_project import cell, project, settings

__all__ = ["cell", "project", "settings"]


@pytest.fixture
def a_report(tmp_path: Path) -> Callable[[str, str], Report]:
    """Makes a report on a subject of this name, with this verdict."""

    def make(name: str, verdict: str) -> Report:
        (tmp_path / name).mkdir(exist_ok=True)
        real = report_of(audit(str(tmp_path / name), AuditRequest()))
        subject = dataclasses.replace(real.subject, name=name)
        return dataclasses.replace(real, subject=subject, verdict=cast("Any", verdict))

    return make


AuditSays = Callable[[str], None]


@pytest.fixture
def audit_says(
    a_report: Callable[[str, str], Report], monkeypatch: pytest.MonkeyPatch
) -> AuditSays:
    """Lets every audit of a build end with this verdict: its artefacts are no GPU code."""

    def say(verdict: str) -> None:
        audited = CellAudit(a_report("artefacts", verdict))
        monkeypatch.setattr("smforge.workflow.building.build.audit_cell", lambda *_: audited)

    return say


@pytest.fixture
def builder(settings: BuildSettings, audit_says: AuditSays) -> Builder:
    """A builder whose audit passes all that is exported."""
    audit_says("pass")
    return Builder(settings)


@pytest.fixture
def changed(builder: Builder) -> Callable[..., Builder]:
    """The builder with other settings."""

    def change(**settings: Any) -> Builder:
        return Builder(dataclasses.replace(builder.settings, **settings))

    return change


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
