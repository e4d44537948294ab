"""``smforge report``: renders a report that an audit saved."""

from __future__ import annotations

from pathlib import Path

import click

from smforge.cli.audit_rendering import FORMATS, render, with_summary
from smforge.cli.exit_codes import exit_code, fail_on_option, worst
from smforge.cli.flags import output_option, summary_option
from smforge.cli.output import OutputSpec, checked_outputs, emit
from smforge.cli.saved_reports import read_reports


@click.command("report")
@click.argument("saved", type=click.Path(path_type=Path))
@fail_on_option()
@summary_option
@output_option(FORMATS)
def command(saved: Path, fail_on: str, summary: bool, outputs: tuple[OutputSpec, ...]) -> int:
    """Render a report that 'smforge audit -o json=FILE' saved, in another form.

    The exit code is that of the audit: 0 pass, 1 findings, 3 no GPU code, 4 undetermined.

    \b
    smforge report audit.json -o markdown=summary.md -o sarif=audit.sarif
    """
    specs = checked_outputs(with_summary(outputs) if summary else outputs, (saved,))
    reports = read_reports(saved)
    emit({spec: render(reports, spec.format, to_terminal=spec.file is None) for spec in specs})
    return worst(
        exit_code(one.subject.name, one.verdict, [each.level for each in one.findings], fail_on)
        for one in reports
    )
