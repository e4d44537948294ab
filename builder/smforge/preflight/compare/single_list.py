"""Findings about one configuration alone, without a comparison. Without effects."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from smforge.arch.coverage import cubin_runs_on
from smforge.arch.grammar.torch_list import TorchEntry
from smforge.arch.target import ComputeCapability, Target
from smforge.arch.toolkits import Toolkit, explain_unknown
from smforge.findings import Finding, Level
from smforge.preflight.compare.losses import Comparison, DeviceLosses
from smforge.preflight.compare.wording import are_or_is, count, count_of, joined, listed
from smforge.preflight.records import Collapse, Configuration


def collapsed(configuration: Configuration, requested: Iterable[Target]) -> Iterator[Finding]:
    """Findings about requested targets that are compiled as other targets."""
    for one in collapses(configuration, requested):
        natives = _natives(configuration, one.target)
        spelled = ", ".join(
            f"{target} in {count_of(natives[target])}" for target in one.compiled_as
        )
        yield Finding(
            rule="arch-collapsed",
            level=Level.NOTE,
            message=f"Nothing is compiled as {one.target}: its device is served by {spelled}.",
            remedy=f"Do not require the target {one.target} of the result; require the device.",
            device=one.target.capability,
            target=one.target,
        )


def ptx_dropped(
    configuration: Configuration, requested: Iterable[TorchEntry], level: Level
) -> Iterator[Finding]:
    """The PTX that the list asks for and no source gets."""
    compiled = {target for unit in configuration.units for target in unit.ptx}
    for entry in dict.fromkeys(requested):
        if entry.ptx and entry.target not in compiled:
            yield Finding(
                rule="ptx-dropped",
                level=level,
                message=(
                    f"The list asks for {entry}, and no source is compiled to PTX for "
                    f"{entry.target}{_instead(compiled)}."
                ),
                remedy=f"Ask for {entry.target} without its PTX, and do not require "
                f"{entry.target.compute} of the result.",
                device=entry.target.capability,
                target=entry.target,
            )


def _instead(compiled: Iterable[Target]) -> str:
    found = sorted(compiled)
    return f"; there is PTX for {joined(found)}" if found else "; there is no PTX at all"


def collapses(configuration: Configuration, requested: Iterable[Target]) -> Iterator[Collapse]:
    """The requested targets that come out as others."""
    for target in requested:
        natives = _natives(configuration, target)
        if natives and target not in natives:
            yield Collapse(target, tuple(one for one, _ in natives.most_common()))


def _natives(configuration: Configuration, target: Target) -> Counter[Target]:
    """The machine code that runs on a target's device, by the number of sources."""
    return Counter(
        one
        for unit in configuration.units
        for one in unit.targets
        if cubin_runs_on(one, target.capability)
    )


def unknown_to_toolkit(
    configuration: Configuration, requested: Iterable[Target], toolkit: Toolkit
) -> Iterator[Finding]:
    """Targets, requested or to be compiled, that the toolkit does not know."""
    for target in requested:
        if not toolkit.knows(target):
            reason, remedy = explain_unknown(toolkit, target)
            yield Finding(
                "toolkit-lacks-target", Level.ERROR, reason, remedy, target.capability, target
            )
    compiled: dict[Target, list[str]] = defaultdict(list)
    for unit in configuration.units:
        for target in {*unit.targets, *unit.ptx}:
            if not toolkit.knows(target):
                compiled[target].append(unit.label)
    for target, sources in sorted(compiled.items()):
        yield Finding(
            rule="compiler-refuses-target",
            level=Level.ERROR,
            message=(
                f"{count(sources)} would be compiled for {target}, which {toolkit} does not "
                f"know, so nvcc will stop: {listed(sources)}."
            ),
            remedy=explain_unknown(toolkit, target)[1],
            target=target,
            sources=tuple(sorted(set(sources))),
        )


def refused(configuration: Configuration) -> Finding:
    """The build stops before it starts."""
    refusal = configuration.refusal
    assert refusal is not None
    return Finding(
        rule="build-refused",
        level=Level.ERROR,
        message=f"The build stops while it configures: {refusal.message}",
        remedy="Ask for other architectures or another toolkit.",
        location=refusal.location,
    )


def without_comparison(
    lost: Iterable[DeviceLosses], comparisons: Mapping[ComputeCapability, Sequence[Comparison]]
) -> Iterator[Finding]:
    """Lists that could not be compared with, and the devices that are left without any."""
    refused: dict[str, dict[str, None]] = defaultdict(dict)
    for one in chain.from_iterable(comparisons.values()):
        if (refusal := one.configuration.refusal) is not None:
            refused[refusal.message][one.configuration.archs] = None
    for message, lists in refused.items():
        yield Finding(
            rule="baseline-refused",
            level=Level.NOTE,
            message=f"Nothing can be compared with {joined(map(repr, lists))}: {message}",
        )
    without = [
        one.subject.name
        for one in lost
        if comparisons.get(one.subject.device) and not one.compared_with
    ]
    if without:
        yield Finding(
            rule="not-compared",
            level=Level.WARNING,
            message=(
                "No baseline could be configured, so what the list loses is not known for "
                f"{joined(without)}."
            ),
            remedy="Name a list that these sources accept: --baseline.",
        )


def not_examined(configuration: Configuration) -> Iterator[Finding]:
    """External projects that were not there, and those that are not what the build fetches."""
    for external in configuration.not_examined:
        if external.problem is not None:
            yield Finding(
                rule="external-differs",
                level=Level.WARNING,
                message=(
                    f"{external.name} is not examined: {external.problem}. What is listed of it "
                    "is of that checkout."
                ),
                remedy=f"Check out {external.revision}, or give a directory without .git.",
                location=external.location,
            )
    externals = [one for one in configuration.not_examined if one.problem is None]
    if not externals:
        return
    named = [
        f"{count_of(one.named_sources)} of {one.name}" for one in externals if one.named_sources
    ]
    among = f" {joined(named)} are among the units, by name." if named else ""
    verb = "was" if len(externals) == 1 else "were"
    yield Finding(
        rule="not-examined",
        level=Level.NOTE,
        message=(
            f"{joined(one.name for one in externals)} {verb} not examined, so what only "
            f"their own CMake names is not known.{among}"
        ),
        remedy=f"Give a checkout: --external {externals[0].name}=DIR.",
        location=externals[0].location,
    )


def by_default(configuration: Configuration) -> Iterator[Finding]:
    """Sources whose architecture nobody chose."""
    sources = [unit.label for unit in configuration.units if not unit.gencode]
    if sources:
        default = ", ".join(
            {str(one) for u in configuration.units if not u.gencode for one in u.targets}
        )
        yield Finding(
            rule="arch-by-default",
            level=Level.WARNING,
            message=(
                f"{count(sources)} {are_or_is(sources)} given no architecture by the build "
                f"description, so nvcc takes its own default ({default}): {listed(sources)}."
            ),
            sources=tuple(sorted(set(sources))),
        )
