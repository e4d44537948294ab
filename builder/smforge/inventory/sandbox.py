"""Runs a foreign program on foreign bytes: no shell, no input, bounded time, memory and output."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from smforge.errors import ToolError

_CHUNK = 1 << 20
_STDERR_KEPT = 1 << 16
_STDERR_WRITTEN = 64 << 20
"""Bytes a program may write to any file, which is its standard error alone."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of one run."""

    seconds: float = 900.0
    memory: int = 16 << 30
    """Address space in bytes. cuobjdump takes about twelve times the size of a library."""


@dataclass(slots=True)
class Run:
    """How a run ended; complete once its output has been read to the end."""

    status: int | None = None
    """The exit status; negative for the signal that ended it."""
    stderr: str = ""
    timed_out: bool = False

    def explain(self) -> str:
        """Say in the program's own last words why it failed."""
        if self.timed_out:
            return "it did not finish in the time allowed"
        words = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        said = f": {words[-1]}" if words else ""
        if self.status is not None and self.status < 0:
            return f"it was ended by {signal.Signals(-self.status).name}{said}"
        return f"it exits with {self.status}{said}"


def stream(
    command: Sequence[str], run: Run, bounds: Bounds, descriptors: Sequence[int] = ()
) -> Iterator[bytes]:
    """Run `command` and yield its standard output in chunks of whole lines; fill in `run`.

    `descriptors` stay open in the program, which reaches them as ``/proc/self/fd/N``. Raises
    `ToolError` where the program cannot be started.
    """
    with _started(command, run, bounds, descriptors) as process:
        yield from _whole_lines(process)


def capture(
    command: Sequence[str], bounds: Bounds, descriptors: Sequence[int] = (), limit: int = 1 << 22
) -> tuple[Run, bytes]:
    """Run `command` and return how it ended with its output.

    A program that writes more than `limit` bytes is ended, and the first `limit` are returned.
    """
    run = Run()
    output = bytearray()
    with _started(command, run, bounds, descriptors) as process:
        while len(output) <= limit and (chunk := _read(process)):
            output += chunk
        if len(output) > limit:
            _kill(process)
    return run, bytes(output[:limit])


@contextmanager
def _started(
    command: Sequence[str], run: Run, bounds: Bounds, descriptors: Sequence[int]
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield the running program; wait for it, or end it if the caller stops early. Fill in
    `run`.
    """
    with tempfile.TemporaryFile() as errors:
        process = _start(command, errors.fileno(), descriptors)
        try:
            _limit(process.pid, bounds)
            timer = threading.Timer(bounds.seconds, _expire, (process, run))
            timer.daemon = True
            timer.start()
            try:
                yield process
                run.status = process.wait()
            finally:
                timer.cancel()
        finally:
            _kill(process)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        errors.seek(0)
        run.stderr = errors.read(_STDERR_KEPT).decode("utf-8", "replace")


def _start(
    command: Sequence[str], stderr: int, descriptors: Sequence[int]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=tuple(descriptors),
            cwd="/",
            env={"LC_ALL": "C", "PATH": os.defpath},
            start_new_session=True,
        )
    except OSError as error:
        raise ToolError(
            f"{command[0]} cannot be run: {error.strerror or error}.",
            remedy="Install it for this machine's processor, or use the native backend.",
        ) from error


def _limit(pid: int, bounds: Bounds) -> None:
    seconds = max(1, int(bounds.seconds))
    wanted = {
        resource.RLIMIT_AS: bounds.memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: _STDERR_WRITTEN,
    }
    for limit, value in wanted.items():
        try:
            _, hard = resource.prlimit(pid, limit)
            allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.prlimit(pid, limit, (allowed, allowed))
        except ProcessLookupError:
            # It has ended already, well or badly: its exit status says which.
            return


def _whole_lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    kept = b""
    while chunk := _read(process):
        end = chunk.rfind(b"\n") + 1
        if not end:
            kept += chunk
            continue
        yield kept + chunk[:end]
        kept = chunk[end:]
    if kept:
        yield kept


def _read(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    chunk: bytes = process.stdout.read1(_CHUNK)  # type: ignore[attr-defined]  # a BufferedReader
    return chunk


def _expire(process: subprocess.Popen[bytes], run: Run) -> None:
    run.timed_out = True
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the program and whatever it has started; it leads a group of its own."""
    # After the wait, its number may belong to another process.
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
