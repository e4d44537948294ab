"""The whole preflight: it configures the list and its baselines, and compares them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from smforge.arch.requirement import Requirements
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import Toolkit, toolkit
from smforge.errors import ArchitectureError
from smforge.findings import Finding, Level, Outcome
from smforge.policy.excuses import Excuse
from smforge.policy.files import shipped_for_sources
from smforge.preflight import flashinfer
from smforge.preflight.builds import Build, merged, units_by_build
from smforge.preflight.cache import Cache
from smforge.preflight.compare import single_list
from smforge.preflight.compare.baselines import (
    Baseline,
    Spell,
    baselines_of,
    family_members,
    named_baselines,
)
from smforge.preflight.compare.judge import Case, by_weight, judge
from smforge.preflight.compare.losses import Comparison, subjects_of
from smforge.preflight.compare.required import required_devices
from smforge.preflight.compare.trials import Archs
from smforge.preflight.compare.upstream_lists import disagreements, read_lists
from smforge.preflight.configure import configure, source_root
from smforge.preflight.probe import torch_flags
from smforge.preflight.records import Configuration, Preflight
from smforge.preflight.request import Request
from smforge.preflight.selection import Selection
from smforge.preflight.sources.externals import open_checkout, require_known
from smforge.preflight.sources.tree import Project, Source, open_source

Reader = Callable[[str], Archs]


@dataclass(frozen=True, slots=True)
class Question:
    """What to examine and what to compare it with."""

    source: Path
    """A tree or an sdist."""
    cuda: str
    """Release or update of the toolkit: ``13.0``."""
    archs: str
    """The value of TORCH_CUDA_ARCH_LIST or FLASHINFER_CUDA_ARCH_LIST."""
    baselines: tuple[str, ...] = ()
    """Lists to compare with in place of compare/baselines.py's."""
    externals: Mapping[str, Path] = field(default_factory=dict)
    """Checkouts of external projects that a user gives, by name."""
    fetched: Mapping[str, Path] = field(default_factory=dict)
    """Sources of external projects that were fetched for the build, by name."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Where upstream's variables for checkouts are looked up: ``QUTLASS_SRC_DIR``."""
    excuses: tuple[Excuse, ...] = ()
    builds: tuple[Build, ...] = ()
    """The builds that the list is divided into; one of the whole list where none is named."""
    selection: Selection | None = None
    """Which extensions or modules are built; None for all."""
    required: Requirements | None = None
    """The devices that must lose nothing, and the targets that must come out: the audit's words.
    None for what the list asks for."""
    processor: str = platform.machine()
    """The CPU that is built for: ``x86_64``, ``aarch64``."""


def preflight(question: Question, cache: Cache) -> Preflight:
    """Answer a question.

    Raises `ArchitectureError` and `UsageError` for what cannot be asked, `DamagedInputError` for
    an archive that cannot be read, `ToolError` when CMake or a generator fails.
    """
    release = toolkit(question.cuda)
    source = open_source(question.source)
    read = _reader(source, question.cuda, cache)
    archs = read(question.archs)
    runs = _Runs(question, source, cache)
    parts = [read(one.archs) for one in question.builds] or [archs]
    requested = tuple(dict.fromkeys(entry.target for entry in archs))
    baselines = _baselines(question, source.project, requested, release, read)
    members = _members(question, source.project, requested, release)
    runs.configure([*parts, *_lists(baselines), *(one.archs for one in members)])
    _require_known_externals(question, map(runs.whole, parts))
    ours = [runs.selected(part) for part in parts]
    case = Case(
        configuration=merged(ours),
        archs=archs,
        comparisons={device: runs.compared(several) for device, several in baselines.items()},
        toolkit=release,
        members=runs.compared(members),
        required=question.required,
        excuses=(*question.excuses, *shipped_for_sources(source.project)),
        compiles=not runs.compile_nothing,
    )
    judgement = judge(case, runs.tried)
    upstream = read_lists(source_root(source, cache), question.cuda)
    findings = by_weight(
        (
            *chain.from_iterable(map(_unmatched(question), map(runs.whole, parts))),
            *judgement.findings,
            *disagreements(upstream),
        )
    )
    return Preflight(
        source=source.identity,
        configuration=case.configuration,
        builds=units_by_build(question.builds, ours),
        requested=requested,
        collapsed=tuple(single_list.collapses(case.configuration, requested)),
        baselines=tuple(runs.selected(one) for one in dict.fromkeys(_lists(baselines))),
        devices={one.subject.device: one.tally for one in judgement.devices},
        upstream_lists=upstream,
        findings=findings,
        outcome=_outcome(findings),
        required=frozenset(one.subject.device for one in judgement.devices if one.subject.required),
        compared_with={one.subject.device: one.lists for one in judgement.devices},
    )


def compiled(question: Question, cache: Cache) -> tuple[Configuration, ...]:
    """What each build of a list compiles. No baseline is configured, and nothing is compared.

    Raises what `preflight` raises.
    """
    source = open_source(question.source)
    read = _reader(source, question.cuda, cache)
    parts = [read(one.archs) for one in question.builds] or [read(question.archs)]
    runs = _Runs(question, source, cache)
    runs.configure(parts)
    return tuple(runs.selected(part) for part in parts)


def with_findings(result: Preflight, added: Sequence[Finding]) -> Preflight:
    """A result with more findings, and the outcome that they give."""
    findings = by_weight((*result.findings, *added))
    return replace(result, findings=findings, outcome=_outcome(findings))


