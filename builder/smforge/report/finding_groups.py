"""Groups and sorts the findings of a report for people.

Errors come first, findings of one rule are together, findings that repeat for several devices are
shown once, and kernels are counted by family. Nothing is judged here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from smforge.findings import Family, Member
from smforge.report import model
from smforge.report.text.wording import plural
from smforge.verdict.rules import RULE_BY_ID, UNSEEN_CODE

LEVELS = ("error", "warning", "note")
_SHOWN_FAMILIES = 3
ANY_DEVICE = "\0"
"""Replaces the device's name while sentences are compared."""
_TOLD_TOGETHER = {
    "device-missing": "{kernels} in {libraries} cannot run, and nothing there can",
    "kernels-missing": "{kernels} in {libraries} cannot run",
    "device-ptx-only": "{kernels} in {libraries}: PTX alone, which the driver must compile",
    "device-foreign": "{libraries} made for other devices by design",
    "alternative-code": "{kernels} in {libraries}: other code of the same names is loaded instead",
    "device-sibling": "{kernels} in {libraries}: for related devices, not for this one",
    "target-absent": "{libraries} without it",
    "ptx-newer-than-driver": "{kernels} in {libraries}: PTX alone, too new for driver {driver}",
    "ptx-driver-unknown": "{kernels} in {libraries}: not known if driver {driver} reads the PTX",
    "driver-too-old": "{libraries} too new for driver {driver}",
    "pick-unknown": "{kernels} in {libraries} depend on which of several code objects is picked",
    "suffix-unknown": "{kernels} in {libraries} depend on a suffix that is not recorded",
    "unseen-code": "{libraries} with GPU code that cuobjdump does not see",
    "unjudged-code": "{libraries} with GPU code but no kernel to judge",
}
"""The one line for several findings of one rule, or for one finding in a list."""


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


def groups(report: model.Report) -> tuple[Group, ...]:
    """Gather the findings by rule and device, the heaviest first.

    Findings that several devices have in common are one group.
    """
    gathered: dict[tuple[str, str, str], list[model.Finding]] = {}
    for finding in report.findings:
        about = finding.device or finding.target or ""
        gathered.setdefault((finding.level, finding.rule, about), []).append(finding)
    files = {file.path: file for file in report.files}
    found = [_group(report, key, findings, files) for key, findings in gathered.items()]
    # A saved report may hold rules of another release.
    order = {rule: position for position, rule in enumerate(RULE_BY_ID)}
    return tuple(
        sorted(_joined(found), key=lambda g: (LEVELS.index(g.level), order.get(g.rule, len(order))))
    )


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
        alone = len(findings) == 1 or rule not in RULE_BY_ID
        told = findings[0].message if alone else RULE_BY_ID[rule].summary
        rows = () if len(findings) == 1 else tuple(_plain_row(finding) for finding in findings)
    else:
        number = sum(family.count for finding in listed for family in finding.families)
        told = template.format(
            kernels=plural(number, "kernel") if number else "code",
            libraries=plural(len(listed), "library", "libraries"),
            driver=report.question.driver,
        )
        # Findings about the whole subject come before findings about its libraries.
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
