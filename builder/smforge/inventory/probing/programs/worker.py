"""Runs one probe: prepares once, then examines each item in forks of the prepared process.

    python3 worker.py PROBE DESCRIPTOR REQUEST

A probe is a module in this folder with

- ``PACKAGES``: distributions whose versions are reported;
- ``TOGETHER``: whether one fork examines all items, one after the other, or each gets its own;
- ``prepare(devices)``: what there is to examine and settings worth reporting, or None where the
  subject is not installed;
- ``assume(devices)``, where the probe can: makes things look as if there were a driver;
- ``examine(item, notes)``: fills in `notes`, and raises whatever the item raises.

A fork that crashes or hangs takes nothing with it but the item it was at. What fails among others
is examined again alone, because an earlier item may have caused it.

Lines of JSON go to DESCRIPTOR: one ``head``, one ``item`` for each examination, or a ``failure``.
"""

from __future__ import annotations

import faulthandler
import importlib.metadata
import json
import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

_HERE = Path(__file__).resolve().parent
_PACKAGE = "smforge_probes"
_MESSAGE_CHARACTERS = 2000
_FRAMES = 60
_CHAIN = 8
_ROUND = 3
Line = dict[str, Any]


@dataclass(frozen=True)
class _Report:
    """Where lines go."""

    descriptor: int

    def line(self, line: Line) -> None:
        data = (json.dumps(line, default=_plain) + "\n").encode()
        while data:
            data = data[os.write(self.descriptor, data) :]


def main() -> None:
    """Examine everything that the probe named on the command line finds."""
    name, descriptor, request = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    os.set_inheritable(descriptor, False)
    faulthandler.enable()
    # This folder's names (flashinfer, models) must not stand before the packages of that name.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _HERE]
    probe = _load(name)
    report = _Report(descriptor)
    assuming = request.get("assuming", False)
    try:
        if assuming:
            probe.assume(request["devices"])
        found = probe.prepare(request["devices"])
        items, settings = found if found is not None else ([], {})
    except BaseException as error:
        report.line({"kind": "failure", "failure": describe(error)})
        return
    report.line(
        {
            "kind": "head",
            "there": found is not None,
            "packages": _versions(probe.PACKAGES),
            "settings": settings,
            "items": items,
        }
    )
    if assuming:
        for line in _passes(probe, request["only"], "assuming", request["item_seconds"]):
            report.line(line)
    else:
        survey(probe, items, request["item_seconds"], report)


def survey(probe: ModuleType, items: list[str], seconds: float, report: _Report) -> None:
    """Examine every item, and again alone what failed among others."""
    failed = []
    for line in _passes(probe, items, "together" if probe.TOGETHER else "alone", seconds):
        report.line(line)
        if line["how"] == "together" and _signature(line) is not None:
            failed.append(line)
    confirmed = set()
    for line in failed:
        if _signature(line) in confirmed:
            continue
        for again in _passes(probe, [line["item"]], "alone", seconds):
            report.line(again)
            if _signature(again) == _signature(line):
                confirmed.add(_signature(again))


def describe(error: BaseException) -> list[Line]:
    """An exception and what caused it, the last one first."""
    chain: list[Line] = []
    link: BaseException | None = error
    while link is not None and len(chain) < _CHAIN:
        name = getattr(link, "name", None)
        chain.append(
            {
                "type": type(link).__qualname__,
                "message": str(link)[:_MESSAGE_CHARACTERS],
                "name": name if isinstance(name, str) else None,
                "frames": _frames(traceback.extract_tb(link.__traceback__)),
            }
        )
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return chain


def _load(name: str) -> ModuleType:
    """Import a probe from this folder as a package of its own name."""
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(_HERE)]
    sys.modules[_PACKAGE] = package
    return importlib.import_module(f"{_PACKAGE}.{name}")