def _outcome(findings: Iterable[Finding]) -> Outcome:
    failed = any(one.level is Level.ERROR for one in findings)
    return Outcome.FAIL if failed else Outcome.PASS


class _Runs:
    """The configurations of lists; each list is configured once."""

    def __init__(self, question: Question, source: Source, cache: Cache) -> None:
        self._question = question
        self._source = source
        self._cache = cache
        self._externals = dict(question.fetched) | {
            name.lower(): open_checkout(name, path) for name, path in question.externals.items()
        }
        self._found: dict[Archs, Configuration] = {}

    def configure(self, lists: Iterable[Archs]) -> None:
        """Configure the lists that were not configured yet."""
        question = self._question
        new = [archs for archs in dict.fromkeys(lists) if archs not in self._found]
        requests = [
            Request(
                self._source,
                question.cuda,
                archs,
                self._externals,
                question.environment,
                question.processor,
            )
            for archs in new
        ]
        self._found |= zip(new, configure(requests, self._cache), strict=True)

    def whole(self, archs: Archs) -> Configuration:
        """The whole configuration of a list."""
        return self._found[archs]

    def selected(self, archs: Archs) -> Configuration:
        """The part of it that the selection names."""
        selection = self._question.selection
        found = self._found[archs]
        return found if selection is None else selection.narrowed(found)

    @property
    def compile_nothing(self) -> bool:
        """Whether the selection has no CUDA source for any list: host code, or what is not there.

        `Selection.unmatched` says what is not there.
        """
        if self._question.selection is None:
            return False
        return not any(self.selected(archs).units for archs in self._found)

    def tried(self, lists: Iterable[Archs]) -> dict[Archs, Configuration]:
        """What whole lists make, each divided into builds as the question's list is."""
        wanted = tuple(dict.fromkeys(lists))
        apart = self._source.project is Project.FLASHINFER and bool(self._question.builds)
        parts = {archs: [(one,) for one in archs] if apart else [archs] for archs in wanted}
        self.configure(chain.from_iterable(parts.values()))
        return {archs: merged([self.selected(one) for one in parts[archs]]) for archs in wanted}

    def compared(self, baselines: Iterable[Baseline]) -> tuple[Comparison, ...]:
        """What the baselines make on purpose."""
        return tuple(Comparison(one, _chosen(self.selected(one.archs))) for one in baselines)


def _chosen(configuration: Configuration) -> Configuration:
    """Without the sources for which nobody chose an architecture.

    nvcc's default for them may be the device
    that is compared, which does not show what the sources support.
    """
    units = tuple(unit for unit in configuration.units if unit.gencode)
    return replace(configuration, units=units)


def _baselines(
    question: Question,
    project: Project,
    requested: Iterable[Target],
    release: Toolkit,
    read: Reader,
) -> dict[ComputeCapability, tuple[Baseline, ...]]:
    """The baselines of each device."""
    subjects = subjects_of(requested, required_devices(question.required))
    if question.baselines:
        named = [read(one) for one in question.baselines]
        return {one.device: named_baselines(one.device, named) for one in subjects}
    spell = _flashinfers(read, release) if project is Project.FLASHINFER else _torchs(release)
    return {one.device: baselines_of(one.device, one.asked, release, spell) for one in subjects}


def _torchs(release: Toolkit) -> Spell:
    """The usual words for a device in TORCH_CUDA_ARCH_LIST."""

    def spell(device: ComputeCapability) -> tuple[Target, ...]:
        both = (Target(device), Target(device, Suffix.ARCH_SPECIFIC))
        return tuple(one for one in both if release.knows(one))

    return spell


def _flashinfers(read: Reader, release: Toolkit) -> Spell:
    """FlashInfer's targets for a device, if it does not refuse it.

    Some releases read 12.1 as 12.0f; 12.1a has modules of its own all the same.
    """

    def spell(device: ComputeCapability) -> tuple[Target, ...]:
        own = Target(device, Suffix.ARCH_SPECIFIC)
        try:
            found = tuple(one.target for one in read(str(device)))
        except ArchitectureError:
            found = ()
        if release.knows(own) and all(one.capability != device for one in found):
            return (*found, own)
        return found

    return spell


def _members(
    question: Question, project: Project, requested: Iterable[Target], release: Toolkit
) -> tuple[Baseline, ...]:
    """The families that FlashInfer makes modules for each member of; vLLM does not."""
    if project is not Project.FLASHINFER or question.baselines:
        return ()
    return tuple(chain.from_iterable(family_members(one, release) for one in requested))


def _lists(baselines: Mapping[ComputeCapability, Sequence[Baseline]]) -> tuple[Archs, ...]:
    return tuple(one.archs for one in chain.from_iterable(baselines.values()))


def _require_known_externals(question: Question, found: Iterable[Configuration]) -> None:
    """Raise `UsageError` for a checkout of a project that these sources do not fetch."""
    configurations = tuple(found)
    if not any(one.refusal for one in configurations):  # what stopped has not named them all
        fetched = {external.name for one in configurations for external in one.fetched}
        require_known(map(str.lower, question.externals), fetched)


def _unmatched(question: Question) -> Callable[[Configuration], Iterable[Finding]]:
    selection = question.selection
    return selection.unmatched if selection is not None else lambda _configuration: ()


def _reader(source: Source, cuda: str, cache: Cache) -> Reader:
    """What reads a list in the grammar of the project's build."""
    if source.project is Project.FLASHINFER:
        tree = source_root(source, cache)
        return lambda archs: flashinfer.read_list(archs, cuda, tree, cache)
    return torch_flags.parse
