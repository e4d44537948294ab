"""Runs the probes: in a container of an image, or with a Python of this host.

A container gets no network, no capabilities, no GPU, a read-only file system with a temporary
folder, and limits on memory and processes. A Python of this host runs with the user's rights.

python-on-whales does not run the containers: it has no limit on time, nor on what a container
writes, all of which it keeps in memory.
"""

from __future__ import annotations

import contextlib
import selectors
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smforge.arch.target import ComputeCapability
from smforge.errors import ToolError
from smforge.inventory.probing.reading import MOST_BYTES, read_output
from smforge.inventory.probing.records import Probed

PROBES = Path(__file__).parent / "programs"
_INSIDE = "/opt/smforge-probes"
_PYTHON = "python3"
_REMOVE_SECONDS = 60.0
_STDERR_KEPT = 4000
_STATUS_NOT_FOUND = (126, 127)
"""What docker exits with where the entry point cannot be executed or is not there."""


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """What the probes of one environment may use."""

    seconds: float = 1200.0
    """For each probe; whatever one has found by then counts."""
    margin: float = 60.0
    """Seconds beyond those of the probes, for a container to start and end."""
    memory: str = "16g"
    """Of a container, as docker takes it."""
    processes: int = 4096
    scratch: str = "4g"
    """The size of a container's temporary folder, as docker takes it."""


_LIMITS = ProbeLimits()


def probe_image(
    reference: str,
    devices: Sequence[ComputeCapability],
    *,
    python: str | None = None,
    limits: ProbeLimits = _LIMITS,
) -> Probed:
    """Run the probes in a container of an engine's image, with its `python` (``python3``).

    `Probed.not_run` says what kept them from running. Raises `DamagedInputError` where what
    they write cannot be read, and `ToolError` where the engine cannot be asked at all.
    """
    name = f"smforge-probes-{uuid.uuid4().hex[:12]}"
    command = ["docker", "run", *_confinement(name, limits)]
    command += ["--entrypoint", python or _PYTHON, reference, f"{_INSIDE}/run.py"]
    try:
        return _run(command, devices, limits, f"The image {reference}")
    finally:
        # Ending docker's command line ends no container.
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                ["docker", "rm", "--force", name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_REMOVE_SECONDS,
                check=False,
            )


def probe_python(
    python: str, devices: Sequence[ComputeCapability], *, limits: ProbeLimits = _LIMITS
) -> Probed:
    """Run the probes with a Python of this host. Raises like `probe_image`."""
    return _run([python, str(PROBES / "run.py")], devices, limits, f"The Python {python}")


def _confinement(name: str, limits: ProbeLimits) -> list[str]:
    return [
        "--rm",
        f"--name={name}",
        "--pull=never",
        "--network=none",
        "--read-only",
        f"--tmpfs=/tmp:rw,exec,nosuid,nodev,size={limits.scratch}",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--memory={limits.memory}",
        f"--pids-limit={limits.processes}",
        f"--mount=type=bind,source={PROBES},target={_INSIDE},readonly",
        "--workdir=/",
    ]


def _run(
    command: Sequence[str],
    devices: Sequence[ComputeCapability],
    limits: ProbeLimits,
    where: str,
) -> Probed:
    arguments = ["--devices", " ".join(map(str, devices)), "--seconds", f"{limits.seconds:g}", "-"]
    # Four probes, one of which may run twice.
    seconds = 5 * limits.seconds + limits.margin
    try:
        status, output, said = _capture([*command, *arguments], seconds)
    except OSError as error:
        raise ToolError(
            f"{command[0]} cannot be run: {error.strerror or error}.",
            remedy="Install it, or leave --probe out.",
        ) from error
    if status == 0:
        return read_output(output, f"What the probes wrote in {where}")
    if status is None:
        return Probed(not_run=f"{where}: the probes did not end within {seconds:g} s.")
    last = said.strip().splitlines()[-1] if said.strip() else "no reason was given"
    if status in _STATUS_NOT_FOUND:
        return Probed(not_run=f"{where} has no Python that could run the probes: {last}")
    return Probed(not_run=f"{where}: the probes ended with exit status {status}: {last}")


def _capture(command: Sequence[str], seconds: float) -> tuple[int | None, bytes, str]:
    """Run to the end: the exit status (None: too slow), standard output, the last of the errors."""
    deadline = time.monotonic() + seconds
    output, said = bytearray(), bytearray()
    with subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            with selectors.DefaultSelector() as waiting:
                for stream, kept in ((process.stdout, output), (process.stderr, said)):
                    assert stream is not None
                    waiting.register(stream, selectors.EVENT_READ, kept)
                while waiting.get_map():
                    if not (ready := waiting.select(deadline - time.monotonic())):
                        return None, bytes(output), ""
                    for key, _ in ready:
                        if not (part := key.fileobj.read1(1 << 16)):  # type: ignore[union-attr]  # both are buffered readers
                            waiting.unregister(key.fileobj)
                        key.data.extend(part)
                    del said[:-_STDERR_KEPT]
                    if len(output) > MOST_BYTES:
                        break
            if len(output) > MOST_BYTES:
                process.kill()
            return (
                process.wait(max(0.1, deadline - time.monotonic())),
                bytes(output),
                said.decode("utf-8", "replace"),
            )
        except subprocess.TimeoutExpired:
            return None, bytes(output), ""
        finally:
            process.kill()
