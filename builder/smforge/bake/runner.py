"""Runs one bake call: starts the process, reads what it prints, and stops it on a signal."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import IO, Protocol

from smforge.bake.command import BakeCall
from smforge.bake.progress.events import parse_line
from smforge.bake.progress.state import BuildState, Change
from smforge.docker import no_client

STOP_SECONDS = 15.0
"""How long buildx may take to cancel a build before it is killed. Killing loses nothing: the
engine cancels a build whose client has gone."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Observer(Protocol):
    """Gets every change while a build runs."""

    def changed(self, state: BuildState, changes: tuple[Change, ...]) -> None:
        """`changes` have just been folded into `state`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a bake call ended."""

    exit_code: int
    state: BuildState
    seconds: float
    interrupted: signal.Signals | None
    """The signal that stopped it, if one did."""


def run_bake(
    call: BakeCall,
    begin: Callable[[], BuildState],
    observer: Observer,
    lock: int | None = None,
) -> Outcome:
    """Carry out `call` and return how it ended; a build that fails is an outcome, not an exception.

    `begin` gives the state of a build that has just begun, and is called when buildx runs. While
    it runs, SIGINT, SIGTERM and SIGHUP stop the build and not this process; a second one kills
    buildx at once. buildx inherits the descriptor `lock`, and so holds that lock until it has
    ended. Raises `ToolError` when there is no docker client to run, and whatever `begin` and
    `observer` raise, after the build has been stopped.
    """
    began = time.monotonic()
    with _process(call, lock) as process, _Stopper(process) as stopper:
        state = begin()
        for line in _output(process):
            changes = tuple(change for event in parse_line(line) for change in state.apply(event))
            observer.changed(state, changes)
        exit_code = process.wait()
    return Outcome(exit_code, state, time.monotonic() - began, stopper.received)


@contextlib.contextmanager
def _process(call: BakeCall, lock: int | None) -> Iterator[subprocess.Popen[bytes]]:
    """The bake process, stopped on the way out whatever happens."""
    try:
        process = subprocess.Popen(
            (*_dying_with_us(), *call.argv),
            cwd=call.root,
            env=call.environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Out of the terminal's foreground group: Ctrl-C reaches buildx through us, once.
            process_group=0,
            pass_fds=() if lock is None else (lock,),
        )
    except FileNotFoundError as error:
        raise no_client() from error
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                _signal(process, signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_SECONDS)
                _signal(process, signal.SIGKILL)


def _dying_with_us() -> tuple[str, ...]:
    """The words before a command that make the kernel stop it when this process is killed.

    Without them (they are Linux's) a build whose smforge is killed goes on to its end, unseen.
    """
    tool = shutil.which("setpriv")
    return (tool, "--pdeathsig", "INT", "--") if tool else ()


def _output(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    stream: IO[bytes] | None = process.stdout
    return iter(stream.readline, b"") if stream is not None else iter(())


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the whole group: docker runs buildx as a process of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


class _Stopper:
    """Turns the signals that ask this process to end into the end of the build."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.received: signal.Signals | None = None
        self._process = process
        self._killer = threading.Timer(STOP_SECONDS, _signal, (process, signal.SIGKILL))
        self._killer.daemon = True
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> _Stopper:
        # Only the main thread may set handlers; a caller in another keeps its own way to stop.
        if threading.current_thread() is threading.main_thread():
            # What is ignored stays ignored: nohup means it.
            heeded = [n for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._stop) for number in heeded}
        return self

    def __exit__(self, *_: object) -> None:
        self._killer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave us

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            _signal(self._process, signal.SIGKILL)
            return
        self.received = signal.Signals(number)
        _signal(self._process, signal.SIGINT)
        self._killer.start()
