"""The report as Markdown, for a step summary or a release note."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smforge.report import model, outline
from smforge.report.printable import printable
from smforge.report.wording import plural

MOST_BYTES = 1_000_000
"""GitHub refuses step summaries over 1 MiB; what does not fit is cut at a line, and said."""
_MOST_ROWS = 50
_MOST_LINES = 200
_ICONS = {"pass": "✅", "fail": "❌", "nothing": "❌", "undetermined": "❔"}
_CUT = "\n\n*The rest does not fit into a step summary; the JSON report has all of it.*\n"


def render_markdown(reports: Sequence[model.Report], most_bytes: int = MOST_BYTES) -> str:
    """Return the reports one after the other, at most `most_bytes` of UTF-8 in all."""
    text = "\n".join(line for report in reports for line in _lines(report)) + "\n"
    data = text.encode()
    if len(data) <= most_bytes:
        return text
    kept = data[: most_bytes - len(_CUT.encode())].decode("utf-8", "ignore")
    return kept.rpartition("\n")[0] + _CUT


def _lines(report: model.Report) -> Iterator[str]:
    yield f"## {_ICONS[report.verdict]} {_text(report.subject.name)}: {report.verdict}"
    yield ""
    yield _text(outline.headline(report))
    yield ""
    yield f"{_text(outline.subject_line(report))}; {_text(outline.backend_line(report))}."
    yield ""
    yield from _devices(report)
    for group in outline.groups(report):
        yield from _group(group)
    if report.exempted:
        yield from _exempted(report)
    yield from _coverage(report)
    yield from _kernels(report)


def _devices(report: model.Report) -> Iterator[str]:
    yield "| device | verdict | native | PTX | for others | missing | exempt |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for device, tally in report.devices.items():
        yield (
            f"| {device} | {tally.verdict} | {tally.native:,} | {tally.ptx:,} | "
            f"{tally.foreign:,} | {tally.missing:,} | {tally.exempt:,} |"
        )
    yield ""


def _group(group: outline.Group) -> Iterator[str]:
    about = f" {group.about}" if group.about else ""
    yield f"### {group.level} `{group.rule}`{about}: {_text(group.told)}"
    yield ""
    for row in group.rows[:_MOST_ROWS]:
        yield "- " + " ".join(
            part
            for part in (_code(row.file) if row.file else "", row.share, _text(row.detail))
            if part
        )
        for family in row.families:
            yield f"  - {family.count:,} {_code(family.name)}"
        if row.more:
            yield f"  - {row.more}"
    if len(group.rows) > _MOST_ROWS:
        yield f"- and {len(group.rows) - _MOST_ROWS:,} more"
    if group.remedy:
        yield ""
        yield f"*{_text(group.remedy)}*"
    yield ""


def _exempted(report: model.Report) -> Iterator[str]:
    yield "### exempted by policy"
    yield ""
    for one in report.exempted:
        expires = f", until {one.expires}" if one.expires else ""
        yield (
            f"- {plural(one.kernels, 'kernel')} on {' '.join(one.devices)}: {_code(one.pattern)} "
            f"({_text(one.policy)}{expires}): {_text(one.reason)} {_text(one.reference or '')}"
        )
    yield ""


def _coverage(report: model.Report) -> Iterator[str]:
    if not report.files:
        return
    devices = list(report.devices)
    yield "| library | MB | CUDA | " + " | ".join(devices) + " |"
    yield "|---|--:|---|" + "---|" * len(devices)
    lines = outline.lines(report)
    for line in lines[:_MOST_LINES]:
        cells = " | ".join(outline.brief(line.devices[device]) for device in devices)
        yield f"| {_code(line.name)} | {line.size / 1e6:,.1f} | {line.toolkit or '?'} | {cells} |"
    yield ""
    if len(lines) > _MOST_LINES:
        yield f"and {len(lines) - _MOST_LINES:,} more"
        yield ""


def _kernels(report: model.Report) -> Iterator[str]:
    for file in report.files:
        if not file.kernels:
            continue
        yield f"<details><summary>{len(file.kernels):,} kernels of {_text(file.path)}</summary>"
        yield ""
        for kernel in file.kernels:
            forms = [f"sm_{target.replace('.', '')}" for target in kernel.targets]
            forms += [f"compute_{target.replace('.', '')}" for target in kernel.ptx]
            yield f"- {_code(kernel.demangled)} {' '.join(forms)}"
        yield ""
        yield "</details>"
        yield ""


def _text(text: str) -> str:
    """Write foreign text so that nothing of it is taken for markup."""
    escaped = printable(" ".join(text.split())).replace("\\", "\\\\")
    for character in "`*_[]|#":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def _code(text: str) -> str:
    """Write foreign text as code, also within a table."""
    flat = printable(" ".join(text.split())).replace("|", "\\|")
    fence = "``" if "`" in flat else "`"
    return f"{fence} {flat} {fence}" if fence == "``" else f"`{flat}`"
