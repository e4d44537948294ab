"""Takes another release of a component into a draft: its version, and the digests of its files."""

from __future__ import annotations

from typing import Any

from smforge.errors import UsageError
from smforge.workflow.bumping.draft import Draft, Means
from smforge.workflow.bumping.releases import files_like, find_release


def take_component(draft: Draft, means: Means, name: str, wanted: str | None) -> None:
    """Take a release of a component: `wanted`, or the newest where it is None.

    A component that has a release for each CUDA major version gets it for each that has it. Raises
    `UsageError` where no index has the release.
    """
    source = draft.sources[name]
    if "distribution" in source:
        _take_release(means, source, wanted)
        return
    refusals = []
    for major, one in source.items():
        try:
            _take_release(means, one, wanted)
        except UsageError as error:
            refusals.append(error)
            draft.remarks.append(
                f"{one['distribution']}, for CUDA {major}, stays at {one['version']}: {error}"
            )
    if len(refusals) == len(source):
        raise refusals[0]


def _take_release(means: Means, source: dict[str, Any], wanted: str | None) -> None:
    distribution = source["distribution"]
    version = find_release(means.index, distribution, wanted)
    files = files_like(means.index, distribution, version, source["files"])
    dispatcher = source.get("dispatcher")
    dispatched = (
        files_like(means.index, dispatcher["distribution"], version, dispatcher["files"])
        if dispatcher
        else {}
    )
    source["version"], source["files"] = version, files
    if dispatcher:
        dispatcher["files"] = dispatched
