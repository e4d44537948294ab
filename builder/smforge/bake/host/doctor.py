"""What a project and this host have and lack for a build: one small check per thing, each with its
remedy.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from smforge.bake.host import engine as engines
from smforge.bake.host import node_checks
from smforge.bake.host.crossing import builder_platform, crossing_for
from smforge.bake.host.engine import Engine
from smforge.bake.host.findings import Finding, State, space, versioned
from smforge.bake.host.other_platforms import EMULATOR_PACKAGES, other_platforms
from smforge.bake.host.settings import HostSettings
from smforge.bake.inputs.rootfs import ARCHIVE, default_store
from smforge.errors import SmforgeError
from smforge.extras import INSTALL, missing_modules
from smforge.matrix.load import Matrix, load
from smforge.matrix.models import PackagesBase
from smforge.matrix.place import require_bake_file, shipped_project
from smforge.plan.resolve import resolve

_SCRIPT = Path("tools", "engine")


class Host:
    """What the checks look at; each thing is asked for once."""

    def __init__(
        self,
        out: Path,
        cuobjdump: Callable[[], str],
        config: Path | None = None,
        builder: str | None = None,
    ) -> None:
        self.out = out
        self.config = config
        """The matrix file; None for versions.json of the current folder."""
        self.builder = builder
        """The builder of buildx; None for the one that buildx uses."""
        self.cuobjdump = cuobjdump
        """Gives the version of the cuobjdump that audits use, or raises `SmforgeError`."""

    @cached_property
    def matrix(self) -> Matrix | None:
        """The matrix of the project, if there is one that can be read."""
        try:
            matrix = load(self.config)
            require_bake_file(matrix.path)
            resolve(matrix)
        except SmforgeError as error:
            self.project_problem = error
            return None
        return matrix

    @cached_property
    def needs_debian(self) -> bool:
        """Whether a variant starts from a root file system that mmdebstrap makes."""
        if self.matrix is None:
            return True
        document = self.matrix.document
        bases = (
            document.toolkits[one.toolkit].bases[one.base] for one in document.variants.values()
        )
        return any(isinstance(base, PackagesBase) for base in bases)

    project_problem: SmforgeError | None = None

    @cached_property
    def engine(self) -> Engine | None:
        """The engine, if one answers."""
        try:
            return engines.inspect(self.builder)
        except SmforgeError as error:
            self.engine_problem = str(error.message)
            return None

    engine_problem = ""


def examine(host: Host) -> tuple[Finding, ...]:
    """Carry out every check."""
    return tuple(check(host) for check in CHECKS)


def can_build(findings: Iterable[Finding]) -> bool:
    """Whether nothing is lacking that a build needs."""
    return all(finding.state is not State.LACKING for finding in findings)


def _project(host: Host) -> Finding:
    if host.matrix is None:
        error = host.project_problem
        lines = error.lines if error else ()
        more = f" ({len(lines) - 1} more; 'smforge plan' lists them)" if len(lines) > 1 else ""
        remedy = error.remedy if error else None
        message = error.message if error and len(lines) == 1 else "".join(lines[:1])
        return Finding("project", State.LACKING, message + more, remedy)
    document = host.matrix.document
    count = len(document.variants)
    text = f"{host.matrix.path.resolve()} has {count} variant{'' if count == 1 else 's'}"
    return Finding("project", State.OK, f"{text}; 'smforge build' alone builds {document.default}")


def _build_extra(_: Host) -> Finding:
    if missing := missing_modules():
        text = f"not installed: {', '.join(missing)}"
        return Finding("build-extra", State.LACKING, text, f"Install them: {INSTALL}.")
    return Finding("build-extra", State.OK, "smforge[build] is installed")


def _engine_script() -> Path:
    """The script that provides an engine: that of this folder, else the one that is shipped."""
    return _SCRIPT if _SCRIPT.is_file() else shipped_project() / _SCRIPT


def _engine_remedy() -> str:
    return f"Run '{_engine_script()} start', or set DOCKER_HOST to an engine you may use."


def _python(_: Host) -> Finding:
    found = platform.python_version()
    return versioned("python", found, "Install Python {0} or newer.")


def _docker_client(_: Host) -> Finding:
    path = shutil.which("docker")
    if path is None:
        return Finding("docker-client", State.LACKING, "not on PATH", _engine_remedy())
    return Finding("docker-client", State.OK, _last_word("docker", "--version") or path)


def _buildx(_: Host) -> Finding:
    found = engines.buildx_version()
    if found is None:
        return Finding("buildx", State.LACKING, "docker has no buildx", _engine_remedy())
    return versioned("buildx", found, "Install docker-buildx {0} or newer.")


def _engine(host: Host) -> Finding:
    if host.engine is None:
        return Finding("engine", State.LACKING, host.engine_problem, _engine_remedy())
    if host.engine.version is None:
        return Finding("engine", State.OK, f"not needed: {host.engine.driver} builds elsewhere")
    text = f"{host.engine.version} on {engines.address()}"
    return versioned("engine", host.engine.version, "Install Docker Engine {0} or newer.", text)


def _builder(host: Host) -> Finding:
    if host.engine is None:
        return Finding("builder", State.OPTIONAL, "no engine to ask")
    platforms = sorted({"/".join(name.split("/")[:2]) for name in host.engine.platforms})
    builder = f"{host.engine.builder} ({host.engine.driver})"
    text = f"{builder} builds {', '.join(platforms) or 'nothing before it is started'}"
    if wanted := sorted(_platforms_lacking(host, host.engine)):
        return Finding(
            "builder",
            State.LACKING,
            f"{text}; the default variant needs {', '.join(wanted)}",
            "Choose a builder that can ('docker buildx use NAME'), or register an emulator "
            f"(Debian's packages {EMULATOR_PACKAGES}).",
        )
    return Finding("builder", State.OK, text)


def _platforms_lacking(host: Host, engine: Engine) -> Iterator[str]:
    """What the default variant has to be built on, and the builder does not offer."""
    if host.matrix is None or not engine.platforms:
        return
    for cell in resolve(host.matrix, (host.matrix.document.default,)).cells:
        needed = builder_platform(cell, crossing_for(cell, engine.native))
        if needed not in engine.platforms:
            yield needed


def _other_platforms(host: Host) -> Finding:
    name = "other-platforms"
    if host.engine is None or host.matrix is None:
        return Finding(name, State.OPTIONAL, "not known")
    cells = resolve(host.matrix).cells
    found = tuple(other_platforms(cells, host.engine.native, host.engine.platforms))
    if not found:
        return Finding(name, State.OK, "none: every variant is for a platform that a node is")
    text = "; ".join(one.text for one in found)
    remedies = [one.remedy for one in found if not one.complete]
    if remedies:
        return Finding(name, State.OPTIONAL, text, " ".join(remedies))
    return Finding(name, State.OK, text)


def _output_disk(host: Host) -> Finding:
    place = next(p for p in (host.out.absolute(), *host.out.absolute().parents) if p.exists())
    return space("output-disk", "out_free_gib", shutil.disk_usage(place).free, place)


def _temporary_disk(_: Host) -> Finding:
    place = Path(tempfile.gettempdir())
    return space("temporary-disk", "temporary_free_gib", shutil.disk_usage(place).free, place)


def _cuobjdump(host: Host) -> Finding:
    try:
        return Finding("cuobjdump", State.OK, host.cuobjdump())
    except SmforgeError as error:
        return Finding("cuobjdump", State.LACKING, error.message, error.remedy)


def _rootfs(host: Host) -> Finding:
    if not host.needs_debian:
        return Finding("mmdebstrap", State.OK, "not needed: no variant has a base from packages")
    kept = sorted(path.parent.name for path in default_store().glob(f"*/{ARCHIVE}"))
    if tool := shutil.which("mmdebstrap"):
        return Finding("mmdebstrap", State.OK, tool)
    if kept:
        return Finding("mmdebstrap", State.OK, f"absent, but {', '.join(kept)} is there already")
    return Finding(
        "mmdebstrap",
        State.LACKING,
        "not on PATH",
        "A base from packages needs it: install the Debian package mmdebstrap, or run "
        f"'{_engine_script()} install'.",
    )


def _git(_: Host) -> Finding:
    if shutil.which("git"):
        return Finding("git", State.OK, _last_word("git", "--version") or "present")
    return Finding("git", State.OPTIONAL, "not on PATH", "Records then name no commit.")


def _nvcc(_: Host) -> Finding:
    if tool := shutil.which("nvcc"):
        return Finding("nvcc", State.OK, tool)
    return Finding(
        "nvcc", State.OPTIONAL, "not on PATH", "Builds bring their own; only tests use it."
    )


def _certificates(_: Host) -> Finding:
    try:
        settings = HostSettings.from_environment(os.environ)
    except SmforgeError as error:
        return Finding("certificates", State.LACKING, error.message, error.remedy)
    if settings.ca_bundle is None:
        return Finding("certificates", State.OK, "those of each image")
    return Finding("certificates", State.OK, f"{settings.ca_bundle} is lent to network steps")


CHECKS: tuple[Callable[[Host], Finding], ...] = (
    _project,
    _build_extra,
    _python,
    _docker_client,
    _buildx,
    _engine,
    _builder,
    _other_platforms,
    lambda host: node_checks.nodes(host.engine),
    lambda host: node_checks.image_store(host.engine),
    lambda host: node_checks.engine_disk(host.engine),
    lambda host: node_checks.build_cache(host.engine),
    lambda host: node_checks.collection(host.engine),
    _output_disk,
    _temporary_disk,
    lambda host: node_checks.memory(host.engine),
    _rootfs,
    _cuobjdump,
    _certificates,
    _git,
    _nvcc,
)


def _last_word(*command: str) -> str | None:
    """What a tool says of its version: ``Docker version 28.5.2, build …`` gives ``28.5.2``."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    words = done.stdout.replace(",", " ").split()
    return words[2] if done.returncode == 0 and len(words) > 2 else None
