"""The Debian file systems that a base from packages and an image start from, made once and kept.

mmdebstrap makes it from the Debian mirror that this host's own apt uses, so no container registry
is needed and a site's mirror is honoured. With one SOURCE_DATE_EPOCH and one state of the mirror
the archive has the same bytes again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from smforge.bake.host.crossing import Crossing, host_platform
from smforge.bake.host.other_platforms import EMULATOR_PACKAGES
from smforge.errors import BuildFailedError, ToolError
from smforge.files import cache_folder
from smforge.plan.records import Cell

ARCHIVE = "rootfs.tar"
_DATA = Path(__file__).parent / "data" / "rootfs.json"
_APT = Path("/etc/apt")
_SYSTEM_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_STOP_SECONDS = 30

Purpose = Literal["devel", "runtime", "tool"]


@dataclass(frozen=True, slots=True)
class Rootfs:
    """What a root file system is made of: equal values give interchangeable archives."""

    suite: str
    """A Debian suite, for example ``trixie``."""
    architecture: str
    """Debian's name of the CPU: ``amd64``, ``arm64``."""
    epoch: int
    """SOURCE_DATE_EPOCH: no file in the archive is younger. Seconds."""
    purpose: Purpose = "devel"
    """What is in it: a compiler and tools, what a program needs to run, or Python alone."""

    @property
    def directory_name(self) -> str:
        """Different for everything that changes the archive."""
        facts = [self.suite, self.architecture, self.epoch, _data(self.purpose)]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return f"{self.suite}-{self.architecture}-{digest[:12]}"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where the host's apt takes Debian from."""

    uri: str
    signed_by: str | None = None

    def entry(self, suite: str) -> str:
        """A line of sources.list(5) for `suite`."""
        options = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {options}{self.uri} {suite} main"


def root_file_systems(cell: Cell, crossing: Crossing | None = None) -> dict[str, Rootfs]:
    """What a cell's base and image start from, by the variable that names the directory.

    Empty where the base is an image of a registry.
    """
    if cell.base.kind != "packages" or cell.base.suite is None:
        return {}
    # Debian and Docker name these CPUs alike.
    running = cell.platform.rpartition("/")[2]
    compiling = crossing.build_platform.rpartition("/")[2] if crossing else running
    devel = Rootfs(cell.base.suite, compiling, int(cell.variables["SOURCE_DATE_EPOCH"]))
    found = {"ROOTFS_DIR": devel}
    if cell.image is not None:
        found["RUNTIME_ROOTFS_DIR"] = replace(devel, architecture=running, purpose="runtime")
    return found


def default_store() -> Path:
    """Where archives are kept."""
    return cache_folder("rootfs")


def ensure_rootfs(
    wanted: Rootfs,
    store: Path,
    *,
    announce: Callable[[str], None] = lambda _: None,
    apt: Path = _APT,
) -> Path:
    """Return the directory whose ``rootfs.tar`` is `wanted`, making it when it is not there yet.

    `announce` is called before a minute's work. Raises `ToolError` without mmdebstrap and
    `BuildFailedError` when it fails; an archive is there whole or not at all.
    """
    directory = store / wanted.directory_name
    archive = directory / ARCHIVE
    if archive.is_file():
        return directory
    tool = shutil.which("mmdebstrap")
    if tool is None:
        raise ToolError(
            "mmdebstrap, which makes the Debian base, is not installed, or not on PATH.",
            remedy="Install the Debian package mmdebstrap, or run 'tools/engine install'.",
        )
    from filelock import FileLock  # noqa: PLC0415  # defers filelock

    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory / ".lock"):
        if not archive.is_file():
            announce(f"making a {wanted.suite} root file system ({wanted.purpose}), about a minute")
            _make(tool, wanted, archive, host_mirror(apt))
    return directory


def host_mirror(apt: Path = _APT) -> Mirror | None:
    """The first Debian archive in the host's apt sources, or None when it has none."""
    for uri, signed_by in _host_entries(apt):
        last = uri.rstrip("/").rsplit("/", 1)[-1]
        if last == "debian":
            return Mirror(uri.rstrip("/"), signed_by)
    return None


