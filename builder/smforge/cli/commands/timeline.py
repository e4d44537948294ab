"""``smforge timeline``: what a run did when."""

from __future__ import annotations

import json
from pathlib import Path

import click

from smforge.cli.flags import output_option
from smforge.cli.output import OutputSpec, checked_outputs, emit
from smforge.workflow.farm.timeline import timeline_of
from smforge.workflow.farm.timeline_page import timeline_document, timeline_page

FORMATS = ("html", "json")


@click.command("timeline")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False), default=Path("out"))
@output_option(FORMATS, default="html")
def command(out: Path, outputs: tuple[OutputSpec, ...]) -> int:
    """Draw the last run in OUT over time: cells, targets, the cache, the critical path.

    It is made from the run's journal and the records of its cells, also while the run goes on and
    after it was killed.

    \b
    smforge timeline -o html=timeline.html
    smforge timeline out -o json
    """
    specs = checked_outputs(outputs)
    found = timeline_of(out.resolve())
    emit(
        {
            spec: json.dumps(timeline_document(found), indent=2)
            if spec.format == "json"
            else timeline_page(found)
            for spec in specs
        }
    )
    return 0
