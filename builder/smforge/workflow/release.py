"""Pushes the images of a variant: each platform's, and then the tag of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from smforge.errors import UsageError
from smforge.oci.reference import parse_reference
from smforge.publish.images import ImageOutput
from smforge.publish.join import joined_index, push_joined
from smforge.publish.push import FindCredentials, Pushed, push


@dataclass(frozen=True, slots=True)
class Released:
    """The images of one variant in a registry."""

    variant: str
    reference: str
    """HOST/NAME:TAG of the matrix."""
    digest: str
    """The digest of that tag."""
    platforms: dict[str, Pushed]

    @property
    def lines(self) -> Iterator[str]:
        """A sentence for each tag."""
        if len(self.platforms) > 1:
            for platform, one in self.platforms.items():
                yield f"pushed: {one.reference} for {platform}, {one.sent:,} bytes ({one.digest})"
            yield f"tagged: {self.reference} for {', '.join(self.platforms)} ({self.digest})"
            return
        for one in self.platforms.values():
            yield f"pushed: {one.reference}, {one.sent:,} bytes sent ({one.digest})"


def release(
    images: Sequence[ImageOutput],
    repository: str,
    credentials: FindCredentials,
    announce: Callable[[str], None],
) -> Released:
    """Push the images of one variant, one for each of its platforms.

    Everything is checked before the first byte is sent, and the tag for all platforms is written
    last. Raises `UsageError` for what is no repository and for images that do not fit together,
    `ToolError` where the registry refuses them.
    """
    first = images[0]
    reference = f"{repository}:{first.tag}"
    try:
        parse_reference(reference)
    except UsageError as error:
        raise UsageError(
            f"{repository!r} is not a repository of a registry.",
            remedy="Write it as HOST/NAME; the tag comes from the matrix.",
        ) from error
    if any(one.tag != first.tag for one in images):
        tags = ", ".join(dict.fromkeys(one.tag for one in images))
        raise UsageError(f"{first.variant} was built with several tags: {tags}.")
    folders = [one.layout for one in images]
    joined_index(folders)  # What does not fit together is refused here.
    pushed = {
        one.platform: push(
            one.layout, _tagged(reference, one, images), credentials=credentials, announce=announce
        )
        for one in images
    }
    if len(images) == 1:
        return Released(first.variant, reference, pushed[first.platform].digest, pushed)
    digest = push_joined(folders, reference, credentials=credentials, announce=announce)
    return Released(first.variant, reference, digest, pushed)


def _tagged(reference: str, image: ImageOutput, images: Sequence[ImageOutput]) -> str:
    cpu = image.platform.partition("/")[2].replace("/", "-")
    return reference if len(images) == 1 else f"{reference}-{cpu}"
