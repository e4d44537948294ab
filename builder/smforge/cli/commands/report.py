"""``smforge report``: renders a report that an audit saved."""

from __future__ import annotations

from pathlib import Path

import click

from smforge.cli.audit_rendering import FORMATS, render, with_summary
from smforge.cli.exit_codes import exit_code, fail_on_option
from smforge.cli.flags import output_option, summary_option
from smforge.cli.output import OutputSpec, checked_outputs, emit
from smforge.errors import ConfigurationError, UsageError
from smforge.files import read_small

_MOST_BYTES = 1 << 30


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
    from pydantic import ValidationError  # noqa: PLC0415  # defers pydantic

    from smforge.report.saved import report_from_json  # noqa: PLC0415  # defers pydantic

    specs = checked_outputs(with_summary(outputs) if summary else outputs, (saved,))
    try:
        report = report_from_json(read_small(saved, _MOST_BYTES))
    except OSError as error:
        raise UsageError(f"Cannot read {saved}: {error.strerror or error}.") from error
    except ValidationError as error:
        raise ConfigurationError(
            f"{saved} is no report of an audit.",
            remedy="Save one with 'smforge audit SUBJECT -o json=FILE'.",
        ) from error
    emit({spec: render([report], spec.format, to_terminal=spec.file is None) for spec in specs})
    levels = [finding.level for finding in report.findings]
    return exit_code(str(saved), report.verdict, levels, fail_on)
