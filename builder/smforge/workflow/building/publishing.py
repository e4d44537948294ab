"""Publishes what a build has put in its place: the engine's tag and the registry's tag."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smforge.bake.host.engine import address, client_answer
from smforge.errors import (
    EngineUnavailableError,
    InterruptedBuildError,
    SmforgeError,
    UsageError,
)
from smforge.oci.credentials import find_credentials
from smforge.oci.reference import parse_reference
from smforge.plan.records import Cell, PlannedImage
from smforge.workflow.building.results import Built


@dataclass(frozen=True, slots=True)
class Publication:
    """How to publish images that have passed."""

    load: bool
    repository: str | None
    """HOST/NAME of a registry."""
    logins: Path
    """The folder with docker's logins."""
    announce: Callable[[str], None]
    mount_from: tuple[str, ...] = ()
    """Repositories of the same registry that may have the blobs already."""

    @property
    def is_wanted(self) -> bool:
        """Whether anything is to be done."""
        return self.load or self.repository is not None


@dataclass(frozen=True, slots=True)
class Published:
    """What was done with one image."""

    variant: str
    platform: str
    digest: str
    loaded: str | None
    """Its name in the engine."""
    pushed: str | None
    """Its name in the registry."""
    sent: int
    """Bytes of blobs that the registry did not have."""

    @property
    def lines(self) -> Iterator[str]:
        """One sentence for each place where the image is now."""
        if self.loaded:
            yield f"loaded: {self.loaded} ({self.digest})"
        if self.pushed:
            yield f"pushed: {self.pushed}, {self.sent:,} bytes sent ({self.digest})"


def require_publishable(cells: Sequence[Cell], publication: Publication) -> None:
    """Raise `UsageError` before a build that could not be published after it.

    Raises `EngineUnavailableError` where images are to be loaded and no engine answers: a builder
    may be elsewhere and need none.
    """
    if not publication.is_wanted:
        return
    without = sorted({cell.variant for cell in cells if cell.image is None})
    if without:
        raise UsageError(
            f"{', '.join(without)} of this matrix: no image, so there is nothing to load or push.",
            remedy="Give the variant an 'image' in versions.json, or name others.",
        )
    if publication.repository is not None:
        try:
            parse_reference(f"{publication.repository}:tag")
        except UsageError as error:
            raise UsageError(
                f"{publication.repository!r} is not a repository of a registry.",
                remedy="Write it as HOST/NAME; the tag comes from the matrix.",
            ) from error
    if publication.load and client_answer() is None:
        raise EngineUnavailableError(
            f"--load gives images to the Docker Engine on {address()}, and none answers there.",
            remedy="Start one, or push the images with --push in place of --load.",
        )


def publish(built: Built, tag: str, publication: Publication) -> Published | None:
    """Load and push the image of a cell that has passed; None where it has not.

    Raises `ToolError` where the engine or the registry refuses it.
    """
    image = built.cell.image
    if built.exit_code != 0 or image is None:
        return None
    from smforge.oci.layout import LayoutFolder  # noqa: PLC0415  # defers oci
    from smforge.publish.images import LAYOUT  # noqa: PLC0415  # defers publish
    from smforge.publish.layouts import read_root  # noqa: PLC0415  # defers oci

    folder = built.paths.final / LAYOUT
    digest = read_root(LayoutFolder(folder)).digest
    loaded = pushed = None
    sent = 0
    if publication.load:
        loaded = f"{image.name}:{tag}"
        from smforge.publish.load import load  # noqa: PLC0415  # defers tarfile

        publication.announce(f"loading {loaded}")
        load(folder, loaded)
    if publication.repository is not None:
        from smforge.publish.push import push  # noqa: PLC0415  # defers urllib3

        done = push(
            folder,
            f"{publication.repository}:{tag}",
            mount_from=publication.mount_from,
            credentials=functools.partial(find_credentials, folder=publication.logins),
            announce=publication.announce,
        )
        pushed, sent = done.reference, done.sent
    return Published(built.cell.variant, built.cell.platform, digest, loaded, pushed, sent)


def publish_all(
    results: Sequence[Built], platforms: dict[str, int], publication: Publication
) -> tuple[tuple[Published, ...], tuple[SmforgeError, ...]]:
    """Publish what has passed; one that fails does not keep the others back.

    Nothing is published after an interruption.
    `platforms` says how many each variant has.
    """
    stopped = any(isinstance(built.error, InterruptedBuildError) for built in results)
    done, errors = [], []
    for built in results if publication.is_wanted and not stopped else ():
        image = built.cell.image
        if image is None:
            continue
        try:
            one = publish(built, _tag(image, built.cell, platforms), publication)
        except SmforgeError as error:
            errors.append(error)
        else:
            done += [one] if one else []
    return tuple(done), tuple(errors)


def _tag(image: PlannedImage, cell: Cell, platforms: dict[str, int]) -> str:
    """The tag of a cell; one name for all platforms is made of their tags afterwards."""
    cpu = cell.platform.partition("/")[2].replace("/", "-")
    return image.tag if platforms[cell.variant] == 1 else f"{image.tag}-{cpu}"
