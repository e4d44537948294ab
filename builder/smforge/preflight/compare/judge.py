"""Judges what a list gives to devices: losses, causes, remedies, findings.

Pure but for the lists that remedies lead to, which the caller configures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from smforge.arch.requirement import Requirements
from smforge.arch.target import ComputeCapability, Target
from smforge.arch.toolkits import Toolkit
from smforge.findings import Finding, Level
from smforge.policy.excuses import Excuse
from smforge.preflight.compare import single_list
from smforge.preflight.compare.baselines import Kind
from smforge.preflight.compare.causes import Cause, causes_of
from smforge.preflight.compare.loss_findings import Remedy, finding_of, joined_by_cause, ptx_only
from smforge.preflight.compare.losses import Comparison, DeviceLosses, losses_of, subjects_of
from smforge.preflight.compare.narrowing import narrowed
from smforge.preflight.compare.required import missing_targets, required_devices, target_missing
from smforge.preflight.compare.trials import Answers, Archs, advice, pairs_of, takes_away, trials_of
from smforge.preflight.records import Configuration

Configure = Callable[[Iterable[Archs]], Answers]
"""Configures lists and says what the sources make of them."""
_PAIRS_AT_ONCE = 2
"""As many lists as are configured at once."""
_RANK = {Level.ERROR: 0, Level.WARNING: 1, Level.NOTE: 2}


@dataclass(frozen=True, slots=True)
class Case:
    """The list to judge, with its requirements and configurations."""

    configuration: Configuration
    archs: Archs
    """The list, as it was read."""
    comparisons: Mapping[ComputeCapability, Sequence[Comparison]]
    """What each device is compared with."""
    toolkit: Toolkit
    members: Sequence[Comparison] = ()
    """Other devices of families that the list asks for, each asked for by itself."""
    required: Requirements | None = None
    """None for what the list asks for."""
    excuses: Sequence[Excuse] = ()
    compiles: bool = True
    """Whether there are CUDA sources to judge; a selection of host code alone has none."""

    @property
    def requested(self) -> tuple[Target, ...]:
        """The targets of the list, each once."""
        return tuple(dict.fromkeys(entry.target for entry in self.archs))

    def compared_with(self, device: ComputeCapability) -> tuple[Comparison, ...]:
        """What a device is compared with; the list itself is not, unless a user names it."""
        return tuple(
            one
            for one in self.comparisons.get(device, ())
            if one.baseline.archs != self.archs or one.baseline.kind is Kind.NAMED
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of judging a case."""

    findings: tuple[Finding, ...]
    """Errors first, then warnings, then notes."""
    devices: tuple[DeviceLosses, ...] = ()
    """How the sources reach each device; none where the build is refused."""


def judge(case: Case, configure: Configure) -> Judgement:
    """Compare a list with its baselines and say what follows."""
    configuration, requested = case.configuration, case.requested
    unknown = single_list.unknown_to_toolkit(configuration, requested, case.toolkit)
    if configuration.refusal is not None:
        return Judgement(by_weight((*unknown, single_list.refused(configuration))))
    if not case.compiles:
        return Judgement(by_weight((*unknown, *single_list.not_examined(configuration))))
    subjects = subjects_of(requested, required_devices(case.required))
    lost = tuple(losses_of(configuration, one, case.compared_with(one.device)) for one in subjects)
    judged = [one.device for one in subjects]
    level = Level.ERROR if case.required is None else Level.WARNING
    return Judgement(
        findings=by_weight(
            (
                *unknown,
                *joined_by_cause(_losses(case, lost, configure)),
                *chain.from_iterable(
                    narrowed(configuration, one, judged, case.members, case.excuses)
                    for one in requested
                ),
                *single_list.without_comparison(lost, case.comparisons),
                *single_list.collapsed(configuration, requested),
                *single_list.ptx_dropped(configuration, case.archs, level),
                *_missing(case),
                *single_list.by_default(configuration),
                *single_list.not_examined(configuration),
            )
        ),
        devices=lost,
    )


def by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors, then warnings, then notes; within a level as they came."""
    return tuple(sorted(findings, key=lambda one: _RANK[one.level]))


def _losses(case: Case, lost: Sequence[DeviceLosses], configure: Configure) -> list[Finding]:
    causes = [
        cause
        for one in lost
        for cause in causes_of(one, case.excuses)
        if not _is_the_toolkits(cause, case.toolkit)
    ]
    remedies = _remedies(case, causes, lost, configure)
    found = [
        finding_of(cause, remedy, case.configuration.list_read)
        for cause, remedy in zip(causes, remedies, strict=True)
    ]
    return found + [one for each in lost for one in ptx_only(each, case.excuses)]


def _is_the_toolkits(cause: Cause, toolkit: Toolkit) -> bool:
    """Whether nothing comes out because the toolkit lacks the target, which is said by itself."""
    asked = cause.lost.subject.asked
    lacks = bool(asked) and not any(toolkit.knows(target) for target in asked)
    return lacks and cause.rule == "arch-dropped"


def _remedies(
    case: Case, causes: Sequence[Cause], lost: Sequence[DeviceLosses], configure: Configure
) -> list[Remedy]:
    """The remedy for each cause; without one, the members of the list that take the sources
    away.
    """
    trials = [trials_of(case.archs, one, case.toolkit) for one in causes]
    answers = configure(trial.archs for several in trials for trial in several)
    advised = [
        advice(one, several, answers, lost) for one, several in zip(causes, trials, strict=True)
    ]
    return [
        Remedy(found, () if found else _culprits(one, case.archs, configure))
        for one, found in zip(causes, advised, strict=True)
    ]


def _culprits(cause: Cause, archs: Archs, configure: Configure) -> tuple[Target, ...]:
    """The nearest members of the list that take the sources away; the others are not tried."""
    pairs = pairs_of(archs, cause)
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        some = pairs[start : start + _PAIRS_AT_ONCE]
        answers = configure(pair for _, pair in some)
        if found := tuple(other for other, pair in some if takes_away(cause, answers.get(pair))):
            return found
    return ()


def _missing(case: Case) -> Iterable[Finding]:
    """The required targets that no source is compiled as."""
    if case.required is not None:
        for one in missing_targets(case.required, [case.configuration]):
            yield target_missing(one, case.configuration)
