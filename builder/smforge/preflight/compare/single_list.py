"""What a configuration says by itself, before it is compared. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from smforge.arch.coverage import cubin_runs_on
from smforge.arch.target import Target
from smforge.arch.toolkits import Toolkit, explain_unknown
from smforge.findings import Finding, Level, Tally
from smforge.preflight.compare.wording import are_or_is, count, count_of, listed
from smforge.preflight.records import Collapse, Configuration


def spelled(configuration: Configuration, target: Target) -> Iterator[Finding]:
    """Whether a requested target survives the build description, and as what."""
    device = target.capability
    natives = _natives(configuration, target)
    if not natives:
        yield Finding(
            rule="arch-dropped",
            level=Level.ERROR,
            message=f"No source is compiled for {target}: no machine code for {device} comes out.",
            remedy="See the skips for where the build description drops it.",
            device=device,
            target=target,
        )
    elif target not in natives:
        spelled = ", ".join(f"{one} in {count_of(n)}" for one, n in natives.most_common())
        yield Finding(
            rule="arch-collapsed",
            level=Level.NOTE,
            message=f"Nothing is compiled as {target}: its device is served by {spelled}.",
            remedy=f"Do not require the target {target} of the result; require the device.",
            device=device,
            target=target,
        )


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


def foreign(target: Target, tally: Tally) -> Iterator[Finding]:
    """Sources that are made for other devices."""
    if tally.foreign:
        yield Finding(
            rule="source-foreign",
            level=Level.NOTE,
            message=(
                f"{count_of(tally.foreign)} have no code for {target.capability}, "
                "nor does its sibling get them: they are made for other devices."
            ),
            device=target.capability,
            target=target,
        )


def unknown_to_toolkit(
    configuration: Configuration, requested: Iterable[Target], toolkit: Toolkit
) -> Iterator[Finding]:
    """Targets, requested or to be compiled, that the toolkit does not know."""
    for target in requested:
        if not toolkit.knows(target):
            reason, remedy = explain_unknown(toolkit, target)
            yield Finding(
                rule="toolkit-lacks-target",
                level=Level.ERROR,
                message=reason,
                remedy=remedy,
                device=target.capability,
                target=target,
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
                f"{count(sources)} are to be compiled for {target}, which {toolkit} does not "
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


def without_comparison(baselines: Sequence[Configuration]) -> Iterator[Finding]:
    """Lists that could not be compared with."""
    for one in baselines:
        if one.refusal is not None:
            yield Finding(
                rule="baseline-refused",
                level=Level.NOTE,
                message=f"The list {one.archs!r} cannot be compared with: {one.refusal.message}",
            )
    if baselines and all(one.refusal is not None for one in baselines):
        yield Finding(
            rule="not-compared",
            level=Level.WARNING,
            message="No baseline could be configured, so what the list loses is not known.",
            remedy="Name a list that these sources accept: --baseline.",
        )


def not_examined(configuration: Configuration) -> Iterator[Finding]:
    """External projects that were not there."""
    for external in configuration.not_examined:
        named = (
            f"; {count_of(external.named_sources)} that the tree itself names are among the units"
            if external.named_sources
            else ""
        )
        yield Finding(
            rule="not-examined",
            level=Level.NOTE,
            message=f"{external.name} was not there to look at{named}.",
            remedy=f"Give a checkout: --external {external.name}=DIR.",
            location=external.location,
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