def _passes(probe: ModuleType, items: Sequence[str], how: str, seconds: float) -> Iterator[Line]:
    """Examine `items` in as many forks as it takes, one line for each of them."""
    waiting = list(items)
    while waiting:
        batch = waiting[:1] if how == "alone" else waiting
        answered = 0
        for line in _fork(probe, batch, seconds):
            yield {"kind": "item", "how": how, **_blank(batch[answered]), **line}
            answered += 1
        waiting = waiting[answered:]


def _blank(item: str) -> Line:
    return {"item": item, "seconds": None, "notes": {}, "failure": None, "ended": None}


def _fork(probe: ModuleType, batch: Sequence[str], seconds: float) -> Iterator[Line]:
    """Yield a line for each examined item; the last says how the fork ended, if before its time."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # From 3.12 on Python warns of forks in a process with threads; the time limit ends a hang.
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        os.close(reading)
        _examine(probe, batch, _Report(writing))
    os.close(writing)
    answered = 0
    late = False
    try:
        for data in _lines(reading, seconds):
            if data is None:
                late = True
                break
            answered += 1
            yield json.loads(data)
            if answered == len(batch):
                # Whatever the items have left running may keep the pipe open.
                break
    finally:
        os.close(reading)
        if late:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if answered < len(batch):
        yield {"ended": f"time limit of {seconds:g} s" if late else _ending(status)}


def _examine(probe: ModuleType, batch: Sequence[str], report: _Report) -> NoReturn:
    """Examine in this fork, and leave without the cleaning up of the process it came from."""
    os.close(int(sys.argv[2]))  # What the items leave running must not keep the report open.
    for item in batch:
        started = time.monotonic()
        notes: Line = {}
        failure = None
        try:
            probe.examine(item, notes)
        except BaseException as error:
            failure = describe(error)
        line = {**_blank(item), "seconds": round(time.monotonic() - started, _ROUND)}
        report.line({**line, "notes": notes, "failure": failure})
    os._exit(0)


def _lines(descriptor: int, seconds: float) -> Iterator[bytes | None]:
    """Yield lines as they come; None once the next one takes longer than `seconds`."""
    kept = b""
    deadline = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            yield None
            return
        data = os.read(descriptor, 1 << 16)
        if not data:
            return
        *whole, kept = (kept + data).split(b"\n")
        if whole:
            deadline = time.monotonic() + seconds
        yield from whole


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit status {os.WEXITSTATUS(status)}"


def _signature(line: Line) -> object:
    """What makes two failures one; None for an item that did not fail."""
    if line["ended"] is not None:
        return line["item"], line["ended"]
    if line["failure"] is None:
        return None
    last = line["failure"][0]
    place = last["frames"][-1] if last["frames"] else {}
    return last["type"], last["message"], place.get("file"), place.get("line")


def _frames(stack: Sequence[traceback.FrameSummary]) -> list[Line]:
    """Where an exception came from, outermost first, without this program and the import system."""
    mine = str(_HERE)
    kept = [
        frame
        for frame in stack
        if not frame.filename.startswith(("<frozen", mine)) and "/importlib/" not in frame.filename
    ]
    return [_plain(frame) for frame in kept[-_FRAMES:]]


def _plain(value: object) -> Any:
    if isinstance(value, traceback.StackSummary):
        return _frames(value)
    if isinstance(value, traceback.FrameSummary):
        return {
            "file": _below_path(value.filename),
            "line": value.lineno or 0,
            "function": value.name,
        }
    return str(value)


def _below_path(filename: str) -> str:
    """A file's name below the import path: ``vllm/model_executor/models/llama.py``."""
    entries = sorted((entry for entry in sys.path if entry), key=len, reverse=True)
    for entry in entries:
        if filename.startswith(f"{entry.rstrip('/')}/"):
            return filename[len(entry.rstrip("/")) + 1 :]
    return filename


def _versions(packages: Sequence[str]) -> dict[str, str | None]:
    versions: dict[str, str | None] = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


if __name__ == "__main__":
    main()
