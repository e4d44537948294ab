"""Makes machine code from embedded PTX: in parallel, each text once, with results in a cache."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smforge.arch.target import Target
from smforge.errors import DamagedInputError, ToolError
from smforge.files import this_or_temporary
from smforge.rewrite.toolchain import Assembler, option_forms

_MEMORY_PER_JOB: Final = 1 << 30
"""Bytes of memory that one run is assumed to need: the largest of vLLM's texts took 0.62 GB."""
_SECONDS: Final = 3600
"""Seconds after which a run is ended: the slowest of vLLM's texts took 65 s."""


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """One text that is to be assembled for one target."""

    digest: str
    """SHA-256 of the text."""
    target: Target
    options: str
    """The assembler's options that the compiler recorded."""
    toolkit: str
    """The toolkit whose assembler makes it: ``13.0``."""


@dataclass(frozen=True, slots=True)
class Made:
    """Machine code that was made, or taken from the cache."""

    path: Path
    assembler: str
    """The release of the assembler: ``13.0.88``."""
    cached: bool


Texts = Mapping[Unit, Callable[[], bytes]]
"""How to get each unit's text."""


class UnitAssembler:
    """Assembles units with the assemblers it is given."""

    def __init__(
        self,
        assemblers: Mapping[str, Assembler],
        cache_folder: Path,
        jobs: int | None = None,
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Keep results below `cache_folder`, in a folder for each target.

        `jobs` defaults to what cores and memory allow. Where that folder cannot be
        written, `note` gets a sentence, and results end with this run.
        """
        self._assemblers = assemblers
        self._cache = cache_folder / "cubins"
        self._made = self._cache
        self._note = note
        self._jobs = jobs or default_jobs()
        self._stopped = threading.Event()

    def assemble(
        self, texts: Texts, progress: Callable[[int, int], None] = lambda _done, _all: None
    ) -> dict[Unit, Made]:
        """Assemble every unit; `progress` is called with the number of finished units and of all.

        Raises `ToolError` where the assembler fails on a text: with its last message.
        """
        made: dict[Unit, Made] = {}
        self._made = this_or_temporary(self._cache, self._note)
        progress(0, len(texts))
        with ThreadPoolExecutor(self._jobs) as pool:
            running: set[Future[tuple[Unit, Made]]] = {
                pool.submit(self._one, unit, text)
                for unit, text in sorted(texts.items(), key=_first)
            }
            try:
                while running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        unit, result = future.result()
                        made[unit] = result
                        progress(len(made), len(texts))
            except BaseException:
                self._stopped.set()
                for future in running:
                    future.cancel()
                raise
        return made

    def _one(self, unit: Unit, text: Callable[[], bytes]) -> tuple[Unit, Made]:
        assembler = self._assemblers[unit.toolkit]
        name = Path(unit.target.sm, f"{_key(unit, assembler)}.cubin")
        place = self._cache / name
        if place.exists():
            return unit, Made(place, assembler.version, cached=True)
        if self._stopped.is_set():
            raise ToolError("Assembling was stopped.")
        place = self._made / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".making-") as work:
            source, result = Path(work) / "unit.ptx", Path(work) / "unit.cubin"
            source.write_bytes(text().rstrip(b"\0"))
            command = (
                str(assembler.path), f"-arch={unit.target.sm}", *_allowed(unit.options),
                str(source), "-o", str(result),
            )  # fmt: skip
            self._run(command, unit)
            result.replace(place)
        return unit, Made(place, assembler.version, cached=False)

    def _run(self, command: tuple[str, ...], unit: Unit) -> None:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            waited = 0.0
            while True:
                try:
                    _, errors = process.communicate(timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    waited += 0.5
                    if self._stopped.is_set() or waited > _SECONDS:
                        raise ToolError(
                            f"Assembling PTX {unit.digest[:12]} for {unit.target.sm} was stopped."
                        ) from None
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            last = errors.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
            raise ToolError(
                f"ptxas cannot make {unit.target.sm} from PTX {unit.digest[:12]}: {last[0]}",
                remedy="Name another toolkit with --toolkit.",
            )


def default_jobs() -> int:
    """How many assemblers run at once: one per core, as far as the memory that is free allows."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(len(os.sched_getaffinity(0)), free // _MEMORY_PER_JOB))


def digest_of(pieces: Iterable[bytes]) -> str:
    """Return the SHA-256 of a text that comes in pieces."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _first(item: tuple[Unit, Callable[[], bytes]]) -> Unit:
    return item[0]


def _key(unit: Unit, assembler: Assembler) -> str:
    """What the result depends on, as one digest."""
    parts = (unit.digest, unit.target.sm, assembler.version, unit.options)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _allowed(options: str) -> list[str]:
    """Split recorded options; they come from the subject, so that only known forms pass."""
    try:
        words = shlex.split(options)
    except ValueError as error:
        raise DamagedInputError(
            f"The options of a PTX entry cannot be read: {options!r}."
        ) from error
    joined: list[str] = []
    for word in words:
        if word[:1] != "-" and joined:
            joined[-1] += f" {word}"
        else:
            joined.append(word)
    for one in joined:
        if not any(form.fullmatch(one) for form in option_forms()):
            raise DamagedInputError(
                f"A PTX entry records the assembler's option {one!r}, which is not handed on.",
                remedy="Report it, if you trust the file and the option is a plain one.",
            )
    return [part for one in joined for part in one.split(" ")]
