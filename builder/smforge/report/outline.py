"""A report in the order in which a person reads it; the table, Markdown and HTML all follow it.

What fails comes first, findings of one rule and device are told as one, and kernels are counted
by family. Nothing is judged here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from smforge.findings import Family, Member
from smforge.report import model
from smforge.report.state import Counts, counts_of, together
from smforge.report.wording import answer, plural
from smforge.verdict.rules import RULE_BY_ID, UNSEEN_CODE

NOTHING_REQUIRED = "nothing required"
LEVELS = ("error", "warning", "note")
_SHOWN_FAMILIES = 3
ANY_DEVICE = "\0"
"""Stands for any device while sentences are compared."""

_TOLD_TOGETHER = {
    "device-missing": "{kernels} in {libraries} cannot run, and nothing there can",
    "kernels-missing": "{kernels} in {libraries} cannot run",
    "device-ptx-only": "{kernels} in {libraries}: PTX alone, which the driver must compile",
    "device-foreign": "{libraries} made for other devices by design",
    "device-sibling": "{kernels} in {libraries}: for relatives of this device, not for it",
    "target-absent": "{libraries} without it",
    "ptx-newer-than-driver": "{kernels} in {libraries}: PTX alone, too new for driver {driver}",
    "ptx-driver-unknown": "{kernels} in {libraries}: nobody knows if driver {driver} reads the PTX",
    "driver-too-old": "{libraries} too new for driver {driver}",
    "suffix-unknown": "{kernels} in {libraries} depend on a suffix that is not recorded",
    "unseen-code": "{libraries} with GPU code that cuobjdump does not see",
    "unjudged-code": "{libraries} with GPU code but no kernel to judge",
}
"""How several findings of one rule, or one that stands in a list, are told in one line."""


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
ALWAYS = frozenset({"native", "PTX", "for others", "missing", "excused"})
"""Columns that stand there although all their numbers are 0."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Kernels below a library: a family, or one that is named in full."""

    count: int
    name: str
    embedded: str = ""
    """``sm_80 compute_90``, of a kernel that is named in full."""


@dataclass(frozen=True, slots=True)
class Row:
    """One library in a group of findings."""

    file: str
    share: str
    """``3,115 of 5,003 kernels``; empty where a rule does not count."""
    detail: str
    """The finding's own words, where there are no families to show."""
    families: tuple[Listed, ...]
    """The largest, and in place of a family of few its members."""
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
    devices: dict[str, Counts]


def verdict_word(report: model.Report) -> str:
    """The verdict for people: a pass of nothing required is none."""
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
        fails=f"Does not cover {asked}" if asked else "Fails",
    )


def headline_of_all(reports: Sequence[model.Report]) -> str:
    """Answer for one subject or several in one line."""
    if len(reports) == 1:
        return headline(reports[0])
    verdicts = Counter(verdict_word(report) for report in reports)
    return f"{len(reports)} subjects: {', '.join(f'{n} {word}' for word, n in verdicts.items())}."


def _nothing_required(report: model.Report) -> str:
    """Say that it is no pass, and what runs where."""
    where = {
        "runs on": [d for d, one in report.devices.items() if one.verdict in {"native", "ptx"}],
        "runs in part on": [d for d, one in report.devices.items() if one.verdict == "partial"],
        "does not run on": [d for d, one in report.devices.items() if one.verdict == "none"],
    }
    parts = [f"{how} {' '.join(devices)}" for how, devices in where.items() if devices]
    return f"Nothing was required, so this is no pass. It {', '.join(parts)}."


def subject_line(report: model.Report) -> str:
    """Say what was audited and by what."""
    subject = report.subject
    parts = [subject.kind + (f" for {subject.platform}" if subject.platform else "")]
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


