"""A report in the order in which a person reads it; the table, Markdown and HTML all follow it.

What fails comes first, findings of one rule and device are told as one, and kernels are counted
by family. Nothing is judged here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from smforge.report import model
from smforge.verdict.rules import RULE_BY_ID, UNSEEN_CODE

LEVELS = ("error", "warning", "note")
_SHOWN_FAMILIES = 3

_TOLD_TOGETHER = {
    "device-missing": "{kernels} in {libraries} cannot run, and nothing there can",
    "kernels-missing": "{kernels} in {libraries} cannot run",
    "device-ptx-only": "{kernels} in {libraries}: PTX alone, which the driver must compile",
    "device-foreign": "{libraries} made for other devices by design",
    "device-sibling": "{kernels} in {libraries}: for relatives of this device, not for it",
    "target-absent": "{libraries} without it",
    "ptx-newer-than-driver": "{kernels} in {libraries}: PTX alone, too new for driver {driver}",
    "ptx-driver-unknown": "{kernels} in {libraries}: nobody knows if driver {driver} reads the PTX",
    "driver-too-old": "machine code in {libraries} needs a driver newer than {driver}",
    "suffix-unknown": "{kernels} in {libraries} depend on a suffix that is not recorded",
    "unseen-code": "{libraries} with GPU code that cuobjdump does not see",
    "unjudged-code": "{libraries} with GPU code but no kernel to judge",
}
"""How several findings of one rule, or one that stands in a list, are told in one line."""


class Mark(StrEnum):
    """The state of a library on a device, in one character."""

    NATIVE = "●"
    PTX = "P"
    PARTIAL = "◐"
    NONE = "✗"
    EXEMPT = "e"
    FOREIGN = "-"
    EMPTY = " "


MARKS = {
    Mark.NATIVE: "native",
    Mark.PTX: "part from PTX",
    Mark.PARTIAL: "kernels missing",
    Mark.NONE: "nothing runs",
    Mark.EXEMPT: "excused",
    Mark.FOREIGN: "made for other devices",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One library in a group of findings."""

    file: str
    share: str
    """``3,115 of 5,003 kernels``; empty where a rule does not count."""
    detail: str
    """The finding's own words, where there are no families to show."""
    families: tuple[model.Family, ...]
    """The largest."""
    more: str
    """``1,670 in 114 more families``; empty where all are shown."""


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one rule about one device or target."""

    level: str
    rule: str
    about: str
    """The device or target; empty where the rule is about neither."""
    told: str
    """All of it in one line."""
    rows: tuple[Row, ...]
    remedy: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One library of the coverage table, or many cubin files that are alike."""

    name: str
    size: int
    toolkit: str
    kernels: int | None
    devices: dict[str, model.Tally]


def headline(report: model.Report) -> str:
    """Answer the question in one line."""
    errors = [finding for finding in report.findings if finding.level == "error"]
    asked = " ".join(report.question.requirements)
    match report.verdict:
        case "pass":
            return f"Covers {asked}." if asked else "Holds GPU code; nothing was required of it."
        case "nothing":
            return "No GPU code found: there is nothing to pass or to fail."
        case "undetermined":
            count = _count(len(errors), "thing", "things")
            return f"No verdict: {count} could not be established, and no data is never a pass."
        case _:
            rules = Counter(finding.rule for finding in errors)
            named = ", ".join(f"{rule} ({number})" for rule, number in rules.most_common())
            return f"Does not cover {asked}: {named}." if asked else f"Fails: {named}."


def subject_line(report: model.Report) -> str:
    """Say what was audited and by what."""
    subject = report.subject
    parts = [subject.kind + (f" for {subject.platform}" if subject.platform else "")]
    parts.append(_count(len(report.files), "file", "files") + " with GPU code")
    if report.counted == "kernels":
        parts.append(_count(kernel_count(report), "kernel", "kernels"))
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


def groups(report: model.Report) -> tuple[Group, ...]:
    """Gather the findings by rule and device, the heaviest first."""
    gathered: dict[tuple[str, str, str], list[model.Finding]] = {}
    for finding in report.findings:
        about = finding.device or finding.target or ""
        gathered.setdefault((finding.level, finding.rule, about), []).append(finding)
    files = {file.path: file for file in report.files}
    found = [_group(report, key, findings, files) for key, findings in gathered.items()]
    order = list(RULE_BY_ID)
    return tuple(sorted(found, key=lambda g: (LEVELS.index(g.level), order.index(g.rule))))


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


def mark(tally: model.Tally) -> Mark:
    """The state of a library on a device in one character."""
    runs = tally.native + tally.ptx
    if tally.missing > tally.exempt:
        return Mark.PARTIAL if runs else Mark.NONE
    if tally.exempt and not runs:
        return Mark.EXEMPT
    if not runs:
        return Mark.FOREIGN if tally.foreign or tally.unreachable else Mark.EMPTY
    return Mark.PTX if tally.ptx else Mark.NATIVE


