"""Is the embedded code what preflight predicted for the sources?

A region is one translation unit, and its symbols mostly carry the name of its source; regions
without a name are matched by their kernels. Both directions are checked: predicted and not
embedded, and embedded and not predicted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from smforge.arch.target import Target
from smforge.findings import Finding, Level
from smforge.inventory.records import FileInventory, Kind, Region
from smforge.verdict.expectation import Expectation, ExpectedUnit, symbol_name
from smforge.verdict.kernels import MACHINE_CODE
from smforge.verdict.rules import EXPECTED_NOT_EMBEDDED, EXPECTED_UNREAD
from smforge.verdict.views.subject import SubjectView

_SHOWN = 6

Code = tuple[frozenset[Target], frozenset[Target]]
"""Machine code and PTX."""


def check_expected(subject: SubjectView) -> Iterator[Finding]:
    """Differences between a preflight's predictions and the libraries."""
    for expectation in subject.request.expectations:
        if subject.names_read:
            yield from _check(subject, expectation)
        else:
            yield EXPECTED_UNREAD.finding(
                f"The sources of code objects were not read, so {expectation.name} cannot be "
                "compared.",
                remedy="Audit without --no-kernels.",
            )


def _check(subject: SubjectView, expectation: Expectation) -> Iterator[Finding]:
    files = [view.file for view in subject.files if expectation.is_about(view.file.path)]
    libraries = {_extension(file): file for file in files}
    absent = []
    for extension, units in sorted(expectation.extensions.items()):
        if extension in libraries:
            yield from _compare(libraries[extension], units)
        else:
            absent.append(f"{extension} ({_sources(units)})")
    if absent:
        build = f" of {expectation.build}" if expectation.build else ""
        yield EXPECTED_NOT_EMBEDDED.finding(
            f"{expectation.name} predicts {len(absent)} libraries{build} that the subject lacks: "
            f"{_listed(absent)}.",
            remedy="Build them, or predict without them.",
        )
    yield from _unpredicted(libraries, expectation)


def _unpredicted(
    libraries: dict[str, FileInventory], expectation: Expectation
) -> Iterator[Finding]:
    others = sorted(set(libraries) - set(expectation.extensions))
    if others:
        yield EXPECTED_NOT_EMBEDDED.finding(
            f"{expectation.name} says nothing about {', '.join(others)}, which was not examined.",
            level=Level.NOTE,
            remedy="Give preflight the external projects: --external NAME=DIR.",
        )


@dataclass(slots=True)
class _Tally:
    """What one library lacks or has in addition, by code object and source."""

    lacking: dict[tuple[Target, str], list[str]]
    surplus: dict[tuple[Target, str], list[str]]

    def note(self, source: str, expected: Code, embedded: Code) -> None:
        for form, wanted, got in zip(("machine code", "PTX"), expected, embedded, strict=True):
            for target in wanted - got:
                self.lacking[target, form].append(source)
            for target in got - wanted:
                self.surplus[target, form].append(source)


def _compare(file: FileInventory, units: Sequence[ExpectedUnit]) -> Iterator[Finding]:
    tally = _Tally(defaultdict(list), defaultdict(list))
    unnamed: list[Code] = []
    silent: Counter[Code] = Counter()
    named: dict[str, list[Code]] = defaultdict(list)
    for region in file.counted_regions:
        if region.source is None:
            unnamed.append(_code(region))
            silent[_code(region)] += not any(one.kernels for one in region.objects)
        else:
            named[symbol_name(region.source)].append(_code(region))
    waiting: list[ExpectedUnit] = []
    for name, group in _by_name(units).items():
        waiting += _match(group, named.pop(name, []), tally)
    absent = _match_unnamed(waiting, unnamed, tally)
    for name, codes in named.items():
        for code in codes:
            tally.note(name, (frozenset(), frozenset()), code)
    # Empty code objects of the device linker name no source and hold no kernel.
    surplus = list((Counter(unnamed) - silent).elements())
    yield from _absences(file.path, absent, waiting)
    yield from _differences(file.path, tally, surplus)


def _match(units: list[ExpectedUnit], codes: list[Code], tally: _Tally) -> list[ExpectedUnit]:
    """Remove what agrees, note what differs, and return the units without a region."""
    rest = [unit for unit in units if not _take((unit.targets, unit.ptx), codes)]
    for unit, code in zip(list(rest), list(codes), strict=False):
        tally.note(unit.source, (unit.targets, unit.ptx), code)
        rest.remove(unit)
        codes.remove(code)
    for code in codes:
        tally.note(units[0].source, (frozenset(), frozenset()), code)
    return rest


