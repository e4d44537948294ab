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
from smforge.bake.host.settings import NETWORK_SETTING, HostSettings
from smforge.bake.progress.rows import clean
from smforge.cli.flags import (
    builder_option,
    choice_options,
    matrix_option,
    output_option,
    policy_option,
    require_only_resume,
)
from smforge.cli.output import OutputSpec, checked_outputs, color_wanted, emit
from smforge.errors import EXIT_PASS, SmforgeError
from smforge.matrix.load import load as load_matrix
from smforge.matrix.place import require_bake_file
from smforge.oci.credentials import configuration_folder
from smforge.plan.records import Cell
from smforge.verdict.reading import Backend
from smforge.workflow.building import summary
from smforge.workflow.building.build import Builder
from smforge.workflow.building.messages import Messages
from smforge.workflow.building.publishing import (
    Publication,
    Published,
    publish_all,
    require_publishable,
)
from smforge.workflow.building.results import JOB_FORMATS, Built, LookAhead
from smforge.workflow.building.settings import BuildSettings
from smforge.workflow.farm.cells import cells_of
from smforge.workflow.farm.explaining import explain as explained
from smforge.workflow.farm.explaining import explained_document, explained_text
from smforge.workflow.farm.journal import last_run
from smforge.workflow.farm.request import BuildRequest
from smforge.workflow.farm.running import Ran, run_cells
from smforge.workflow.farm.stores.naming import absolute_name, beside, open_stores
from smforge.workflow.farm.stores.store import Store

