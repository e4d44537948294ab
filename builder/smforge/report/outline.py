"""The words and rows of a report for people; every format takes them from here.

Nothing is judged here. `smforge.report.finding_groups` has the findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from smforge.report import model
from smforge.report.state import (
    SHOWN,
    Counts,
    State,
    counts_of,
    device_state,
    state_of,
    total_of,
)
from smforge.report.text.wording import answer, plural
from smforge.verdict.rules import SUBJECT_UNREAD

NOTHING_REQUIRED = "nothing required"
_WORST_FIRST = ("fail", "undetermined", "nothing", NOTHING_REQUIRED, "pass")
COLUMNS: Mapping[str, Callable[[Counts], int]] = {
    "native": lambda one: one.native,
    "PTX": lambda one: one.ptx,
    "for others": lambda one: one.foreign,
    "missing": lambda one: one.missing,
    "unreachable": lambda one: one.unreachable,
    "not known": lambda one: one.unclear,
    "excused": lambda one: one.all_excused,
}
"""The columns of a table of devices."""
_RUNS = {
    State.NATIVE: "runs on",
    State.PTX: "runs on",
    State.PARTIAL: "runs in part on",
    State.NONE: "does not run on",
    State.EXCUSED: "does not run on",
    State.FOREIGN: "is not made for",
    State.UNCLEAR: "may or may not run on",
}
"""What a subject does on a device of this state."""
ALWAYS = frozenset({"native", "PTX", "for others", "missing", "excused"})
"""Columns that are shown even if all their numbers are 0."""


@dataclass(frozen=True, slots=True)
class Line:
    """One library of the coverage table, or many cubin files that are alike."""

    name: str
    size: int
    toolkit: str
    kernels: int | None
    devices: dict[str, Counts]


def verdict_word(report: model.Report) -> str:
    """The verdict for people: if nothing was required, it is not called a pass."""
    if report.verdict == "pass" and report.nothing_required:
        return NOTHING_REQUIRED
    return report.verdict


def headline(report: model.Report) -> str:
    """Answer the question in one line."""
    asked = " ".join(report.question.requirements)
    if verdict_word(report) == NOTHING_REQUIRED:
        return _nothing_required(report)
    return answer(
        report.verdict,
        [finding.rule for finding in report.findings if finding.level == "error"],
        passes=f"Covers {asked}." if asked else "Holds all that was expected.",
        fails=f"Does not cover {_not_covered(report)}" if asked else "Fails",
    )


def _not_covered(report: model.Report) -> str:
    """What was required and fails, and what of it does not: ``11.0 (it covers 12.1)``."""
    asked = report.question.requirements
    failing = {finding.device for finding in report.findings if finding.level == "error"}
    if None in failing:
        # What is wrong with a target or with the whole subject is not of one device.
        return " ".join(asked)
    covered = " ".join(one for one in asked if one not in failing)
    not_covered = " ".join(one for one in asked if one in failing)
    return f"{not_covered} (it covers {covered})" if covered else not_covered


def headline_of_all(reports: Sequence[model.Report]) -> str:
    """Answer for one subject or several in one line."""
    if len(reports) == 1:
        return headline(reports[0])
    verdicts = Counter(verdict_word(report) for report in reports)
    return f"{len(reports)} subjects: {', '.join(f'{n} {word}' for word, n in verdicts.items())}."


def _nothing_required(report: model.Report) -> str:
    """Say that it is no pass, and what runs where."""
    where: dict[str, list[str]] = {how: [] for how in _RUNS.values()}
    for device, tally in report.devices.items():
        if how := _RUNS.get(state_of(counts_of(tally))):
            where[how].append(device)
    parts = [f"{how} {' '.join(devices)}" for how, devices in where.items() if devices]
    runs = f"It {', '.join(parts)}." if parts else "No kernel of it could be judged."
    return f"Nothing was required, so this is no pass. {runs}"


def device_verdict(tally: model.DeviceTally) -> str:
    """The verdict on a device for people: where there is no kernel, none was judged."""
    return SHOWN[device_state(tally.verdict, counts_of(tally))].word or "nothing to judge"


def badness(report: model.Report) -> tuple[int, int]:
    """How bad the verdict of a subject is, to sort by: the worst first."""
    missing = sum(counts_of(tally).missing for tally in report.devices.values())
    return _WORST_FIRST.index(verdict_word(report)), -missing


def state_on(report: model.Report, device: str) -> State:
    """The state of a subject on a device, next to other subjects.

    It is not known where an error leaves it open whether all of the subject runs.
    """
    tally = report.devices.get(device)
    state = State.EMPTY if tally is None else state_of(counts_of(tally))
    if report.verdict != "undetermined" or state in {State.PARTIAL, State.NONE}:
        return state
    open_errors = (
        one for one in report.findings if one.level == "error" and one.device in {None, device}
    )
    return State.UNCLEAR if any(open_errors) else state


def unread(report: model.Report) -> bool:
    """Whether the subject could not be read, so that nothing is known of what it holds."""
    return any(finding.rule == SUBJECT_UNREAD.id for finding in report.findings)


def subject_line(report: model.Report) -> str:
    """Say what was audited, and what it holds."""
    subject = report.subject
    file = f" {subject.file}" if subject.file else ""
    parts = [subject.kind + file + (f" for {subject.platform}" if subject.platform else "")]
    if unread(report):
        return f"{parts[0]}, not read: it is not known what it holds"
    parts.append(plural(len(report.files), "file") + " with GPU code")
    if report.counted == "kernels":
        parts.append(plural(kernel_count(report), "kernel"))
    return ", ".join(parts)


def backend_line(report: model.Report) -> str:
    """Say who read the code, and whether both readers agree."""
    tool, compared = report.tool, report.comparison
    if tool.backend == "native":
        return f"smforge {tool.version}, native reader"
    if tool.backend == "cuobjdump" or compared is None:
        return f"smforge {tool.version}, cuobjdump {tool.cuobjdump}"
    agree = f"{compared.differences} differences" if compared.differences else "they agree"
    unread = f", {compared.unread} files not read by cuobjdump" if compared.unread else ""
    return (
        f"smforge {tool.version}, native reader and cuobjdump {tool.cuobjdump}: {agree} on "
        f"{compared.objects:,} code objects with {compared.kernels:,} kernel names{unread}"
    )


def kernel_count(report: model.Report) -> int:
    """All kernels of a report, counted on any of its devices: they have the same total."""
    return max((tally.kernels or 0 for tally in report.devices.values()), default=0)


def lines(report: model.Report) -> tuple[Line, ...]:
    """The coverage of each library, the worst first; cubin files of one folder as one line."""
    loose: dict[str, list[model.File]] = {}
    single: list[Line] = []
    for file in report.files:
        if file.path.endswith(".cubin"):
            loose.setdefault(file.path.rpartition("/")[0], []).append(file)
        else:
            single.append(_line(file.path, [file]))
    for folder, files in loose.items():
        name = files[0].path if len(files) == 1 else f"{folder or '.'}/ ({len(files):,} cubins)"
        single.append(_line(name, files))
    return tuple(sorted(single, key=_badness))


def reasons_for(report: model.Report, finding: model.Finding) -> list[str]:
    """Why the kernels of a finding are missing, in sentences, where that was asked."""
    return [
        reason_line(one)
        for one in report.reasons
        if finding.level == "error" and (one.file, one.device) == (finding.file, finding.device)
    ]


def reason_line(reason: model.Reason) -> str:
    """Say in one line why kernels are missing, and where that is decided."""
    place = "" if reason.location is None else f" {reason.location}"
    condition = f" ({reason.condition})" if reason.condition else ""
    end = f"{place}{condition}"
    return f"{plural(reason.kernels, 'kernel')}. {reason.message}{f' See{end}.' if end else ''}"


def forms(kernel: model.Kernel) -> list[str]:
    """What a kernel is embedded as: ``sm_80``, ``compute_90``."""
    return [
        *(f"sm_{target.replace('.', '')}" for target in kernel.targets),
        *(f"compute_{target.replace('.', '')}" for target in kernel.ptx),
    ]


def _line(name: str, files: list[model.File]) -> Line:
    tallies = [tally for file in files for tally in file.devices.values()]
    devices = {
        device: total_of((file.devices[device] for file in files), counts_of)
        for device in files[0].devices
    }
    total = max((counts.total for counts in devices.values()), default=0)
    toolkits = sorted({file.toolkit for file in files if file.toolkit})
    return Line(
        name,
        sum(file.size for file in files),
        " ".join(toolkits) if len(toolkits) < 3 else f"{toolkits[0]} to {toolkits[-1]}",
        total if all(tally.kernels is not None for tally in tallies) else None,
        devices,
    )


def _badness(line: Line) -> tuple[float, float, str]:
    cells = line.devices.values()
    return (
        -sum(one.missing + one.unclear for one in cells),
        -sum(one.ptx for one in cells),
        line.name,
    )
