"""A small project that real engines build in seconds, and engines that tests may kill."""

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

from smforge.bake.host.settings import HostSettings
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve
from smforge.report.build import report_of
from smforge.report.model import Report
from smforge.verdict.audit import audit
from smforge.verdict.request import AuditRequest
from smforge.workflow.build import Builder
from smforge.workflow.messages import Messages
from smforge.workflow.results import CellAudit
from smforge.workflow.settings import BuildSettings

REPOSITORY = Path(__file__).parents[2]

DOCKERFILE = """\
FROM scratch AS root
COPY busybox /bin/busybox
SHELL ["/bin/busybox", "sh", "-c"]

FROM root AS work
ARG TEXT
ARG SECONDS
RUN busybox echo compiling $TEXT; busybox sleep $SECONDS; \\
    busybox mkdir /made; busybox echo $TEXT > /made/wheel.txt

FROM scratch AS made
COPY --from=work /made /

FROM scratch AS large
COPY --from=root /bin/busybox /1
COPY --from=root /bin/busybox /2
COPY --from=root /bin/busybox /3

FROM root AS broken
RUN busybox echo 'x.cu(3): error: identifier is undefined'; exit 7

FROM root AS filling
RUN busybox dd if=/dev/zero of=/made bs=1M count=4096

FROM root AS offline
RUN --network=none busybox wget -O /made http://packages.invalid/x.whl
"""

BAKE_FILE = """\
variable "TEXT" { default = "" }
variable "SECONDS" { default = "0" }
variable "OUT_DIR" { default = "out" }

target "_common" {
  context = "docker"
  args    = { TEXT = TEXT, SECONDS = SECONDS }
}
target "made" {
  inherits   = ["_common"]
  target     = "made"
  output     = ["type=local,dest=${OUT_DIR}"]
}
target "large" {
  inherits = ["_common"]
  target   = "large"
  output   = ["type=local,dest=${OUT_DIR}"]
}
target "root" {
  inherits = ["_common"]
  target   = "root"
  output   = ["type=cacheonly"]
}
target "image" {
  inherits = ["_common"]
  target   = "made"
  attest   = ["type=provenance,mode=max"]
  output   = ["type=oci,tar=false,dest=${OUT_DIR}/image"]
}
target "broken" {
  inherits = ["root"]
  target   = "broken"
}
target "filling" {
  inherits = ["root"]
  target   = "filling"
}
target "offline" {
  inherits = ["root"]
  target   = "offline"
}
"""


@pytest.fixture
def project(tmp_path: Path, busybox: Path) -> Path:
    """A directory with a matrix, a bake file and a docker/ folder."""
    root = tmp_path / "project"
    (root / "docker").mkdir(parents=True)
    shutil.copy(REPOSITORY / "versions.json", root)
    (root / "docker-bake.hcl").write_text(BAKE_FILE)
    (root / "docker" / "Dockerfile").write_text(DOCKERFILE)
    shutil.copy(busybox, root / "docker" / "busybox")
    return root


@pytest.fixture
def cell(project: Path) -> Callable[..., Cell]:
    """A real cell of the matrix that builds other targets."""
    matrix = load(project / "versions.json")
    original = resolve(matrix, (matrix.document.default,)).cells[0]

    def make(*targets: str, **variables: str) -> Cell:
        base = dataclasses.replace(original.base, kind="registry", suite=None)
        return dataclasses.replace(original, targets=targets, variables=variables, base=base)

    return make


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
        monkeypatch.setattr("smforge.workflow.build.audit_cell", lambda *_: audited)

    return say


@pytest.fixture
def settings(project: Path) -> BuildSettings:
    """The settings of a quiet build of the project."""
    host = HostSettings(ca_bundle=None, network="default")
    matrix, out = project / "versions.json", project / "out"
    return BuildSettings(matrix, out, host, Messages(quiet=True))


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