FORMATS = ("table", "json", *JOB_FORMATS)
_EXCERPT_WIDTH = 240
_MOST_AUDITS = 8
"""A run of more cells shows only the audits of those that did not pass."""
_GIB = 1 << 30


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
@choice_options
@click.option(
    "--wheels",
    multiple=True,
    metavar="COMPONENT",
    help="Build only the wheels of this component (all: of every one), without the variant's "
    "image; repeatable.",
)
@click.option(
    "--keep-going/--stop-at-failure",
    default=True,
    show_default=True,
    help="Build the other cells after one has failed, or leave them out.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Finish the last run in OUT, with what it was asked for; what has passed is verified and "
    "kept.",
)
@click.option("--wait", is_flag=True, help="Wait for another run that holds OUT.")
@click.option(
    "--explain",
    "explain",
    multiple=True,
    metavar="CELL",
    help="Build nothing: say which input of this cell changed since its last verified result; "
    "repeatable. Needs no engine.",
)
@click.option(
    "--reuse",
    multiple=True,
    metavar="STORE",
    help="Take from this store what was built from the same inputs and passed; it is verified. "
    "STORE is an output directory, or registry:HOST/NAME. Repeatable.",
)
@click.option(
    "--store",
    multiple=True,
    metavar="STORE",
    help="Put into this store what has passed, for others to --reuse. Repeatable.",
)
@click.option(
    "--verify",
    is_flag=True,
    help="Hash the artefacts of an earlier build even where no file was written to since.",
)
@click.option("--force", is_flag=True, help="Build even what is up to date, through the cache.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Compiler jobs at once.  [default: what the engine's cores and memory allow]",
)
@builder_option
@click.option(
    "--cores",
    type=click.IntRange(min=1),
    help="The cores of the builder's node.  [default: what its engine says]",
)
@click.option(
    "--memory",
    type=click.FloatRange(min=0, min_open=True),
    metavar="GIB",
    help="The memory of the builder's node.  [default: what its engine says]",
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
    only: tuple[str, ...],
    shard: str | None,
    wheels: tuple[str, ...],
    keep_going: bool,
    resume: bool,
    wait: bool,
    explain: tuple[str, ...],
    reuse: tuple[str, ...],
    store: tuple[str, ...],
    verify: bool,
    force: bool,
    jobs: int | None,
    builder: str | None,
    cores: int | None,
    memory: float | None,
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

    Without a VARIANT the default of the matrix is built; with --only, --shard and --explain any
    cell of the matrix is meant. Before anything is compiled, preflight
    asks the sources what they would leave out. Artefacts appear in OUT/VARIANT/PLATFORM only when
    they are whole and have passed; only then are images loaded or pushed. Exit codes: 0 all passed,
    1 preflight or the audit found something, 4 an image could not be loaded or pushed, 5 a build
    failed, 130 interrupted.

    \b
    smforge build demo
    smforge build cu130-spark --platform linux/arm64 --builder farm --jobs 4
    smforge build cu130-thor --wheels vllm
    smforge build demo --print
    """
    specs = checked_outputs(outputs)
    # Asked before docker is led to an engine of smforge's own, which has its own settings.
    logins = configuration_folder()
    # Before the settings are read: steps on this engine have the host's network alone.
    ours = use_own_engine()
    host = HostSettings.from_environment(os.environ)
    if resume:
        require_only_resume(ctx)
        request = last_run(out.resolve()).begun.request
        request.require_here()
    else:
        request = BuildRequest(
            directory=Path.cwd(),
            matrix=_absolute(config or ctx.obj["config"]),
            variants=variants,
            platforms=platforms,
            only=explain or only,
            shard=shard,
            wheels=wheels,
            force=force,
            keep_going=keep_going,
            jobs=jobs,
            builder=builder,
            cores=cores,
            memory_gib=memory,
            look_ahead=LookAhead(look_ahead),
            policies=tuple(path.absolute() for path in policies),
            backend=Backend(backend),
            reuse=tuple(map(absolute_name, reuse)),
            store=tuple(map(absolute_name, store)),
            load=load,
            repository=repository,
        )
    matrix, cells = cells_of(request.matrix, request.choice, host.versions)
    require_bake_file(matrix)
    if request.policies:
        from smforge.policy.files import load_policy  # noqa: PLC0415  # defers tomllib
    for path in request.policies:
        load_policy(path)  # A wrong one is refused before anything is done.
    messages = Messages(quiet=ctx.obj["quiet"], verbose=ctx.obj["verbose"])
    settings = BuildSettings(
        matrix=matrix,
        out=out,
        host=host,
        messages=messages,
        look_ahead=request.look_ahead,
        policies=request.policies,
        backend=request.backend,
        verify=verify or resume,
        jobs=request.jobs,
        network_of_engine=NETWORK_SETTING in ours,
        builder=request.builder,
        cores=request.cores,
        memory_bytes=None if request.memory_gib is None else int(request.memory_gib * _GIB),
    )
    stores = open_stores(request, logins, messages.announce)
    if explain:
        return _explain(settings, cells, stores.reuse, specs)
    if print_only:
        return _print(settings, cells)
    repository = request.repository
    mount_from = () if repository is None else beside(repository, request.store)
    publication = Publication(request.load, repository, logins, messages.announce, mount_from)
    require_publishable(cells, publication)
    ran = run_cells(Builder(settings), cells, request, stores, resume=resume, wait=wait, tell=_tell)
    _say_errors(ran.unstored)
    published, errors = _publish(ran.results, matrix, publication)
    emit({spec: _render(ran, published, spec) for spec in specs})
    return max([ran.exit_code] + [error.exit_code for error in errors])


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _explain(
    settings: BuildSettings,
    cells: Sequence[Cell],
    stores: Sequence[Store],
    specs: Sequence[OutputSpec],
) -> int:
    found = [explained(settings, cell, stores) for cell in cells]
    emit(
        {
            spec: json.dumps(explained_document(found), indent=2)
            if spec.format == "json"
            else explained_text(found)
            for spec in specs
        }
    )
    return 0


def _print(settings: BuildSettings, cells: Sequence[Cell]) -> int:
    from smforge.workflow.building.bake_calls import resolve_call  # noqa: PLC0415  # defers bake

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


def _publish(
    results: Sequence[Built], matrix: Path, publication: Publication
) -> tuple[tuple[Published, ...], tuple[SmforgeError, ...]]:
    variants = load_matrix(matrix).document.variants
    platforms = {name: len(variant.require) for name, variant in variants.items()}
    published, errors = publish_all(results, platforms, publication)
    _say_errors(errors)
    return published, errors


def _say_errors(errors: Sequence[SmforgeError]) -> None:
    for error in errors:
        sys.stderr.write(f"smforge: {' '.join(str(error).split())}\n")


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


def _render(ran: Ran, published: Sequence[Published], spec: OutputSpec) -> str:
    results = ran.results
    if spec.format == "json":
        images = [asdict(one) for one in published]
        return json.dumps(
            {**summary.document(results, ran.not_begun), "published": images}, indent=2
        )
    if spec.format in JOB_FORMATS:
        from smforge.workflow.building.job_reports import render_job  # noqa: PLC0415  # defers report

        return render_job(results, spec.format, ran.not_begun)
    terminal = spec.file is None and sys.stdout.isatty()
    color = color_wanted(spec)
    width = shutil.get_terminal_size((120, 24)).columns if terminal else 120
    worst_first = sorted(results, key=lambda built: -built.exit_code)
    many = len(results) > _MOST_AUDITS
    audits = [
        summary.audit_table(report, width=width, color=color).rstrip("\n")
        for built in worst_first
        if built.audit is not None and not (many and built.exit_code == EXIT_PASS)
        for report in built.audit.reports
    ]
    table = summary.render_table(worst_first, width=width, color=color)
    closing = [*summary.closing_lines(results), *(line for one in published for line in one.lines)]
    if many:
        closing.append("The audits of the cells that passed are audit.json in their directories.")
    if tally := summary.tally(results, ran.not_begun):
        closing.append(tally)
    layers = "\n".join(summary.layer_lines(results))
    return "\n\n".join(part for part in (*audits, table, layers, "\n".join(closing)) if part)