def _match_unnamed(
    units: list[ExpectedUnit], unnamed: list[Code], tally: _Tally
) -> list[ExpectedUnit]:
    """Match units with regions without a name: first those that agree, then the others in order."""
    rest = [unit for unit in units if not _take((unit.targets, unit.ptx), unnamed)]
    for unit in list(rest):
        near = _nearest((unit.targets, unit.ptx), unnamed)
        if near is not None:
            tally.note(unit.source, (unit.targets, unit.ptx), near)
            unnamed.remove(near)
            rest.remove(unit)
    return rest


def _take(code: Code, codes: list[Code]) -> bool:
    if code in codes:
        codes.remove(code)
        return True
    return False


def _nearest(code: Code, codes: Iterable[Code]) -> Code | None:
    """The region that has most in common; None if no region has anything in common."""

    def common(other: Code) -> int:
        return len(code[0] & other[0]) + len(code[1] & other[1])

    best = max(codes, key=common, default=None)
    return best if best is not None and common(best) else None


def _absences(
    path: str, absent: Iterable[ExpectedUnit], waiting: Iterable[ExpectedUnit]
) -> Iterator[Finding]:
    """Units of which there is no code; `waiting` are all those that no region names.

    Where regions without a name stand for some of the units that are compiled alike, it is known
    how many are absent and not which.
    """
    alike = _by_code(waiting)
    for (machine, texts), units in _by_code(absent).items():
        names = [unit.source for unit in alike[machine, texts]]
        wanted = [*map(str, sorted(machine)), *(f"PTX {one}" for one in sorted(texts))]
        some = f"{len(units)} of these " if len(units) < len(names) else ""
        yield EXPECTED_NOT_EMBEDDED.finding(
            f"{path}: {some}{_count(names)} predicted for "
            f"{', '.join(wanted) or 'no target'} and there is no code of "
            f"{'it' if len(units) == 1 else 'them'}: {_listed(names)}.",
            file=path,
            target=next(iter(machine)) if len(machine) == 1 else None,
            remedy="See the build's log for these sources.",
        )


def _differences(path: str, tally: _Tally, unnamed: list[Code]) -> Iterator[Finding]:
    for (target, form), sources in sorted(tally.lacking.items()):
        yield EXPECTED_NOT_EMBEDDED.finding(
            f"{path}: {_count(sources)} predicted to become {form} for {target} and did not: "
            f"{_listed(sources)}.",
            file=path,
            target=target,
            remedy="See the build's log for these sources, or predict with the list it was given.",
        )
    for (target, form), sources in sorted(tally.surplus.items()):
        yield EXPECTED_NOT_EMBEDDED.finding(
            f"{path}: {_count(sources)} embedded as {form} for {target}, which was not predicted: "
            f"{_listed(sources)}.",
            level=Level.WARNING,
            file=path,
            target=target,
        )
    if unnamed:
        kinds = Counter(" ".join(map(str, sorted(machine))) for machine, _ in unnamed)
        held = ", ".join(f"{number} for {targets or 'PTX'}" for targets, number in kinds.items())
        yield EXPECTED_NOT_EMBEDDED.finding(
            f"{path}: {len(unnamed)} regions that name no source were not predicted ({held}).",
            level=Level.WARNING,
            file=path,
        )


def _by_name(units: Iterable[ExpectedUnit]) -> dict[str, list[ExpectedUnit]]:
    groups: dict[str, list[ExpectedUnit]] = defaultdict(list)
    for unit in units:
        groups[unit.symbol_name].append(unit)
    return groups


def _by_code(units: Iterable[ExpectedUnit]) -> dict[Code, list[ExpectedUnit]]:
    groups: dict[Code, list[ExpectedUnit]] = defaultdict(list)
    for unit in units:
        groups[unit.targets, unit.ptx].append(unit)
    return groups


def _code(region: Region) -> Code:
    machine = (one.target for one in region.objects if one.kind in MACHINE_CODE)
    texts = (one.target for one in region.objects if one.kind is Kind.PTX)
    return frozenset(machine), frozenset(texts)


def _extension(file: FileInventory) -> str:
    """``_C_stable_libtorch`` for ``vllm/_C_stable_libtorch.abi3.so``."""
    return PurePosixPath(file.path).name.partition(".")[0]


def _sources(units: Sequence[ExpectedUnit]) -> str:
    return "1 source" if len(units) == 1 else f"{len(units)} sources"


def _count(sources: Sequence[str]) -> str:
    return "1 source was" if len(sources) == 1 else f"{len(sources)} sources were"


def _listed(sources: Iterable[str]) -> str:
    names = sorted(sources)
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
