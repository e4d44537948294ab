"""The whole preflight: configure the list and its baselines, compare, conclude."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from smforge.arch.grammar.torch_list import TorchEntry
from smforge.arch.target import ComputeCapability
from smforge.arch.toolkits import Toolkit, toolkit
from smforge.errors import UsageError
from smforge.findings import Finding, Level, Outcome
from smforge.policy.excuses import Excuse
from smforge.policy.files import shipped_for_sources
from smforge.preflight import flashinfer
from smforge.preflight.builds import Build, merged, units_by_build
from smforge.preflight.cache import Cache
from smforge.preflight.compare.baselines import (
    Baseline,
    default_baselines,
    member_baselines,
    named_baseline,
)
from smforge.preflight.compare.losses import Comparison, by_weight, compare
from smforge.preflight.compare.required import weighed
from smforge.preflight.compare.single_list import collapses
from smforge.preflight.compare.upstream_lists import disagreements, read_lists
from smforge.preflight.configure import configure, source_root
from smforge.preflight.probe import torch_flags
from smforge.preflight.records import Configuration, Preflight
from smforge.preflight.request import Request
from smforge.preflight.selection import Selection
from smforge.preflight.sources.tree import Project, Source, open_source

Reader = Callable[[str], tuple[TorchEntry, ...]]


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
    """Lists to compare with; siblings of the requested targets where none is named."""
    externals: Mapping[str, Path] = field(default_factory=dict)
    """Checkouts of external projects, by name."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Where upstream's variables for checkouts are looked up: ``QUTLASS_SRC_DIR``."""
    excuses: tuple[Excuse, ...] = ()
    builds: tuple[Build, ...] = ()
    """The builds that the list is divided into; one of the whole list where none is named."""
    selection: Selection | None = None
    """Which extensions or modules are built; None for all."""
    required: tuple[ComputeCapability, ...] | None = None
    """The devices that must lose nothing; None for those of the list."""
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
    parts = tuple(_parts(question, source.project, release, read))
    answers = _configure(question, source, parts, cache)
    ours = [answers[part.archs] for part in parts]
    findings = list(chain.from_iterable(map(_unmatched(question), ours)))
    if question.selection is not None:
        answers = {key: question.selection.narrowed(one) for key, one in answers.items()}
        ours = [answers[part.archs] for part in parts]
    configuration = merged(ours)
    requested = tuple(dict.fromkeys(entry.target for entry in archs))
    comparisons = [
        Comparison(answers[baseline.archs], baseline.stands_for)
        for part in parts
        for baseline in part.baselines
    ]
    excuses = (*question.excuses, *shipped_for_sources(source.project))
    compared, devices = compare(configuration, requested, comparisons, release, excuses)
    upstream = read_lists(source_root(source, cache), question.cuda)
    findings += [*compared, *disagreements(upstream)]
    if question.required is not None:
        findings = list(weighed(findings, question.required, requested))
    failed = any(one.level is Level.ERROR for one in findings)
    return Preflight(
        source=source.identity,
        configuration=configuration,
        builds=units_by_build(question.builds, ours),
        requested=requested,
        collapsed=tuple(collapses(configuration, requested)),
        baselines=tuple(
            {one.configuration.archs: one.configuration for one in comparisons}.values()
        ),
        devices=devices,
        upstream_lists=upstream,
        findings=by_weight(findings),
        outcome=Outcome.FAIL if failed else Outcome.PASS,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """One build's list, and what it is compared with."""

    archs: tuple[TorchEntry, ...]
    baselines: tuple[Baseline, ...]


def _parts(question: Question, project: Project, release: Toolkit, read: Reader) -> Iterator[_Part]:
    for text in [one.archs for one in question.builds] or [question.archs]:
        archs = read(text)
        named = tuple(named_baseline(archs, read(one)) for one in question.baselines)
        yield _Part(archs, named or _SIBLINGS[project](archs, release))


def _configure(
    question: Question, source: Source, parts: tuple[_Part, ...], cache: Cache
) -> dict[tuple[TorchEntry, ...], Configuration]:
    """What each list makes of the sources; a list that occurs twice is configured once."""
    lists = dict.fromkeys(
        archs for part in parts for archs in (part.archs, *(one.archs for one in part.baselines))
    )
    externals = {name.lower(): _checkout(name, path) for name, path in question.externals.items()}
    requests = [
        Request(source, question.cuda, archs, externals, question.environment, question.processor)
        for archs in lists
    ]
    return dict(zip(lists, configure(requests, cache), strict=True))


def _unmatched(question: Question) -> Callable[[Configuration], Iterable[Finding]]:
    selection = question.selection
    return selection.unmatched if selection is not None else lambda _configuration: ()


_SIBLINGS = {Project.VLLM: default_baselines, Project.FLASHINFER: member_baselines}


def _reader(source: Source, cuda: str, cache: Cache) -> Reader:
    """What reads a list in the grammar of the project's build."""
    if source.project is Project.FLASHINFER:
        tree = source_root(source, cache)
        return lambda archs: flashinfer.read_list(archs, cuda, tree, cache)
    return torch_flags.parse


def _checkout(name: str, path: Path) -> Path:
    if not path.is_dir():
        raise UsageError(
            f"{path}, given for {name}, is not a directory.", remedy="Name a checkout of it."
        )
    return path.resolve()
