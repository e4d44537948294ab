"""The whole preflight: configure the list and its baselines, compare, conclude."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.arch.grammar.torch_list import TorchEntry
from builder.arch.toolkits import toolkit
from builder.errors import UsageError
from builder.preflight import flashinfer, torch_flags
from builder.preflight.cache import Cache
from builder.preflight.compare import Allowance, Comparison, by_weight, compare
from builder.preflight.configure import configure, source_root
from builder.preflight.records import Level, Outcome, Preflight
from builder.preflight.request import Request
from builder.preflight.siblings import default_baselines, member_baselines, named_baseline
from builder.preflight.source import Project, open_source
from builder.preflight.upstream import disagreements, read_lists

_ALLOWANCES = Path(__file__).parent / "data" / "allowances.json"


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
    allowances: tuple[Allowance, ...] = ()


def preflight(question: Question, cache: Cache) -> Preflight:
    """Answer a question.

    Raises `ArchitectureError` and `UsageError` for what cannot be asked, `DamagedInputError` for
    an archive that cannot be read, `ToolError` when CMake or a generator fails.
    """
    release = toolkit(question.cuda)
    source = open_source(question.source)
    archs = _read(source.project, question.archs, question.cuda)
    named = [
        named_baseline(archs, _read(source.project, one, question.cuda))
        for one in question.baselines
    ]
    baselines = tuple(named) or _SIBLINGS[source.project](archs, release)

    def request(entries: tuple[TorchEntry, ...]) -> Request:
        return Request(
            source,
            question.cuda,
            entries,
            {name.lower(): _checkout(name, path) for name, path in question.externals.items()},
            question.environment,
        )

    requests = [request(archs), *(request(one.archs) for one in baselines)]
    configuration, *others = configure(requests, cache)
    requested = tuple(dict.fromkeys(entry.target for entry in archs))
    comparisons = [
        Comparison(other, baseline.stands_for)
        for baseline, other in zip(baselines, others, strict=True)
    ]
    allowances = (*question.allowances, *default_allowances(source.project))
    findings, devices = compare(configuration, requested, comparisons, release, allowances)
    upstream = read_lists(source_root(source, cache), question.cuda)
    findings = by_weight((*findings, *disagreements(upstream)))
    failed = any(one.level is Level.ERROR for one in findings)
    return Preflight(
        source=source.identity,
        configuration=configuration,
        requested=requested,
        baselines=tuple(others),
        devices=devices,
        upstream_lists=upstream,
        findings=findings,
        outcome=Outcome.FAIL if failed else Outcome.PASS,
    )


_SIBLINGS = {Project.VLLM: default_baselines, Project.FLASHINFER: member_baselines}


def default_allowances(project: Project) -> tuple[Allowance, ...]:
    """The losses that are known to be no defect (data/allowances.json)."""
    rows = json.loads(_ALLOWANCES.read_text(encoding="utf-8"))["allowances"]
    return tuple(
        Allowance(row["pattern"], row["reason"]) for row in rows if row["project"] == project
    )


def _read(project: Project, archs: str, cuda: str) -> tuple[TorchEntry, ...]:
    """A list in the grammar of the project's build."""
    if project is Project.FLASHINFER:
        return flashinfer.read_list(archs, cuda)
    return torch_flags.parse(archs)


def _checkout(name: str, path: Path) -> Path:
    if not path.is_dir():
        raise UsageError(
            f"{path}, given for {name}, is not a directory.", remedy="Name a checkout of it."
        )
    return path.resolve()
