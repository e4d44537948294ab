"""``smforge audit``: does every required GPU really run what is in here?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from smforge.cli.audit_rendering import FORMATS, render, with_summary
from smforge.cli.auditing.audits import Audits
from smforge.cli.auditing.use import find_engine, listed_by, require_use
from smforge.cli.complaints import complain
from smforge.cli.exit_codes import fail_on_option
from smforge.cli.flags import matrix_option, output_option, policy_option, summary_option
from smforge.cli.output import OutputSpec, checked_outputs, emit, write_report
from smforge.cli.probing import Probing
from smforge.cli.saved_reports import require_no_report
from smforge.errors import UsageError
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.asked import asked_subjects
from smforge.verdict.records import Verdict
from smforge.workflow.audit_request import request_of

_WITHOUT_DIGESTS = frozenset({"table", "summary", "markdown", "junit"})
"""Forms that show no digest. Of several files it also tells which are copies of one another."""


@click.command("audit")
@click.argument("subjects", metavar="SUBJECT...", nargs=-1)
@click.option(
    "-r",
    "--requirements",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Judge every wheel that pip would install for this requirements file; repeatable.",
)
@click.option(
    "--require",
    "words",
    metavar="WORDS",
    multiple=True,
    help='Devices (12.1, spark) and targets (12.0f, sm_120) to cover: "11.0 12.1a"; repeatable.',
)
@click.option("--variant", metavar="NAME", help="Take the requirements from versions.json.")
@click.option("--driver", metavar="VERSION", help="The driver it must run with: 570.195.03.")
@click.option(
    "--why",
    is_flag=True,
    help="Of vLLM's wheels: fetch the sources of the release, and say for missing kernels which "
    "source and which line of CMake leaves them out.",
)
@click.option("--native", is_flag=True, help="PTX does not count.")
@click.option("--kernels", is_flag=True, help="List every kernel.")
@click.option("--no-kernels", is_flag=True, help="Read targets only, the fastest.")
@click.option(
    "--allow",
    "allowed",
    metavar="GLOB",
    multiple=True,
    help="Kernels or files that may be missing or PTX-only; repeatable.",
)
@policy_option("Requirements and exceptions, each with its reason; repeatable.")
@click.option(
    "--write-policy",
    "draft",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a policy with an entry for each family that is missing, to be given its reason.",
)
@click.option("--no-default-policy", is_flag=True, help="Without the policies smforge ships.")
@click.option(
    "--backend",
    type=click.Choice(["native", "cuobjdump", "both"]),
    default="native",
    show_default=True,
    help="Who reads the code; both compares them object by object.",
)
@click.option(
    "--platform",
    metavar="OS/ARCH",
    help="Which image of several to read, or wheel of a release to fetch (without it, that for "
    "this host's CPU): linux/arm64.",
)
@click.option(
    "--python", metavar="VERSION", help="The Python whose wheel of a release is fetched: 3.12."
)
@click.option(
    "--index-url", metavar="URL", help="The index of releases, in place of the one pip uses here."
)
@click.option(
    "--together",
    is_flag=True,
    help="Judge all wheels, folders and libraries as one installation.",
)
@click.option(
    "--expect",
    "expected",
    metavar="PREFLIGHT.json[#BUILD]",
    help="A saved preflight report: what was predicted must be what is embedded. BUILD where the "
    "report holds several.",
)
@click.option(
    "--probe",
    is_flag=True,
    help="Run programs of the subject, confined: its assemblers, and in an image its models and "
    "extensions.",
)
@click.option(
    "--probe-python",
    "probing_python",
    metavar="PYTHON",
    help="Probe with this Python: the image's, or for a folder the one that uses it.",
)
@click.option(
    "--probed",
    "facts",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="What probes wrote when they ran elsewhere.",
)
@fail_on_option()
@summary_option
@output_option(FORMATS)
@matrix_option
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter per flag
    ctx: click.Context,
    subjects: tuple[str, ...],
    requirements: tuple[Path, ...],
    words: tuple[str, ...],
    variant: str | None,
    driver: str | None,
    why: bool,
    native: bool,
    kernels: bool,
    no_kernels: bool,
    allowed: tuple[str, ...],
    policies: tuple[Path, ...],
    draft: Path | None,
    no_default_policy: bool,
    backend: str,
    platform: str | None,
    python: str | None,
    index_url: str | None,
    together: bool,
    expected: str | None,
    probe: bool,
    probing_python: str | None,
    facts: Path | None,
    fail_on: str,
    summary: bool,
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Show which GPU runs every kernel of a wheel, a folder, a library, a cubin or an image.

    SUBJECT is a file, a folder, pypi:NAME==VERSION, https://…, image:REF, oci:DIR,
    archive:FILE.tar or registry:HOST/NAME:TAG.
    Each wheel and image in a folder is a subject of its own, unless --together joins them.
    Exit codes: 0 pass, 1 findings, 2 usage, 3 no GPU code, 4 undetermined. With several subjects
    a certain failure of one decides.

    \b
    smforge audit vllm-0.33.0-cp38-abi3-manylinux_2_28_x86_64.whl --require "spark 11.0"
    smforge audit image:vllm:latest --require 12.1 --driver 580.95.05 --native
    smforge audit dist/*.whl --policy gate.toml --summary -o audit.json -o audit.sarif
    """
    specs = checked_outputs(
        with_summary(outputs) if summary else outputs,
        (one.removeprefix("archive:") for one in subjects),
    )
    if kernels and no_kernels:
        raise UsageError(
            "--kernels and --no-kernels contradict each other.", remedy="Leave one of them out."
        )

    if why and no_kernels:
        raise UsageError(
            "--why is about kernels, and --no-kernels reads none.", remedy="Leave one of them out."
        )
    if draft is not None and no_kernels:
        raise UsageError(
            "--write-policy names kernels, and --no-kernels reads none.",
            remedy="Leave one of them out.",
        )
    find_engine(subjects)
    require_use(subjects, requirements, platform=platform, python=python, index_url=index_url)

    require_no_report(subjects)
    request = request_of(
        words=words,
        variant=variant,
        config=config or ctx.obj["config"],
        driver=driver,
        native=native,
        allowed=allowed,
        policies=policies,
        shipped=not no_default_policy,
        expected=expected,
    )
    probing = Probing(probe, probing_python, facts)
    digests = any(spec.format not in _WITHOUT_DIGESTS for spec in specs)
    options = ReadOptions(
        names=not no_kernels,
        digests=digests,
        platform=platform,
        python=python,
        index_url=index_url,
        ask_assemblers=probing.runs_programs,
    )
    audits = Audits(
        request, backend, options, probing, fail_on, listed=kernels, quiet=ctx.obj["quiet"]
    )
    listed = listed_by(requirements, options, audits.progress)
    asked = asked_subjects(subjects, listed, together=together)
    probing.require_one_subject(tuple(path for one in asked for path in one.arguments))
    audits.run(asked)
    if why:
        audits.explain()
    emit({spec: _render(audits, spec) for spec in specs})
    if draft is not None:
        _write_policy(draft, audits.verdicts)
    return audits.exit_code


def _render(audits: Audits, spec: OutputSpec) -> str:
    if spec.format == "html":
        from smforge.report.html.audit_page import audit_page  # noqa: PLC0415  # defers html
        from smforge.report.html.page import render_page  # noqa: PLC0415  # defers hashlib

        # The page shows more than a report holds: the families of every kernel.
        return render_page(
            audit_page(
                audits.verdicts,
                without_code=audits.without_code,
                reasons=[report.reasons for report in audits.reports],
            )
        )

    return render(
        audits.reports,
        spec.format,
        to_terminal=spec.file is None,
        without_code=audits.without_code,
        several=audits.several,
    )


def _write_policy(path: Path, verdicts: Sequence[Verdict]) -> None:
    from smforge.workflow.policy_draft import policy_draft  # noqa: PLC0415  # defers policy_draft

    text = policy_draft(verdicts)
    if text is None:
        complain(f"No kernel is missing on a required device, so {path} was not written.")
    else:
        write_report(path, text)
