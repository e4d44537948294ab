"""``smforge preflight``: what a build would compile, before it is built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from smforge.cli.complaints import complain
from smforge.cli.exit_codes import exit_code, fail_on_option
from smforge.cli.flags import matrix_option, output_option, policy_option
from smforge.cli.output import OutputSpec, checked_outputs, color_wanted, emit
from smforge.cli.preflight_questions import Choice, Flags, of_sources, of_variant
from smforge.errors import UsageError
from smforge.files import why_unwritable
from smforge.preflight.cache import temporary_or_default
from smforge.preflight.records import Preflight
from smforge.report.build import to_json
from smforge.report.markdown import render_markdown as render_reports
from smforge.report.preflight.document import render_json
from smforge.report.preflight.markdown import render_markdown
from smforge.report.preflight.table import render_table
from smforge.report.table import render_table as render_report
from smforge.sigterm import ended_tidily
from smforge.workflow.published import PublishedPreflight, way_out

FORMATS = ("table", "json", "markdown", "junit", "sarif", "html")
_ABOUT_ONE = frozenset({"html"})
"""Forms that hold the report of one component."""
_ON_WHEELS = frozenset({"table", "json", "markdown"})
"""Forms that can hold what a wheel has that is taken as published."""


@click.command("preflight")
@click.argument("variant", metavar="[VARIANT]", required=False)
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    help="Sources of vLLM or FlashInfer: an sdist (.tar.gz), a tree or a git checkout.",
)
@click.option("--platform", metavar="OS/CPU", help="Of a variant with several: linux/arm64.")
@click.option("--component", metavar="NAME", help="Of a variant: vllm or flashinfer alone.")
@click.option("--cuda", metavar="VERSION", help="The CUDA release that compiles: 13.0.")
@click.option("--archs", metavar="LIST", help='As in TORCH_CUDA_ARCH_LIST: "9.0 12.1a".')
@click.option(
    "--baseline",
    "baselines",
    metavar="LIST",
    multiple=True,
    help="A list to compare with, in place of those that smforge chooses; repeatable.",
)
@click.option(
    "--require",
    "required",
    metavar="WORDS",
    multiple=True,
    help="Of --source: what must come out, as in audit --require; what only other devices lose is "
    "then a warning. Repeatable.  [default: every device of the list]",
)
@click.option(
    "--external",
    "externals",
    metavar="NAME=DIR",
    multiple=True,
    help="A checkout of a project that the build would fetch: cutlass=DIR; repeatable.",
)
@click.option(
    "--fetch",
    is_flag=True,
    help="Of a variant: fetch the projects that its build needs, and examine them too.",
)
@click.option(
    "--allow",
    "allowed",
    metavar="GLOB",
    multiple=True,
    help="Sources that may be lost, by path; repeatable.",
)
@policy_option("Sources that may be lost, each with its reason; repeatable.")
@click.option(
    "--list-sources",
    "listed",
    is_flag=True,
    help="Of table and markdown: add what each extension or module is compiled for, and what the "
    "sources say they leave out.",
)
@click.option("--no-cache", is_flag=True, help="Configure anew, and keep nothing.")
@fail_on_option()
@output_option(FORMATS)
@matrix_option
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter per flag
    ctx: click.Context,
    variant: str | None,
    source: Path | None,
    platform: str | None,
    component: str | None,
    cuda: str | None,
    archs: str | None,
    baselines: tuple[str, ...],
    required: tuple[str, ...],
    externals: tuple[str, ...],
    fetch: bool,
    allowed: tuple[str, ...],
    policies: tuple[Path, ...],
    listed: bool,
    no_cache: bool,
    fail_on: str,
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Show, per source file, what a build compiles for which GPU, and what a list loses.

    Of a VARIANT it shows, per component, what smforge build asks before it builds. The real build
    description of the real sources is configured in a private copy, without compiler, GPU or
    torch. Exit code 1 means that a requested architecture loses sources.

    \b
    smforge preflight cu130-spark
    smforge preflight --source vllm-0.33.0.tar.gz --cuda 13.0 --archs "9.0 12.1a"
    smforge preflight demo --fetch -o preflight.json -o preflight.xml
    """
    specs = checked_outputs(outputs)
    if (variant is None) == (source is None):
        raise UsageError(
            "Name either a variant of versions.json or sources.",
            remedy="smforge preflight VARIANT, or smforge preflight --source DIR_OR_SDIST.",
        )
    flags = Flags(baselines, externals, allowed, policies, required, fetch)
    with ended_tidily(), temporary_or_default(temporary=no_cache) as cache:
        if (why := why_unwritable(cache.directory)) is not None:
            complain(f"{cache.directory} cannot be written ({why}): no result is kept.")
        if variant is not None:
            choice = Choice(variant, platform, component, config or ctx.obj["config"])
            most = 1 if any(spec.format in _ABOUT_ONE for spec in specs) else None
            wheels = all(spec.format in _ON_WHEELS for spec in specs)
            results, published = of_variant(flags, choice, cache, most=most, wheels=wheels)
        else:
            assert source is not None
            results, published = of_sources(flags, source, cuda, archs, cache), ()
    emit({spec: _render(results, published, spec, listed=listed) for spec in specs})
    codes = [_exit_code(result, fail_on) for result in results]
    return max((*codes, *(_exit_code_of_wheel(one, fail_on) for one in published)))


def _exit_code(result: Preflight, fail_on: str) -> int:
    levels = [one.level.value for one in result.findings if one.excused is None]
    return exit_code(result.source.name, result.outcome.value, levels, fail_on)


def _exit_code_of_wheel(one: PublishedPreflight, fail_on: str) -> int:
    levels = [*(finding.level for finding in one.report.findings), *("error" for _ in one.problems)]
    return exit_code(one.title, "fail" if one.problems else "pass", levels, fail_on)


def _render(
    results: Sequence[Preflight],
    published: Sequence[PublishedPreflight],
    spec: OutputSpec,
    *,
    listed: bool,
) -> str:
    if spec.format == "junit":
        from smforge.report.preflight.junit import render_junit  # noqa: PLC0415  # defers xml

        return render_junit(results)
    if spec.format == "sarif":
        from smforge.report.preflight.sarif import render_sarif  # noqa: PLC0415  # defers hashlib

        return render_sarif(results)
    texts = [_render_one(result, spec, listed=listed) for result in results]
    texts += [_render_wheel(one, spec) for one in published]
    if spec.format == "json" and len(texts) > 1:
        return f"[{','.join(texts)}]"
    return "\n".join(texts)


def _render_one(result: Preflight, spec: OutputSpec, *, listed: bool) -> str:
    if spec.format == "json":
        return render_json(result)
    if spec.format == "markdown":
        return render_markdown(result, listed=listed)
    if spec.format == "html":
        from smforge.report.html.page import render_page  # noqa: PLC0415  # defers hashlib
        from smforge.report.preflight.page import preflight_page  # noqa: PLC0415  # defers html

        return render_page(preflight_page(result))

    return render_table(result, color=color_wanted(spec), listed=listed)


def _render_wheel(one: PublishedPreflight, spec: OutputSpec) -> str:
    """The audit of a wheel that is taken as published, and why it cannot be taken."""
    if spec.format == "json":
        return to_json(one.report)
    reasons = "".join(f"{one.title}: {problem}\n" for problem in one.problems)
    if reasons:
        reasons += f"{way_out(one.component)}\n"
    if spec.format == "markdown":
        return f"{render_reports([one.report])}\n{reasons}"
    return f"{render_report(one.report, color=color_wanted(spec))}{reasons}"
