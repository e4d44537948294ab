"""Says why kernels are missing on a device: which source, and which line of CMake.

An audit knows the name of the file that each region was compiled from. Preflight knows which
targets the sources of the release give to that file, and where they choose them. The sources are
configured with the list of the build (the devices it has machine code for) and the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from smforge.arch.platforms import PROCESSORS
from smforge.arch.target import ComputeCapability, Target
from smforge.arch.toolkits import toolkit
from smforge.errors import UsageError
from smforge.findings import Location
from smforge.preflight.cache import Cache
from smforge.preflight.compare.losses import Reach, reach
from smforge.preflight.records import Choice, Unit
from smforge.preflight.sources.fetch import fetch_sdist
from smforge.preflight.sources.tree import Project, distribution, open_source
from smforge.report import model
from smforge.verdict.names import families
from smforge.verdict.records import Verdict
from smforge.workflow.why.missing import Missing, missing_on
from smforge.workflow.why.release import (
    ReleaseSources,
    gives,
    units_like,
    units_named,
    units_of,
)

_Sources = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """The reason for one region; regions with equal reasons are shown together."""

    file: str
    cause: model.Cause
    message: str
    location: Location | None = None
    condition: str | None = None


Fetch = Callable[[str], Path]
"""Gives the sources of a release of vLLM: its sdist, or a tree."""


def fetch_into(cache: Cache) -> Fetch:
    """Fetch sdists as preflight does.

    What it gives raises `ToolError` if no index has the release, and `DamagedInputError` if it
    arrives damaged.
    """
    return lambda version: fetch_sdist(
        distribution(Project.VLLM), version, cache.directory / "sdists"
    )


def with_reasons(
    report: model.Report, verdict: Verdict, fetch: Fetch, cache: Cache
) -> model.Report:
    """The report with a reason for every kernel that is missing on a required device.

    Raises `UsageError` for a subject that is no wheel of vLLM, and what fetching and configuring
    its sources raise.
    """
    version = vllm_release(report.subject)
    wanted = [
        (device, missing)
        for device in verdict.view.request.requirements.devices
        if (missing := tuple(missing_on(verdict, device)))
    ]
    if not wanted:
        return report
    sources = ReleaseSources(
        source=open_source(fetch(version)),
        cuda=_toolkit(report),
        processor=_processor(report),
        listed=tuple(sorted(_listed(verdict))),
        cache=cache,
    )
    reasons = [one for device, missing in wanted for one in _of_device(device, missing, sources)]
    return replace(report, reasons=tuple(reasons))


def vllm_release(subject: model.Subject) -> str:
    """The release that a wheel's name states. Raises `UsageError` for anything but vLLM's wheel."""
    from packaging.utils import (  # noqa: PLC0415  # defers packaging
        InvalidWheelFilename,
        parse_wheel_filename,
    )

    try:
        name, version, _, _ = parse_wheel_filename(subject.file or subject.name)
    except InvalidWheelFilename:
        name = None
    if subject.kind != "wheel" or name != distribution(Project.VLLM):
        raise UsageError(
            f"--why knows the sources of vLLM's wheels alone, and {subject.name} is none.",
            remedy="Leave it out, or audit the wheel: vllm-0.33.0-….whl.",
        )
    return version.public


def _toolkit(report: model.Report) -> str:
    """The newest CUDA release that made code of the wheel: the one that the build used."""
    known = [one.toolkit for one in report.files if one.toolkit]
    if not known:
        raise UsageError(
            f"{report.subject.name} does not say which CUDA release made its code, so its sources "
            "cannot be configured as they were.",
            remedy="Leave --why out.",
        )
    return max(known, key=lambda text: tuple(map(int, text.split("."))))


def _processor(report: model.Report) -> str:
    platform = report.subject.platform
    if platform is None or platform not in PROCESSORS:
        raise UsageError(
            f"--why knows vLLM's wheels for {' and '.join(PROCESSORS)}, and {report.subject.name} "
            f"is for {platform or 'no known platform'}.",
            remedy="Leave it out.",
        )
    return PROCESSORS[platform]


def _listed(verdict: Verdict) -> set[ComputeCapability]:
    """The devices that the wheel has machine code for."""
    return {
        target.capability
        for file in verdict.view.files
        for group in file.groups
        for target in group.embedded.cubins
    }


def _of_device(
    device: ComputeCapability, missing: tuple[Missing, ...], sources: ReleaseSources
) -> Iterator[model.Reason]:
    """The reasons for one device, those for the most kernels first."""
    joined = _Joining(device, sources)
    together: dict[_Found, list[tuple[Missing, _Sources]]] = {}
    for one in missing:
        found, named = joined.found(one)
        together.setdefault(found, []).append((one, named))
    ordered = sorted(together.items(), key=lambda item: -sum(len(m.kernels) for m, _ in item[1]))
    for found, parts in ordered:
        names = [name for one, _ in parts for name in one.kernels]
        yield model.Reason(
            device=str(device),
            file=found.file,
            cause=found.cause,
            message=found.message,
            location=None if found.location is None else str(found.location),
            condition=found.condition,
            kernels=len(names),
            families=tuple(
                model.Family(name=family.name, count=family.count) for family in families(names)
            ),
            sources=tuple(sorted({source for _, named in parts for source in named})),
        )


class _Joining:
    """Finds the reason for a region."""

    def __init__(self, device: ComputeCapability, sources: ReleaseSources) -> None:
        self._device = device
        self._sources = sources
        self._beside = sources.beside_others(device)
        self._alone = sources.alone(device)
        self._built = sources.as_built()

    def found(self, one: Missing) -> tuple[_Found, _Sources]:
        """The reason, and the paths of the sources."""
        cuda = self._sources.cuda
        if not toolkit(cuda).knows(Target(self._device)):
            message = f"CUDA {cuda}, which made this code, does not know {self._device}."
            return _Found(one.file, "not-supported", message), ()
        if self._beside.refusal is not None:
            refused = self._beside.refusal.message
            return self._unknown(one, f"The sources refuse the list: {refused}"), ()
        return self._of_nameless(one) if one.source is None else self._of_named(one, one.source)

    def _of_nameless(self, one: Missing) -> tuple[_Found, _Sources]:
        """By its code a region can be one of several sources, which have one reason or many."""
        alike = units_like(self._built, one.file, one.named, one.targets, one.ptx)
        now = {unit.source: unit for unit in units_of(self._beside, one.file)}
        found = {self._of_unit(one, now.get(unit.source, unit)) for unit in alike}
        if len(found) != 1:
            return self._unknown(one, "Their symbols do not name the source."), ()
        (reason,) = found
        message = f"{reason.message} By their code they are of one of these sources."
        return replace(reason, message=message), tuple(unit.source for unit in alike)

    def _of_named(self, one: Missing, name: str) -> tuple[_Found, _Sources]:
        units = units_named(self._beside, one.file, name)
        if not units:
            return self._without_unit(one), (name,)
        unit = next((each for each in units if frozenset(each.targets) == one.targets), units[0])
        if len({each.location for each in units}) > 1 and frozenset(unit.targets) != one.targets:
            return self._unknown(one, "Several sources of the library have its name."), (name,)
        return self._of_unit(one, unit), (unit.source,)

    def _of_unit(self, one: Missing, unit: Unit) -> _Found:
        choice = self._sources.choice_for(unit, self._beside)
        device = self._device
        if one.has_code:
            return _Found(
                one.file,
                "within-source",
                f"Their sources are compiled for {device}, and that code lacks them: the sources "
                "leave them out there.",
                unit.location,
            )
        if not unit.gencode:
            return self._unknown(one, "No line of CMake chooses their architectures.")
        if reach(unit, device) is not Reach.NONE:
            if device in self._sources.listed:
                message = "By its sources this build should have them; its list is not known."
                return self._unknown(one, message)
            message = (
                f"Their sources are compiled for {device} if the arch list has {device}. By its "
                "code, the list of this build had not."
            )
            if choice is None or not gives(choice, device):
                # A source can get targets from several places; the one for all comes last.
                choice = self._for_all()
            return _found(one, "not-listed", message, unit, choice)
        if any(
            reach(each, device) is not Reach.NONE
            for each in units_of(self._alone, one.file)
            if each.source == unit.source and each.gencode
        ):
            message = (
                f"Their sources are compiled for {device} only if it is alone in the arch list."
            )
            return _found(one, "taken-away", message, unit, choice)
        message = (
            f"Their sources are not compiled for {device}, alone in the list or beside others."
        )
        if choice is not None and gives(choice, device):
            choice = None
        return _found(one, "not-supported", message, unit, choice)

    def _for_all(self) -> Choice | None:
        """The line that takes from the list what the release supports at all."""
        place = self._beside.list_read
        return next((one for one in self._beside.choices if one.location == place), None)

    def _without_unit(self, one: Missing) -> _Found:
        if units_of(self._beside, one.file):
            return self._unknown(one, "The sources of the release compile no file of that name.")
        return _Found(
            one.file,
            "not-examined",
            "An external project makes this library, and its sources were not examined.",
        )

    @staticmethod
    def _unknown(one: Missing, message: str) -> _Found:
        return _Found(one.file, "not-known", message)


def _found(
    one: Missing, cause: model.Cause, message: str, unit: Unit, choice: Choice | None
) -> _Found:
    if choice is None:
        return _Found(one.file, cause, message, unit.location)
    supported = choice.supported or "9.0 and newer"
    return _Found(one.file, cause, message, choice.location, f"{choice.variable}: {supported}")