def words(tally: model.Tally) -> str:
    """The state of a library on a device in words: ``12 missing, 3 PTX, 80 native``."""
    excused = f" ({tally.exempt:,} excused)" if tally.exempt else ""
    parts = [
        f"{number:,} {word}"
        for number, word in (
            (tally.missing, f"missing{excused}"),
            (tally.ptx, "PTX" if tally.missing else f"PTX{excused}"),
            (tally.native, "native"),
            (tally.foreign, "for others"),
            (tally.unreachable, "unreachable"),
        )
        if number
    ]
    if len(parts) == 1:
        return "all " + parts[0].partition(" ")[2]
    return ", ".join(parts)


def brief(tally: model.Tally) -> str:
    """The state of a library on a device in a mark and two words: ``◐ 12 missing``."""
    state = mark(tally)
    match state:
        case Mark.NATIVE:
            return f"{state} native"
        case Mark.PTX:
            return f"{state} {tally.ptx:,} PTX"
        case Mark.FOREIGN:
            return f"{state} for others"
        case Mark.EXEMPT:
            return f"{state} {tally.exempt:,} excused"
        case Mark.EMPTY:
            return ""
        case _:
            return f"{state} {tally.missing - tally.exempt:,} missing"


def embedded(file: model.File) -> str:
    """What a file holds in target names: ``sm_80 sm_90a compute_80``."""
    forms = {"cubin": "sm_", "old-cubin": "sm_", "ptx": "compute_"}
    found = dict.fromkeys(
        forms[item.kind] + item.target.replace(".", "")
        for item in (*file.objects, *file.unseen)
        if item.kind in forms
    )
    return " ".join(found)


def _group(
    report: model.Report,
    key: tuple[str, str, str],
    findings: list[model.Finding],
    files: dict[str, model.File],
) -> Group:
    level, rule, about = key
    template = _TOLD_TOGETHER.get(rule)
    listed = [finding for finding in findings if finding.file in files]
    others = [finding for finding in findings if finding.file not in files]
    if template is None or not listed:
        told = findings[0].message if len(findings) == 1 else RULE_BY_ID[rule].summary
        rows = () if len(findings) == 1 else tuple(_plain_row(finding) for finding in findings)
    else:
        number = sum(family.count for finding in listed for family in finding.families)
        told = template.format(
            kernels=_count(number, "kernel", "kernels") if number else "code",
            libraries=_count(len(listed), "library", "libraries"),
            driver=report.question.driver,
        )
        # What is said of the subject as a whole goes before what is said of its libraries.
        told = " ".join([*(finding.message for finding in others), f"{told}."])
        rows = tuple(_rows(listed, files))
    remedies = dict.fromkeys(finding.remedy for finding in findings)
    return Group(level, rule, about, told, rows, next(iter(remedies)))


def _rows(findings: list[model.Finding], files: dict[str, model.File]) -> Iterator[Row]:
    """A row for each library; identical copies of one file share theirs."""
    copies: dict[str, list[model.Finding]] = {}
    for finding in findings:
        assert finding.file is not None
        copies.setdefault(files[finding.file].sha256 or finding.file, []).append(finding)
    for same in copies.values():
        file = files[same[0].file or ""]
        name = file.path
        if len(same) > 1:
            name += f" and {_count(len(same) - 1, 'copy', 'copies')}"
        yield replace(_row(same[0], file), file=name)


def _row(finding: model.Finding, file: model.File) -> Row:
    number = sum(family.count for family in finding.families)
    share = ""
    detail = ""
    if number and finding.device is not None:
        total = file.devices[finding.device].kernels or number
        share = f"{number:,} of {total:,} kernels"
    elif finding.rule == UNSEEN_CODE.id:
        detail = _count(sum(item.count for item in file.unseen), "code object", "code objects")
    else:
        detail = embedded(file)
    shown = finding.families[:_SHOWN_FAMILIES]
    rest = finding.families[_SHOWN_FAMILIES:]
    more = ""
    if rest:
        left = sum(family.count for family in rest)
        more = f"{left:,} in {_count(len(rest), 'more family', 'more families')}"
    return Row(file.path, share, detail, shown, more)


def _plain_row(finding: model.Finding) -> Row:
    return Row("", "", finding.message, (), "")


def _line(name: str, files: list[model.File]) -> Line:
    devices = {device: _sum(file.devices[device] for file in files) for device in files[0].devices}
    kernels = max((tally.kernels or 0 for tally in devices.values()), default=0)
    toolkits = sorted({file.toolkit for file in files if file.toolkit})
    return Line(
        name,
        sum(file.size for file in files),
        " ".join(toolkits) if len(toolkits) < 3 else f"{toolkits[0]} to {toolkits[-1]}",
        kernels if all(tally.kernels is not None for tally in devices.values()) else None,
        devices,
    )


def _sum(tallies: Iterable[model.Tally]) -> model.Tally:
    several = tuple(tallies)
    kernels = [one.kernels for one in several if one.kernels is not None]
    return model.Tally(
        kernels=sum(kernels) if len(kernels) == len(several) else None,
        native=sum(one.native for one in several),
        ptx=sum(one.ptx for one in several),
        foreign=sum(one.foreign for one in several),
        missing=sum(one.missing for one in several),
        unreachable=sum(one.unreachable for one in several),
        exempt=sum(one.exempt for one in several),
    )


def _badness(line: Line) -> tuple[float, float, str]:
    tallies = line.devices.values()
    missing = sum(tally.missing - tally.exempt for tally in tallies)
    return (-missing, -sum(tally.ptx for tally in tallies), line.name)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
