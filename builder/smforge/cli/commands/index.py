"""``smforge index``: a static index of wheels that passed, for pip and uv."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import rich_click as click

from smforge.amounts import size_text
from smforge.cli.flags import output_option, outputs_argument
from smforge.cli.output import OutputSpec, checked_outputs, emit
from smforge.publish.index import Index, make_index, write_index
from smforge.publish.limits import Limits
from smforge.publish.outputs import Output, find_outputs
from smforge.publish.wheels import Wheel

FORMATS = ("table", "json")


@click.command("index")
@outputs_argument
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("whl"),
    show_default=True,
    help="Where the indexes go: DIR/cu130.",
)
@click.option(
    "--per",
    type=click.Choice(["cuda", "variant"]),
    default="cuda",
    show_default=True,
    help="One index for each CUDA version, or one for each variant (DIR/cu130-thor).",
)
@click.option(
    "--max-wheel-mb",
    type=click.FloatRange(min=0, min_open=True),
    help="Refuse larger wheels, in millions of bytes.",
)
@click.option(
    "--max-index-mb",
    type=click.FloatRange(min=0, min_open=True),
    help="Refuse an index whose wheels are larger together.",
)
@output_option(FORMATS)
def command(  # noqa: PLR0913, PLR0917  # one per option
    outputs_of: tuple[Path, ...],
    folder: Path,
    per: str,
    max_wheel_mb: float | None,
    max_index_mb: float | None,
    outputs: tuple[OutputSpec, ...],
) -> int:
    """Write a static index of the wheels in OUT that passed their audit.

    OUT is what smforge build --out wrote to, "out" by default. Each index is made anew from what
    lies there, and replaces the former one in one step. Exit codes: 0 written, 1 a limit does not
    hold or two wheels of one name differ, 2 nothing that passed was found, 4 a record or a wheel
    is not what the build left.

    \b
    smforge index out --to whl
    smforge index --per variant --max-wheel-mb 100
    """
    specs = checked_outputs(outputs)
    groups = _grouped(find_outputs(outputs_of), per)
    limits = Limits(max_wheel_mb, max_index_mb)
    # All are checked before the first is written.
    indexes = [make_index(name, group, limits) for name, group in groups.items()]
    places = [write_index(index, folder) for index in indexes]
    emit({spec: _render(indexes, places, spec) for spec in specs})
    return 0


def _grouped(found: Sequence[Output], per: str) -> dict[str, dict[str, list[Wheel]]]:
    """The wheels by the name of the index that they go into, and by variant."""
    groups: dict[str, dict[str, list[Wheel]]] = {}
    for output in found:
        tag, variant = output.cuda_tag, output.variant
        of_variant = variant if variant.startswith(tag) else f"{tag}-{variant}"
        group = groups.setdefault(tag if per == "cuda" else of_variant, {})
        group.setdefault(variant, []).extend(output.wheels())
    return dict(sorted(groups.items()))


def _render(indexes: Sequence[Index], places: Sequence[Path], spec: OutputSpec) -> str:
    if spec.format == "json":
        return json.dumps(_document(indexes, places), indent=2)

    lines = []
    for index, place in zip(indexes, places, strict=True):
        lines.append(f"{place}: {len(index.wheels)} wheels, {size_text(index.size)}")
        lines += [f"  {wheel.filename}  {size_text(wheel.size)}" for wheel in index.wheels]
        lines += [
            f"  left out, since {index.name} has another of this name: {wheel.path}"
            for wheel in index.left_out
        ]
    return "\n".join(lines)


def _document(indexes: Sequence[Index], places: Sequence[Path]) -> dict[str, object]:
    return {
        "schema_version": 1,
        "indexes": [
            {
                "name": index.name,
                "directory": str(place),
                "size": index.size,
                "wheels": [
                    {
                        "project": wheel.project,
                        "version": str(wheel.version),
                        "filename": wheel.filename,
                        "size": wheel.size,
                        "sha256": wheel.sha256,
                    }
                    for wheel in index.wheels
                ],
                "left_out": [str(wheel.path) for wheel in index.left_out],
            }
            for index, place in zip(indexes, places, strict=True)
        ],
    }
