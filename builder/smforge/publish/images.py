"""The images among outputs that passed, and what has to be there before one gets its tag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from smforge.errors import DamagedInputError, UnpublishableError, UsageError
from smforge.files import read_small
from smforge.oci.layout import LayoutFolder
from smforge.publish.layouts import read_root
from smforge.publish.outputs import Output

LAYOUT = "image"
"""The folder below an output in which the bake target of that name writes the image's layout."""
_MOST_REPORT_BYTES = 1 << 30


class _Image(BaseModel):
    """What is read of a recorded image."""

    model_config = ConfigDict(frozen=True)

    tag: str


class _Planned(BaseModel):
    """What is read of the plan in a record."""

    model_config = ConfigDict(frozen=True)

    image: _Image | None = None


class _Audited(BaseModel):
    """What is read of a report: the subject, by the digest of its manifest."""

    class Subject(BaseModel):
        digest: str

    subject: Subject


@dataclass(frozen=True, slots=True)
class ImageOutput:
    """The image of one cell that passed."""

    variant: str
    platform: str
    tag: str
    """Of the matrix: the same for all platforms."""
    layout: Path


def image_outputs(outputs: Iterable[Output]) -> tuple[ImageOutput, ...]:
    """The images of outputs, each being the one that its audit saw.

    Raises `UsageError` where there is none, `DamagedInputError` for a layout that is missing or
    holds another image than the report is about.
    """
    found = tuple(one for output in outputs if (one := _image_of(output)) is not None)
    if not found:
        raise UsageError(
            "None of what passed has an image.",
            remedy="Build a variant with an 'image', or name the folder that --out named.",
        )
    return found


def by_variant(
    images: Sequence[ImageOutput], platforms: Mapping[str, Sequence[str]]
) -> dict[str, tuple[ImageOutput, ...]]:
    """The images by variant, in the order of `platforms`, which has all that a variant needs.

    Raises `UnpublishableError` where a platform is missing, and `UsageError` for a variant that
    the matrix does not have or a cell that is there twice.
    """
    groups: dict[str, dict[str, ImageOutput]] = {}
    for one in images:
        group = groups.setdefault(one.variant, {})
        if one.platform in group:
            raise UsageError(
                f"{group[one.platform].layout} and {one.layout} are both {one.variant} "
                f"{one.platform}."
            )
        group[one.platform] = one
    for variant, group in groups.items():
        if variant not in platforms:
            raise UsageError(f"The matrix has no variant {variant}.")
        if missing := [name for name in platforms[variant] if name not in group]:
            raise UnpublishableError(
                f"{variant} has not passed for {', '.join(missing)}, so its tag would lack it.",
                remedy="Build all platforms of the variant, and name all folders.",
            )
    return {
        variant: tuple(group[name] for name in platforms[variant])
        for variant, group in groups.items()
    }


def _image_of(output: Output) -> ImageOutput | None:
    try:
        planned = _Planned.model_validate(output.record.plan)
    except ValidationError as error:
        raise DamagedInputError(f"The record in {output.folder} does not say its image.") from error
    audit = output.record.image_audit
    if planned.image is None or audit is None or audit.report is None:
        return None
    layout = output.folder / LAYOUT
    if not layout.is_dir():
        raise DamagedInputError(f"{layout} is gone, though the record lists it.")
    audited = _digest_in(output.folder / audit.report)
    folder = LayoutFolder(layout)
    held = [image.digest for image in read_root(folder).images(folder.where)]
    if held != [audited]:
        raise DamagedInputError(
            f"{layout} holds {', '.join(held) or 'no image'}, and the report is about {audited}.",
            remedy="Build it again.",
        )
    return ImageOutput(output.variant, output.platform, planned.image.tag, layout)


def _digest_in(report: Path) -> str:
    """The digest of the image that a report is about."""
    try:
        data = read_small(report, _MOST_REPORT_BYTES)
        return _Audited.model_validate_json(data).subject.digest
    except (OSError, ValidationError) as error:
        raise DamagedInputError(
            f"{report} does not say which image it is about.", remedy="Build it again."
        ) from error
