"""``smforge build``: drives the bake targets, then audits what came out."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from smforge.bake.host.own_engine import use_own_engine
from smforge.bake.host.settings import HostSettings
from smforge.bake.progress.display import clean
from smforge.cli.flags import matrix_option, output_option, policy_option
from smforge.cli.output import OutputSpec, checked_outputs, color_wanted, emit
from smforge.errors import EngineUnavailableError, InterruptedBuildError, SmforgeError
from smforge.matrix.load import load as load_matrix
from smforge.matrix.place import require_bake_file
from smforge.oci.credentials import configuration_folder
from smforge.plan.records import Cell
from smforge.policy.files import load_policy
from smforge.verdict.reading import Backend
from smforge.workflow.building import summary
from smforge.workflow.building.bake_calls import resolve_call
from smforge.workflow.building.build import Builder
from smforge.workflow.building.cells import cells_of
from smforge.workflow.building.messages import Messages
from smforge.workflow.building.publishing import (
    Publication,
    Published,
    publish_all,
    require_publishable,
)
from smforge.workflow.building.results import Built, LookAhead
from smforge.workflow.building.settings import BuildSettings

FORMATS = ("table", "json")
_EXCERPT_WIDTH = 240


@click.command("build")
@click.argument("variants", metavar="[VARIANT]...", nargs=-1)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/CPU",
    help="Only these platforms of the variants, such as linux/arm64; repeatable.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out"),
    show_default=True,
    help="Where the artefacts go: OUT/VARIANT/PLATFORM.",
)
@click.option("--force", is_flag=True, help="Build even what is up to date, through the cache.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Compiler jobs at once.  [default: what the engine's cores and memory allow]",
)
@click.option(
    "--preflight",
    "look_ahead",
    type=click.Choice(["stop", "record", "off"]),
    default="stop",
    show_default=True,
    help="What to do where the sources would leave out what a required device needs: stop before "
    "anything is compiled, or record it and build; off looks at no sources.",
)
@policy_option("What may be lost or missing, and what else is required; repeatable.")
@click.option(
    "--backend",
    type=click.Choice(["native", "cuobjdump", "both"]),
    default="both",
    show_default=True,
    help="Who reads the code in the audit; both compares them object by object.",
)
@click.option("--load", is_flag=True, help="Give the engine the images that have passed.")
@click.option(
    "--push",
    "repository",
    metavar="HOST/NAME",
    help="Push the images that have passed, with their reports, to this repository.",
)
@click.option(
    "--print",
    "print_only",
    is_flag=True,
    help="Build nothing: show the exact command and the resolved definition. Needs no engine.",
)
@output_option(FORMATS)
@matrix_option
@click.pass_context
def command(  # noqa: PLR0913, PLR0917  # one per option
    ctx: click.Context,
    variants: tuple[str, ...],
    platforms: tuple[str, ...],
    out: Path,
    force: bool,
    jobs: int | None,
    look_ahead: str,
    policies: tuple[Path, ...],
    backend: str,
    load: bool,
    repository: str | None,
    print_only: bool,
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Build variants and audit what came out; a failing audit fails the build.

    Without a VARIANT the default of the matrix is built. Before anything is compiled, preflight
    asks the sources what they would leave out. Artefacts appear in OUT/VARIANT/PLATFORM only when
    they are whole and have passed; only then are images loaded or pushed. Exit codes: 0 all passed,
    1 preflight or the audit found something, 4 an image could not be loaded or pushed, 5 a build
    failed, 130 interrupted.

    \b
    smforge build demo
    smforge build cu130-spark --platform linux/arm64 --jobs 4
    smforge build demo --print
    """
    specs = checked_outputs(outputs)
    # Asked before docker is led to an engine of smforge's own, which has its own settings.
    logins = configuration_folder()
    use_own_engine()  # before the settings are read: its steps have the host's network alone
    host = HostSettings.from_environment(os.environ)
    matrix, cells = cells_of(config or ctx.obj["config"], variants, platforms, host.versions)
    require_bake_file(matrix)
    for path in policies:
        load_policy(path)  # A wrong one is refused before anything is done.
    messages = Messages(quiet=ctx.obj["quiet"], verbose=ctx.obj["verbose"])
    settings = BuildSettings(
        matrix=matrix,
        out=out,
        host=host,
        messages=messages,
        look_ahead=LookAhead(look_ahead),
        policies=policies,
        backend=Backend(backend),
        jobs=jobs,
    )
    if print_only:
        return _print(settings, cells)
    publication = Publication(load, repository, logins, messages.announce)
    require_publishable(cells, publication)
    results = _build(Builder(settings), cells, force=force)
    published, errors = _publish(results, matrix, publication)
    emit({spec: _render(results, published, spec) for spec in specs})
    codes = [built.exit_code for built in results]
    return max(codes + [error.exit_code for error in errors])


