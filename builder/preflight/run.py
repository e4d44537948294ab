"""The whole preflight: configure the list and its baselines, compare, conclude."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.arch.grammar.torch_list import TorchEntry
from builder.arch.toolkits import toolkit
from builder.errors import UsageError
from builder.preflight import torch_flags
from builder.preflight.cache import Cache
from builder.preflight.compare import Allowance, Comparison, by_weight, compare
from builder.preflight.configure import Request, configure, source_root
from builder.preflight.records import Level, Outcome, Preflight
from builder.preflight.siblings import default_baselines, named_baseline
from builder.preflight.source import open_source
from builder.preflight.upstream import disagreements, read_lists


@dataclass(frozen=True, slots=True)
class Question:
    """What to examine and what to compare it with."""

    source: Path
    """A tree or an sdist."""
    cuda: str
    """Release or update of the toolkit: ``13.0``."""
    archs: str
    """The value of TORCH_CUDA_ARCH_LIST."""
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
    archs = torch_flags.parse(question.archs)
    source = open_source(question.source)
    named = [named_baseline(archs, torch_flags.parse(one)) for one in question.baselines]
    baselines = tuple(named) or default_baselines(archs, release)

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
    findings, devices = compare(configuration, requested, comparisons, release, question.allowances)
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


def _checkout(name: str, path: Path) -> Path:
    if not path.is_dir():
        raise UsageError(
            f"{path}, given for {name}, is not a directory.", remedy="Name a checkout of it."
        )
    return path.resolve()
