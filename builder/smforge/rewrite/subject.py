"""Slims and repairs a whole subject: finds its libraries, changes and proves them, writes them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from smforge.arch.drivers import DriverVersion
from smforge.errors import DamagedInputError, NothingToAuditError, UsageError
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import FileBlob
from smforge.inventory.formats.limits import Limits
from smforge.inventory.native.reader import read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory
from smforge.inventory.rewrite_manifest import MANIFEST
from smforge.progress import SILENT, Progress
from smforge.rewrite.assembling import Made, Unit, UnitAssembler
from smforge.rewrite.containers import Tree, copied, pack_wheel, place_whole, unpacked
from smforge.rewrite.host_elf import FATBIN_SECTION
from smforge.rewrite.library import Plan, plan_library, rewrite_library
from smforge.rewrite.proof import UnprovenError, lint, prove_kernels, prove_library, prove_loading
from smforge.rewrite.records import LibraryChange, Request
from smforge.rewrite.toolchain import Assembler, fetched_assembler, local_assembler
from smforge.version import __version__

_HEAD: Final = 64


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What was written, and how it was proven."""

    output: Path
    changes: tuple[LibraryChange, ...]
    unchanged: tuple[str, ...]
    """Libraries with GPU code of which nothing had to be changed."""
    size_before: int
    """Bytes of the file; of a folder, of all its files."""
    size_after: int
    units: int
    """How many texts were needed as machine code…"""
    cached: int
    """…and how many of them were in the cache."""
    driver: DriverVersion | None
    """The lowest driver that loads what was assembled; None where nothing was."""
    checkers: tuple[str, ...]
    """The host's ELF checkers that were asked."""
    loading: tuple[tuple[str, str], ...]
    """Per changed library what the loader says of both; empty where it was not asked."""


def rewrite(  # noqa: PLR0913 - one per flag
    subject: Path,
    request: Request,
    out: Path,
    *,
    cache_folder: Path,
    load: bool = True,
    progress: Progress = SILENT,
    audit: Callable[[Path], None] = lambda _result: None,
) -> Rewritten:
    """Write a slimmed or repaired copy of a wheel, a folder or a library.

    Whoever calls this has audited the original for `request.keep`: a copy without the code for
    other devices cannot show that a kernel is missing.

    The copy is proven before it gets its name, and then handed to `audit`, which raises what it
    finds wrong. Raises `UsageError` where the output exists, or the
    subject is of no kind that can be written, or was rewritten before, `NothingToAuditError` where
    it holds no registered GPU code, `DamagedInputError` where a library cannot be rewritten,
    `ToolError` where the assembler fails, and `UnprovenError` where the result is not what it
    should be.
    """
    return _Rewriting(request, cache_folder, load, progress).run(subject, out, audit)


class _Rewriting:
    def __init__(
        self, request: Request, cache_folder: Path, load: bool, progress: Progress
    ) -> None:
        self._request = request
        self._cache = cache_folder
        self._load = load
        self._progress = progress
        self._limits = Limits()

    def run(self, subject: Path, out: Path, audit: Callable[[Path], None]) -> Rewritten:
        is_wheel = subject.suffix == ".whl"
        if not subject.exists():
            raise UsageError(f"There is no {subject}.")
        target = out / "wheel" if is_wheel and out.is_dir() else out
        if target is out and (out.exists() or out.is_symlink()):
            raise UsageError(f"{out} exists.", remedy="Name another output, or remove it first.")
        beside = target.parent.resolve()
        if not beside.is_dir():
            raise UsageError(f"There is no folder {beside}.", remedy="Make it first.")
        with ExitStack() as stack:
            tree = stack.enter_context(_opened(subject, beside))
            work = Path(
                stack.enter_context(tempfile.TemporaryDirectory(dir=beside, prefix=".smforge-"))
            )
            done = self._change(tree, subject, work)
            if is_wheel:
                self._progress.task("packing the wheel")
                name = pack_wheel(tree, subject, self._request.label, done.toolkit, work)
                target = out / name if target is not out else out
                made = work / name
            else:
                made = tree.root if subject.is_dir() else tree.root / subject.name
            audit(made)
            sizes = _size(subject), _size(made)
            place_whole(made, target)
        return Rewritten(
            target, done.changes, done.unchanged, *sizes, done.units, done.cached, done.driver,
            done.checkers, done.loading,
        )  # fmt: skip

    def _change(self, tree: Tree, subject: Path, work: Path) -> _Done:
        _refuse_copy(tree, subject)
        libraries = [path for path in sorted(tree.root.rglob("*")) if _has_code(path)]
        if not libraries:
            raise NothingToAuditError(
                f"{subject} holds no library with registered GPU code.",
                remedy="Only those can be slimmed or repaired.",
            )
        plans: list[tuple[Path, Plan]] = []
        for path in libraries:
            self._progress.task(f"reading {path.relative_to(tree.root)}")
            with FileBlob.from_path(path) as old:
                try:
                    plans.append((path, plan_library(old, self._request, self._limits)))
                except DamagedInputError as error:
                    raise DamagedInputError(
                        f"{path.name}: {error.message}", remedy=error.remedy
                    ) from error
        made, assemblers = self._assemble(plans)
        changes: list[LibraryChange] = []
        unchanged: list[str] = []
        checkers: tuple[str, ...] = ()
        loading: list[tuple[str, str]] = []
        toolkits: set[str] = set()
        for path, plan in plans:
            name = path.relative_to(tree.root).as_posix()
            self._progress.task(f"writing {name}")
            new = work / "library"
            with FileBlob.from_path(path) as old:
                change = rewrite_library(old, name, plan, self._request, made, new)
            if not any(one.dropped or one.added for one in change.regions):
                unchanged.append(name)
                new.unlink()
                continue
            self._progress.task(f"proving {name}")
            prove_library(path, new, change)
            before = self._prove_kernels(path, new, name)
            toolkits |= {
                code.toolkit for one in before.regions for code in one.objects if code.toolkit
            }
            checkers = lint(path, new)
            if self._load and elf_machine(path) == _own_machine():
                loading.append((name, prove_loading_in_place(path, new)))
            else:
                shutil.copymode(path, new)
                new.replace(path)
            changes.append(change)
        manifest = _manifest(self._request, subject, changes, unchanged)
        place = tree.root / (tree.dist_info or "") / MANIFEST
        if tree.members or subject.is_dir():
            place.write_text(manifest, encoding="utf-8")
        drivers = [one.toolkit.minor_version_driver for one in assemblers.values()]
        return _Done(
            tuple(changes), tuple(unchanged), len(made), sum(one.cached for one in made.values()),
            max(drivers, default=None), checkers, tuple(loading), max(toolkits, default=None),
        )  # fmt: skip

    def _assemble(
        self, plans: Sequence[tuple[Path, Plan]]
    ) -> tuple[dict[Unit, Made], dict[str, Assembler]]:
        wanted = {unit.toolkit for _, plan in plans for one in plan.regions for _, unit in one.made}
        assemblers = {version: self._assembler(version) for version in sorted(wanted)}
        if not wanted:
            return {}, {}
        with ExitStack() as stack:
            texts: dict[Unit, Callable[[], bytes]] = {}
            for path, plan in plans:
                if any(one.made for one in plan.regions):
                    old = stack.enter_context(FileBlob.from_path(path))
                    texts |= plan.texts(old, self._limits)
            return UnitAssembler(assemblers, self._cache, note=self._progress.note).assemble(
                texts, self._assembling(len(texts))
            ), assemblers

    def _assembling(self, count: int) -> Callable[[int, int], None]:
        made = 0

        def note(done: int, _count: int) -> None:
            nonlocal made
            made = done

        self._progress.task("assembling", lambda: (made, count), unit="units")
        return note

    def _assembler(self, version: str) -> Assembler:
        if self._request.ptxas is not None:
            return local_assembler(self._request.ptxas)
        return fetched_assembler(version, self._cache, self._progress)

    def _prove_kernels(self, old: Path, new: Path, name: str) -> FileInventory:
        found = []
        for path in (old, new):
            with FileBlob.from_path(path) as blob:
                inventory = read_file(name, blob, ReadOptions(digests=False))
            if inventory is None or inventory.damage:
                raise UnprovenError(f"{name} cannot be read again.")
            found.append(inventory)
        devices = sorted({*self._request.keep, *self._request.serve})
        prove_kernels(found[0], found[1], devices)
        return found[0]


