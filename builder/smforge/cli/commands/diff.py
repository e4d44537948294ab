"""``smforge diff``: what a new wheel, folder or image lost against the old one."""

from __future__ import annotations

import sys

import click

from smforge.arch.requirement import parse_requirements
from smforge.cli.auditing.use import find_engine
from smforge.cli.exit_codes import ERROR, NEVER, exit_code, fail_on_option
from smforge.cli.flags import output_option
from smforge.cli.output import OutputSpec, checked_outputs, color_wanted, emit
from smforge.cli.progress import ProgressLine
from smforge.inventory.options import ReadOptions
from smforge.report.diff.compare import compare
from smforge.report.diff.markdown import render_markdown
from smforge.report.diff.model import Diff
from smforge.report.diff.reading import read_side
from smforge.report.diff.sides import Side
from smforge.report.diff.table import render_table
from smforge.report.diff.terms import DiffTerms
from smforge.report.text.json_text import json_text

FORMATS = ("table", "json", "markdown")


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option(
    "--require",
    "words",
    metavar="WORDS",
    multiple=True,
    help="Devices (12.1) and targets (12.0f, sm_120) that must not be lost; repeatable.  "
    "[default: every device that OLD runs on]",
)
@click.option("--native", is_flag=True, help="PTX does not count.")
@click.option("--strict", is_flag=True, help="A kernel under a new name is a new kernel.")
@click.option(
    "--allow",
    "allowed",
    metavar="GLOB",
    multiple=True,
    help="Kernels, families or libraries that may be lost; repeatable.",
)
@click.option("--allow-removed", is_flag=True, help="Kernels may go that no device has any more.")
@fail_on_option((ERROR, NEVER))
@output_option(FORMATS)
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter per flag
    ctx: click.Context,
    old: str,
    new: str,
    words: tuple[str, ...],
    native: bool,
    strict: bool,
    allowed: tuple[str, ...],
    allow_removed: bool,
    fail_on: str,
    outputs: tuple[OutputSpec, ...],
) -> int:
    """Show what NEW lost, gained and grew against OLD.

    OLD and NEW are anything that smforge audit reads, or reports that it saved as JSON. Exit
    codes: 0 nothing lost, 1 a required device loses kernels, 2 usage, 3 OLD has no GPU code, 4 the
    two cannot be compared.

    \b
    smforge diff vllm-0.32.0.whl vllm-0.33.0.whl --require "9.0 12.1"
    smforge diff last-release.json new.whl -o lost.md
    """
    specs = checked_outputs(outputs, (old, new))
    find_engine((old, new))
    terms = DiffTerms(parse_requirements(words), native, strict, allowed, allow_removed)
    before, after = (_read(one, terms, quiet=ctx.obj["quiet"]) for one in (old, new))
    diff = compare(before, after, terms)
    emit({spec: _render(diff, spec) for spec in specs})
    return exit_code(new, diff.verdict, (), fail_on)


def _read(argument: str, terms: DiffTerms, *, quiet: bool) -> Side:

    progress = ProgressLine(sys.stderr, quiet=quiet)
    try:
        return read_side(argument, terms, ReadOptions(progress=progress))
    finally:
        progress.clear()


def _render(diff: Diff, spec: OutputSpec) -> str:
    if spec.format == "json":
        return json_text(diff)
    if spec.format == "markdown":
        return render_markdown(diff)

    return render_table(diff, color=color_wanted(spec))