def _print(settings: BuildSettings, cells: Sequence[Cell]) -> int:
    resolved = [(cell, *resolve_call(settings, cell)) for cell in cells]
    for _, call, _ in resolved:
        sys.stderr.write(f"cd {shlex.quote(str(call.root))} && {call.text}\n")
    document = [
        {
            "variant": cell.variant,
            "platform": cell.platform,
            "directory": str(call.root),
            "command": call.argv,
            "variables": dict(call.variables),
            "override": {"file": str(call.override), "text": call.override_text},
            "definition": definition.document,
        }
        for cell, call, definition in resolved
    ]
    sys.stdout.write(json.dumps({"builds": document}, indent=2) + "\n")
    return 0


def _build(builder: Builder, cells: Sequence[Cell], *, force: bool) -> list[Built]:
    results = []
    for cell in cells:
        built = builder.build(cell, force=force)
        results.append(built)
        _tell(built)
        # Neither comes back by itself: the cells that follow would only fail the same way.
        if isinstance(built.error, EngineUnavailableError | InterruptedBuildError):
            break
    return results


def _publish(
    results: Sequence[Built], matrix: Path, publication: Publication
) -> tuple[tuple[Published, ...], tuple[SmforgeError, ...]]:
    variants = load_matrix(matrix).document.variants
    platforms = {name: len(variant.require) for name, variant in variants.items()}
    published, errors = publish_all(results, platforms, publication)
    for error in errors:
        sys.stderr.write(f"smforge: {' '.join(str(error).split())}\n")
    return published, errors


def _tell(built: Built) -> None:
    """Write what failed as soon as it is known, the lines that explain it first."""
    if built.error is None:
        return
    for line in getattr(built.error, "excerpt", ()):
        # A compiler's command line fills a screen; the log has all of it.
        text = clean(line)
        cut = text if len(text) <= _EXCERPT_WIDTH else text[: _EXCERPT_WIDTH - 1] + "…"
        sys.stderr.write(f"  | {cut}\n")
    for line in built.error.lines:
        sys.stderr.write(f"smforge: {' '.join(line.split())}\n")
    if sys.stderr.isatty():
        sys.stderr.write("\n")


def _render(results: Sequence[Built], published: Sequence[Published], spec: OutputSpec) -> str:
    if spec.format == "json":
        images = [asdict(one) for one in published]
        return json.dumps({**summary.document(results), "published": images}, indent=2)
    terminal = spec.file is None and sys.stdout.isatty()
    color = color_wanted(spec)
    width = shutil.get_terminal_size((120, 24)).columns if terminal else 120
    audits = [
        summary.audit_table(report, width=width, color=color).rstrip("\n")
        for built in results
        if built.audit is not None
        for report in built.audit.reports
    ]
    table = summary.render_table(results, width=width, color=color)
    closing = [*summary.closing_lines(results), *(line for one in published for line in one.lines)]
    return "\n\n".join(part for part in (*audits, table, "\n".join(closing)) if part)
