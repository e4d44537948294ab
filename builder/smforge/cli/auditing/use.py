"""Refuses flags that no subject of an audit uses."""

from __future__ import annotations

from collections.abc import Sequence

from smforge.errors import UsageError
from smforge.inventory.subjects.opening import names_image, names_release


def require_use(
    subjects: Sequence[str], *, platform: str | None, python: str | None, index_url: str | None
) -> None:
    """Raise `UsageError` for a flag that chooses among what no subject offers."""
    releases = any(map(names_release, subjects))
    if platform is not None and not releases and not any(map(names_image, subjects)):
        raise UsageError(
            f"--platform {platform} chooses an image or a wheel of several, and no subject has "
            "several.",
            remedy="Leave it out, or name an image (image:REF, oci:DIR, archive:FILE.tar, "
            "registry:HOST/NAME:TAG) or a release (pypi:NAME==VERSION).",
        )
    for flag, value in (("--python", python), ("--index-url", index_url)):
        if value is not None and not releases:
            raise UsageError(
                f"{flag} is about releases of a package index, and no subject is one.",
                remedy="Leave it out, or name a release: pypi:NAME==VERSION.",
            )