def groups(report: model.Report) -> tuple[Group, ...]:
    """Gather the findings by rule and device, the heaviest first.

    What several devices have in common stands in one group.
    """
    gathered: dict[tuple[str, str, str], list[model.Finding]] = {}
    for finding in report.findings:
        about = finding.device or finding.target or ""
        gathered.setdefault((finding.level, finding.rule, about), []).append(finding)
    files = {file.path: file for file in report.files}
    found = [_group(report, key, findings, files) for key, findings in gathered.items()]
    order = list(RULE_BY_ID)
    return tuple(sorted(_joined(found), key=lambda g: (LEVELS.index(g.level), order.index(g.rule))))


def _joined(found: list[Group]) -> Iterator[Group]:
    """Join the groups that differ in their device alone."""
    alike: dict[Group, list[str]] = {}
    for group in found:
        alike.setdefault(_renamed(group, group.about, ANY_DEVICE), []).append(group.about)
    for group, about in alike.items():
        yield replace(_renamed(group, ANY_DEVICE, listed(about)), about=" ".join(about))


def _renamed(group: Group, old: str, new: str) -> Group:
    """A group with one device in place of another, wherever its sentences name it."""
    rows = tuple(replace(row, detail=renamed(row.detail, old, new)) for row in group.rows)
    remedy = None if group.remedy is None else renamed(group.remedy, old, new)
    return replace(group, about=new, told=renamed(group.told, old, new), rows=rows, remedy=remedy)


def renamed(text: str, old: str, new: str) -> str:
    """A sentence with one device in place of another."""
    if not old:
        return text
    return re.sub(rf"(?<![\w.]){re.escape(old)}(?![\w]|\.\w)", new, text)


def listed(names: list[str]) -> str:
    """``9.0``, ``9.0 and 12.1``, ``8.0, 9.0 and 12.1``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


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


def embedded(file: model.File) -> str:
    """What a file holds in target names: ``sm_80 sm_90a compute_80``."""
    forms = {"cubin": "sm_", "old-cubin": "sm_", "ptx": "compute_"}
    found = dict.fromkeys(
        forms[item.kind] + item.target.replace(".", "")
        for item in (*file.objects, *file.unseen)
        if item.kind in forms
    )
    return " ".join(found)


def forms(kernel: model.Kernel) -> list[str]:
    """What a kernel is embedded as: ``sm_80``, ``compute_90``."""
    return [
        *(f"sm_{target.replace('.', '')}" for target in kernel.targets),
        *(f"compute_{target.replace('.', '')}" for target in kernel.ptx),
    ]


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
            kernels=plural(number, "kernel") if number else "code",
            libraries=plural(len(listed), "library", "libraries"),
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
            name += f" and {plural(len(same) - 1, 'copy', 'copies')}"
        yield replace(_row(same[0], file), file=name)


def _row(finding: model.Finding, file: model.File) -> Row:
    number = sum(family.count for family in finding.families)
    share = ""
    detail = ""
    if number and finding.device is not None:
        total = file.devices[finding.device].kernels or number
        share = f"{number:,} of {total:,} kernels"
    elif finding.rule == UNSEEN_CODE.id:
        detail = plural(sum(item.count for item in file.unseen), "code object")
    else:
        detail = embedded(file)
    shown = finding.families[:_SHOWN_FAMILIES]
    rest = finding.families[_SHOWN_FAMILIES:]
    more = ""
    if rest:
        left = sum(family.count for family in rest)
        more = f"{left:,} in {plural(len(rest), 'more family', 'more families')}"
    listed = tuple(entry for family in shown for entry in in_full(family))
    return Row(file.path, share, detail, listed, more)


def in_full(family: model.Family | Family) -> Iterator[Listed]:
    """A family, or in its place its members, each with what it is embedded as."""
    if not family.members:
        yield Listed(family.count, family.name)
    members: Counter[model.Member | Member] = Counter(family.members)
    for member, count in members.items():
        yield Listed(count, member.name, " ".join(member.embedded))


def _plain_row(finding: model.Finding) -> Row:
    return Row("", "", finding.message, (), "")


def _line(name: str, files: list[model.File]) -> Line:
    tallies = [tally for file in files for tally in file.devices.values()]
    devices = {
        device: together(counts_of(file.devices[device]) for file in files)
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
