"""The findings of a host's examination: a table for people, a document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smforge.bake.host.doctor import can_build
from smforge.bake.host.findings import Finding, State
from smforge.terminal import text_of
from smforge.version import __version__

SCHEMA_VERSION = 1
_STYLES = {State.OK: "green", State.LACKING: "bold red", State.OPTIONAL: "yellow"}


def document(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as plain data."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "smforge", "version": __version__},
        "can_build": can_build(findings),
        "checks": [
            {
                "id": finding.id,
                "state": finding.state.value,
                "found": finding.found,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }


def render_table(findings: Sequence[Finding], *, width: int, color: bool) -> str:
    """One row per check, and the answer."""
    from rich.table import Table  # noqa: PLC0415  # defers rich
    from rich.text import Text  # noqa: PLC0415  # defers rich

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("check", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("found", overflow="fold")
    for finding in findings:
        table.add_row(
            finding.id,
            Text(finding.state.value, _STYLES[finding.state]),
            Text(finding.found),
        )
        if finding.remedy:
            table.add_row("", "", Text(f"→ {finding.remedy}", "dim"))
    return f"{text_of(table, width=width, color=color)}\n\n{_answer(findings)}"


def _answer(findings: Sequence[Finding]) -> str:
    lacking = [finding.id for finding in findings if finding.state is State.LACKING]
    if not lacking:
        return "A build can run."
    return f"A build cannot run: {', '.join(lacking)}. An audit needs none of this."
