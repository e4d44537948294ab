"""Keeps results under the digest of everything that they depend on.

Entries are only ever added whole, by renaming; a damaged or foreign one is computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache as memoise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smforge.files import cache_folder, temporary_folder
from smforge.preflight.cache_format import configuration_from_json, configuration_to_json
from smforge.preflight.records import Configuration
from smforge.preflight.sources.externals import commit_of
from smforge.writing import write_whole

if TYPE_CHECKING:
    from smforge.preflight.request import Request
    from smforge.preflight.sources.tree import Source


_COMPARING = frozenset({"__pycache__", "compare", "run.py", "cell.py", "rules.py", "selection.py"})


def default_directory() -> Path:
    """The user's cache directory for this stage."""
    return cache_folder("preflight")


@contextlib.contextmanager
def temporary_or_default(*, temporary: bool) -> Iterator[Cache]:
    """The user's cache, or a temporary one."""
    if not temporary:
        yield Cache(default_directory())
        return
    with tempfile.TemporaryDirectory(prefix="smforge-cache-") as name:
        yield Cache(Path(name))


@dataclass(frozen=True, slots=True)
class Cache:
    """A directory that may be emptied at any time."""

    directory: Path

    @property
    def generators(self) -> Path:
        """Where the outcomes of source generators are kept."""
        return self.directory / _code_digest()[:16] / "generators"

    def load(self, request: Request) -> Configuration | None:
        """An earlier result for a request, if there is one."""
        try:
            return configuration_from_json(json.loads(self._entry(request).read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def store(self, request: Request, configuration: Configuration) -> None:
        """Keep a result; a cache that cannot be written is no reason to fail."""
        _write(self._entry(request), configuration_to_json(configuration))

    def remembered(self, kind: str, parts: Iterable[str], make: Callable[[], Any]) -> Any:
        """JSON data that depends on nothing but `parts` and this stage's code, made once."""
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        entry = self.directory / _code_digest()[:16] / kind / f"{digest}.json"
        with contextlib.suppress(OSError, ValueError):
            return json.loads(entry.read_text(encoding="utf-8"))
        made = make()
        _write(entry, made)
        return made

    def unpacked(self, source: Source, unpack: Callable[[Path], None]) -> Path:
        """The directory with an archive's build inputs, unpacked now or earlier."""
        # Not below the digest of all code: trees are large, and few changes concern them.
        name = f"{_unpacking_digest()[:16]}-{_plain(source.identity.digest)}"
        place = self.directory / "sources" / name
        if place.exists():
            return place
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            new = Path(tempfile.mkdtemp(dir=place.parent, prefix=".new-"))
            try:
                unpack(new)
                with contextlib.suppress(OSError):  # another run was first
                    new.rename(place)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        except OSError:
            # The cache cannot take it.
            place = temporary_folder()
            unpack(place)
        return place

    def _entry(self, request: Request) -> Path:
        digest = hashlib.sha256()
        parts = [request.source.identity.digest, request.cuda, request.list, request.processor]
        checkouts = {name: Path(path) for name, path in request.variables.items()}
        checkouts |= request.externals
        for name, path in sorted(checkouts.items()):
            parts.append(f"{name}={_state(path)} at {commit_of(path)}")
        digest.update("\0".join(parts).encode())
        return self.directory / _code_digest()[:16] / "results" / f"{digest.hexdigest()}.json"


def _write(entry: Path, content: Any) -> None:
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        write_whole(entry, json.dumps(content))


@memoise
def _code_digest() -> str:
    """The digest of this stage's code, probe and data: another version has other results.

    What compares results does not make them.
    """
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for file in sorted(here.rglob("*")):
        if file.is_file() and not _COMPARING & set(file.relative_to(here).parts):
            digest.update(f"{file.relative_to(here)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


@memoise
def _unpacking_digest() -> str:
    """The digest of what decides which files of an archive are kept."""
    here = Path(__file__).parent
    files = (here / "sources" / "tree.py", here / "sources" / "data" / "sources.json")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _state(directory: Path) -> str:
    """Names, sizes and times of a checkout's files; reading gigabytes would cost too much."""
    digest = hashlib.sha256(str(directory.resolve()).encode())
    for file in sorted(directory.rglob("*")):
        if file.is_file() and ".git" not in file.parts:
            status = file.stat()
            digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _plain(digest: str) -> str:
    return digest.replace(":", "-")
