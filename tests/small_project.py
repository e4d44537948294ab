"""A small project that a real engine builds in seconds, for tests of bake and workflow."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.bake.host.settings import HostSettings
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve
from smforge.workflow.building.messages import Messages
from smforge.workflow.building.settings import BuildSettings

REPOSITORY = Path(__file__).parents[1]

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
def settings(project: Path) -> BuildSettings:
    """The settings of a quiet build of the project."""
    host = HostSettings(ca_bundle=None, network="default")
    matrix, out = project / "versions.json", project / "out"
    return BuildSettings(matrix, out, host, Messages(quiet=True))
