"""``smforge publish``: pushes images that passed, with one tag for all platforms."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from smforge.cli.flags import matrix_option, output_option, outputs_argument
from smforge.cli.output import OutputSpec, checked_outputs, emit
from smforge.matrix.load import load
from smforge.oci.credentials import configuration_folder, find_credentials
from smforge.publish.images import by_variant, image_outputs
from smforge.publish.outputs import find_outputs
from smforge.workflow.release import Released, release

FORMATS = ("table", "json")


@click.command("publish")
@outputs_argument
@click.option(
    "--to",
    "repository",
    metavar="HOST/NAME",
    required=True,
    help="The repository of a registry; tags come from the matrix.",
)
@output_option(FORMATS)
@matrix_option
@click.pass_context
def command(
    ctx: click.Context,
    outputs_of: tuple[Path, ...],
    repository: str,
    outputs: tuple[OutputSpec, ...],
    config: Path | None,
) -> int:
    """Push the images in OUT that passed their audit, once all platforms of a variant have.

    OUT is what smforge build --out wrote to, "out" by default. No engine is needed. Each platform
    gets its tag, and the variant's tag is put on all of them last. Exit codes: 0 pushed, 1 a
    platform has not passed, 2 there is no image, 4 the registry refused it or a file was changed.

    \b
    smforge publish --to registry.example/team/vllm
    smforge publish out-amd64 out-arm64 --to registry.example/team/vllm
    """
    specs = checked_outputs(outputs)
    variants = load(config or ctx.obj["config"]).document.variants
    platforms = {name: tuple(variant.require) for name, variant in variants.items()}
    images = image_outputs(find_outputs(outputs_of))
    find = functools.partial(find_credentials, folder=configuration_folder())
    groups = by_variant(images, platforms)
    quiet = ctx.obj["quiet"]
    done = [release(group, repository, find, _say(quiet=quiet)) for group in groups.values()]
    emit({spec: _render(done, spec) for spec in specs})
    return 0


def _say(*, quiet: bool) -> functools.partial[None]:
    return functools.partial(_announce, quiet=quiet)


def _announce(text: str, *, quiet: bool) -> None:
    if not quiet:
        sys.stderr.write(f"smforge: {text}\n")


def _render(done: Sequence[Released], spec: OutputSpec) -> str:
    if spec.format == "json":
        return json.dumps({"schema_version": 1, "images": [asdict(one) for one in done]}, indent=2)
    return "\n".join(line for one in done for line in one.lines)
