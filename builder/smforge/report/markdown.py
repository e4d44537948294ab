"""The report as Markdown, for a step summary or a release note."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smforge.report import finding_groups, model, outline
from smforge.report.closing import closing_markdown, has_closing
from smforge.report.state import brief, counts_of
from smforge.report.text.markdown import cell_code, code, html, link, plain
from smforge.report.text.wording import plural

MOST_BYTES = 1_000_000
"""GitHub refuses step summaries over 1 MiB; what does not fit is cut at a line, and said."""
_MOST_ROWS = 50
_MOST_LINES = 200
_ICONS = {
    "pass": "✅",
    "fail": "❌",
    "nothing": "❌",
    "undetermined": "❔",
    outline.NOTHING_REQUIRED: "⚪",
}
_CUT = "\n\n*The rest does not fit into a step summary; the JSON report has all of it.*\n"


def render_markdown(
    reports: Sequence[model.Report], most_bytes: int = MOST_BYTES, *, without_code: int = 0
) -> str:
    """Return the reports one after the other, at most `most_bytes` of UTF-8 in all.

    A table of all subjects comes first: it stays where the text is cut.
    """
    lines = [line for report in reports for line in _lines(report)]
    if has_closing(reports, without_code):
        lines = [*closing_markdown(reports, without_code), *lines]
    text = "\n".join(lines) + "\n"
    data = text.encode()
    if len(data) <= most_bytes:
        return text
    kept = data[: most_bytes - len(_CUT.encode())].decode("utf-8", "ignore")
    return kept.rpartition("\n")[0] + _CUT


def _lines(report: model.Report) -> Iterator[str]:
    verdict = outline.verdict_word(report)
    yield f"## {_ICONS[verdict]} {plain(report.subject.name)}: {verdict}"
    yield ""
    yield plain(outline.headline(report))
    yield ""
    yield f"{plain(outline.subject_line(report))}; {plain(outline.backend_line(report))}."
    yield ""
    yield from _devices(report)
    for group in finding_groups.groups(report):
        yield from _group(group)
    for reason in report.reasons:
        yield from _reason(reason)
    if report.exempted:
        yield from _excused(report)
    yield from _coverage(report)
    yield from _kernels(report)


def _devices(report: model.Report) -> Iterator[str]:
    """Every kernel is counted once; what hardly any report has gets a column where it is there."""
    counted = {device: counts_of(tally) for device, tally in report.devices.items()}
    columns = [
        (word, [number(one) for one in counted.values()])
        for word, number in outline.COLUMNS.items()
    ]
    shown = [(word, found) for word, found in columns if any(found) or word in outline.ALWAYS]
    yield "| device | verdict | " + " | ".join(word for word, _ in shown) + " |"
    yield "|---|---|" + "--:|" * len(shown)
    for position, (device, tally) in enumerate(report.devices.items()):
        numbers = " | ".join(f"{found[position]:,}" for _, found in shown)
        yield f"| {device} | {outline.device_verdict(tally)} | {numbers} |"
    yield ""


def _group(group: finding_groups.Group) -> Iterator[str]:
    about = f" {group.about}" if group.about else ""
    yield f"### {group.level} `{group.rule}`{about}: {plain(group.told)}"
    yield ""
    for row in group.rows[:_MOST_ROWS]:
        yield "- " + " ".join(
            part
            for part in (code(row.file) if row.file else "", row.share, plain(row.detail))
            if part
        )
        for one in row.families:
            yield f"  - {one.count:,} {code(one.name)} {one.embedded}".rstrip()
        if row.more:
            yield f"  - {row.more}"
    if len(group.rows) > _MOST_ROWS:
        yield f"- and {len(group.rows) - _MOST_ROWS:,} more"
    if group.remedy:
        yield ""
        yield f"*{plain(group.remedy)}*"
    yield ""


def _reason(reason: model.Reason) -> Iterator[str]:
    """Why kernels are missing, and the sources; JSON has the families too."""
    yield f"### why {reason.device} `{reason.cause}`: {plain(outline.reason_line(reason))}"
    yield ""
    yield f"- {code(reason.file)}"
    for name in reason.sources[:_MOST_ROWS]:
        yield f"  - {code(name)}"
    if len(reason.sources) > _MOST_ROWS:
        yield f"  - and {len(reason.sources) - _MOST_ROWS:,} more"
    yield ""


def _excused(report: model.Report) -> Iterator[str]:
    yield "### excused by policy"
    yield ""
    for one in report.exempted:
        expires = f", until {one.expires}" if one.expires else ""
        yield (
            f"- {plural(one.kernels, 'kernel')} on {' '.join(one.devices)}: {code(one.pattern)} "
            f"({plain(one.policy)}{expires}): {plain(one.reason)} {link(one.reference or '')}"
        ).rstrip()
    yield ""


def _coverage(report: model.Report) -> Iterator[str]:
    if not report.files:
        return
    devices = list(report.devices)
    yield "| library | MB | CUDA | " + " | ".join(devices) + " |"
    yield "|---|--:|---|" + "---|" * len(devices)
    lines = outline.lines(report)
    for line in lines[:_MOST_LINES]:
        cells = " | ".join(brief(line.devices[device]) for device in devices)
        size = f"{line.size / 1e6:,.1f}"
        yield f"| {cell_code(line.name)} | {size} | {line.toolkit or '?'} | {cells} |"
    yield ""
    if len(lines) > _MOST_LINES:
        yield f"and {len(lines) - _MOST_LINES:,} more"
        yield ""


def _kernels(report: model.Report) -> Iterator[str]:
    for file in report.files:
        if not file.kernels:
            continue
        yield f"<details><summary>{len(file.kernels):,} kernels of {html(file.path)}</summary>"
        yield ""
        for kernel in file.kernels:
            yield f"- {code(kernel.demangled)} {' '.join(outline.forms(kernel))}"
        yield ""
        yield "</details>"
        yield ""
