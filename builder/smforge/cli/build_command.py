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
from typing import TYPE_CHECKING

import click

from smforge.cli.flags import matrix_option, output_option, policy_option
from smforge.cli.output import OutputSpec, checked_outputs, emit

if TYPE_CHECKING:
    from smforge.errors import SmforgeError
    from smforge.plan.records import Cell
    from smforge.workflow.build import Workshop
    from smforge.workflow.publishing import Publication, Published
    from smforge.workflow.results import Built

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
    "lookahead",
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
    lookahead: str,
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
    """
    from smforge.oci.credentials import configuration_folder  # noqa: PLC0415
    from smforge.workflow.publishing import Publication, require_publishable  # noqa: PLC0415
    from smforge.workflow.stages import cells_of, workshop  # noqa: PLC0415  # pydantic is slow

    specs = checked_outputs(outputs)
    # Asked before the workshop leads docker to an engine of smforge's own, with its own settings.
    logins = configuration_folder()
    matrix, cells = cells_of(config or ctx.obj["config"], variants, platforms)
    flags = {name: bool(ctx.obj[name]) for name in ("quiet", "verbose")}
    shop = workshop(matrix, out, jobs, backend, lookahead, policies=policies, **flags)
    if print_only:
        return _print(shop, cells)
    publication = Publication(load, repository, logins, shop.announce)
    require_publishable(cells, publication)
    results = _build(shop, cells, force=force)
    published, errors = _publish(results, matrix, publication)
    emit({spec: _render(results, published, spec) for spec in specs})
    codes = [built.exit_code for built in results]
    return max(codes + [error.exit_code for error in errors])


def _print(shop: Workshop, cells: Sequence[Cell]) -> int:
    resolved = [(cell, *shop.resolve(cell)) for cell in cells]
    for _, call, _ in resolved:
        sys.stderr.write(f"cd {shlex.quote(str(call.root))} && {call.text}\n")
    document = [
        {
            "variant": cell.variant,
            "platform": cell.platform,
            "directory": str(call.root),
            "command": call.argv,
            "variables": dict(call.variables),
            "definition": definition.document,
        }
        for cell, call, definition in resolved
    ]
    sys.stdout.write(json.dumps({"builds": document}, indent=2) + "\n")
    return 0


def _build(shop: Workshop, cells: Sequence[Cell], *, force: bool) -> list[Built]:
    from smforge.errors import EngineUnavailableError, InterruptedBuildError  # noqa: PLC0415

    results = []
    for cell in cells:
        built = shop.build(cell, force=force)
        results.append(built)
        _tell(built)
        # Neither comes back by itself: the cells that follow would only fail the same way.
        if isinstance(built.error, EngineUnavailableError | InterruptedBuildError):
            break
    return results


def _publish(
    results: Sequence[Built], matrix: Path, publication: Publication
) -> tuple[tuple[Published, ...], tuple[SmforgeError, ...]]:
    from smforge.matrix.load import load  # noqa: PLC0415
    from smforge.workflow.publishing import publish_all  # noqa: PLC0415

    variants = load(matrix).document.variants
    platforms = {name: len(variant.require) for name, variant in variants.items()}
    published, errors = publish_all(results, platforms, publication)
    for error in errors:
        sys.stderr.write(f"smforge: {' '.join(str(error).split())}\n")
    return published, errors


def _tell(built: Built) -> None:
    """Say at once what failed, the telling lines first."""
    if built.error is None:
        return
    from smforge.bake.progress import clean  # noqa: PLC0415

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
    from smforge.workflow import summary  # noqa: PLC0415

    if spec.format == "json":
        images = [asdict(one) for one in published]
        return json.dumps({**summary.document(results), "published": images}, indent=2)
    terminal = spec.file is None and sys.stdout.isatty()
    color = terminal and not os.environ.get("NO_COLOR")
    width = shutil.get_terminal_size((120, 24)).columns if terminal else 120
    audits = [
        audited.table(width, color).rstrip("\n")
        for built in results
        if built.audited
        for audited in built.audited.all
    ]
    table = summary.render_table(results, width=width, color=color)
    closing = [*summary.closing_lines(results), *(line for one in published for line in one.lines)]
    return "\n\n".join(part for part in (*audits, table, "\n".join(closing)) if part)
