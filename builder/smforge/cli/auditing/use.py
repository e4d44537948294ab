"""What the subjects of a command need before they are read, and flags that none of them uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smforge.bake.host.own_engine import use_own_engine
from smforge.cli.complaints import complain
from smforge.cli.progress import ProgressLine
from smforge.errors import UsageError
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.asked import Asked
from smforge.inventory.subjects.opening import names_image, names_release


def find_engine(subjects: Sequence[str]) -> None:
    """Let docker find the engine that ``smforge doctor`` finds, if a subject is an image of it."""
    if any(subject.startswith("image:") for subject in subjects):
        use_own_engine()


def listed_by(
    requirements: Sequence[Path], options: ReadOptions, progress: ProgressLine
) -> tuple[Asked, ...]:
    """What would be installed for requirements files, as subjects that nobody named.

    Raises as `resolve` does.
    """
    if not requirements:
        return ()
    from smforge.fetching.locks import resolve  # noqa: PLC0415  # defers tempfile
    from smforge.fetching.wheels import Target  # noqa: PLC0415  # defers hashlib

    target = Target(options.platform, options.python, options.index_url)
    with progress:
        pinned = resolve(requirements, target, progress)
    if not target.is_this_host:
        complain(
            f"pip evaluated conditions of the requirements, such as platform_machine, for this "
            f"host, and chose wheels for {target.words}."
        )
    return tuple(Asked((one.place,), f"pypi:{one.release}", named=False) for one in pinned)


def require_use(
    subjects: Sequence[str],
    requirements: Sequence[Path],
    *,
    platform: str | None,
    python: str | None,
    index_url: str | None,
) -> None:
    """Raise `UsageError` for no subject, and for a flag that chooses among what none offers."""
    if not subjects and not requirements:
        raise UsageError(
            "No subject is named.",
            remedy="Name a wheel, a folder, an image, pypi:NAME==VERSION or -r FILE.",
        )
    releases = bool(requirements) or any(map(names_release, subjects))
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