def command(tool: str, wanted: Rootfs, archive: Path, mirror: Mirror | None) -> Sequence[str]:
    """The command line that makes `archive`. Without a mirror mmdebstrap takes its own default."""
    data = _data(wanted.purpose)
    return (
        tool,
        "--variant=minbase",
        f"--architectures={wanted.architecture}",
        f"--include={','.join(data['packages'])}",
        *_keys(tool),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in data["exclude"]),
        *(f"--dpkgopt=path-include={pattern}" for pattern in data["include"]),
        wanted.suite,
        str(archive),
        *((mirror.entry(wanted.suite),) if mirror else ()),
    )


def _keys(tool: str) -> tuple[str, ...]:
    """Debian's keys beside the tool, for a host that is not Debian and has no others."""
    keys = Path(tool).absolute().parents[1] / "share" / "keyrings" / "debian-archive-keyring.gpg"
    return (f"--keyring={keys}",) if keys.is_file() and not _SYSTEM_KEYS.is_file() else ()


def _make(tool: str, wanted: Rootfs, archive: Path, mirror: Mirror | None) -> None:
    log = archive.with_name("mmdebstrap.log")
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".making-") as work:
        partial = Path(work) / ARCHIVE
        Path(work).chmod(0o755)  # apt's sandbox user reads below it
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(wanted.epoch), "TMPDIR": work}
        with log.open("wb") as stream:
            code = _run(command(tool, wanted, partial, mirror), environment, stream)
        if code != 0:
            last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
            raise BuildFailedError(
                f"mmdebstrap could not make the {wanted.suite} root file system: {' '.join(last)}",
                remedy=f"{_of_another_cpu(wanted)}Check this host's apt mirror and free space; the "
                f"whole log is {log}.",
            )
        partial.replace(archive)


def _of_another_cpu(wanted: Rootfs) -> str:
    """What mmdebstrap needs in addition for a CPU that this host does not have."""
    if host_platform() == f"linux/{wanted.architecture}":
        return ""
    return f"For {wanted.architecture} it needs Debian's packages {EMULATOR_PACKAGES}. "


def _run(argv: Sequence[str], environment: dict[str, str], log: Any) -> int:
    """Run to the end; when interrupted, let mmdebstrap take down what it mounted."""
    process = subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _host_entries(apt: Path) -> Iterator[tuple[str, str | None]]:
    """The URI and Signed-By of every binary entry, in both formats of sources.list(5)."""
    for file in sorted((apt / "sources.list.d").glob("*.sources")):
        yield from _stanzas(file.read_text(encoding="utf-8"))
    for file in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))):
        if file.is_file():
            yield from _lines(file.read_text(encoding="utf-8"))


def _stanzas(text: str) -> Iterator[tuple[str, str | None]]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in "\n".join(lines).split("\n\n"):
        pairs = (line.split(":", 1) for line in stanza.splitlines() if ":" in line)
        fields = {name.strip().lower(): value.strip() for name, value in pairs}
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0")
        if enabled and "deb" in fields.get("types", "").split():
            signed_by = fields.get("signed-by") or None
            for uri in fields.get("uris", "").split():
                yield uri, signed_by


def _lines(text: str) -> Iterator[tuple[str, str | None]]:
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if not words or words[0] != "deb":
            continue
        signed_by = None
        rest = words[1:]
        if rest and rest[0].startswith("["):
            end = next((i for i, word in enumerate(rest) if word.endswith("]")), 0)
            options = " ".join(rest[: end + 1]).strip("[]").split()
            signed_by = dict(o.split("=", 1) for o in options if "=" in o).get("signed-by")
            rest = rest[end + 1 :]
        if rest:
            yield rest[0], signed_by


@cache
def _data(purpose: Purpose) -> dict[str, Any]:
    """What is the same for all purposes, and what is in a root file system for this one."""
    data = json.loads(_DATA.read_text(encoding="utf-8"))
    return {**data["purposes"][purpose], "exclude": data["exclude"], "include": data["include"]}