@dataclass(frozen=True, slots=True)
class _Done:
    changes: tuple[LibraryChange, ...]
    unchanged: tuple[str, ...]
    units: int
    cached: int
    driver: DriverVersion | None
    checkers: tuple[str, ...]
    loading: tuple[tuple[str, str], ...]
    toolkit: str | None


@contextmanager
def _opened(subject: Path, beside: Path) -> Iterator[Tree]:
    if subject.is_dir():
        with copied(subject, beside) as tree:
            yield tree
    elif subject.suffix == ".whl":
        with unpacked(subject, beside) as tree:
            yield tree
    else:
        with tempfile.TemporaryDirectory(dir=beside, prefix=".smforge-") as folder:
            shutil.copy2(subject, Path(folder) / subject.name)
            yield Tree(Path(folder))


def prove_loading_in_place(path: Path, new: Path) -> str:
    """Load the old library and the new one in one folder, so that both find the same neighbours."""
    aside = path.with_name(f"{path.name}.original")
    path.rename(aside)
    shutil.copymode(aside, new)
    new.replace(path)
    said = prove_loading(aside, path)
    aside.unlink()
    return said


def elf_machine(path: Path) -> int:
    """The e_machine of an ELF file."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(20)[18:20], "little")


def _own_machine() -> int:
    return elf_machine(Path("/proc/self/exe"))


def _has_code(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with FileBlob.from_path(path) as blob:
        if blob.size < _HEAD or not elf.is_little_endian_elf(blob.read_at(0, _HEAD)):
            return False
        try:
            sections = elf.read_sections(blob, elf.read_header(blob))
        except DamagedInputError:
            return True
        return any(one.name == FATBIN_SECTION and one.size for one in sections)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(
            one.stat().st_size for one in path.rglob("*") if one.is_file() and not one.is_symlink()
        )
    return path.stat().st_size


def _refuse_copy(tree: Tree, subject: Path) -> None:
    """Refuse what was written by smforge: a second manifest would hide what the first one lists."""
    if next(tree.root.rglob(MANIFEST), None) is not None:
        raise UsageError(
            f"{subject.name} was slimmed or repaired before.",
            remedy="Start from the original; slim --repair does both at once.",
        )


def _manifest(
    request: Request, subject: Path, changes: Sequence[LibraryChange], unchanged: Sequence[str]
) -> str:
    document: dict[str, Any] = {
        "schema_version": 1,
        "tool": {"name": "smforge", "version": __version__},
        "original": subject.name,
        "keep": [str(one) for one in request.keep],
        "repaired_for": [str(one) for one in request.serve],
        "keep_ptx": request.keep_ptx,
        "libraries": [asdict(one) for one in changes],
        "unchanged": list(unchanged),
    }
    return json.dumps(document, indent=1) + "\n"
