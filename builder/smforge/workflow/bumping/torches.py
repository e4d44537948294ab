"""Takes another torch into a draft: which CUDA releases it is published for, and who uses it.

What a torch is built for stands in what its wheels require, or in the local part of their version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from smforge.errors import UsageError
from smforge.fetching.index import IndexFile, PackageIndex
from smforge.matrix.lookup import cuda_tag
from smforge.workflow.bumping.draft import Draft, Means
from smforge.workflow.bumping.releases import files_of, find_release, looked_at, requirements_of

_TAG = re.compile(r"cu[0-9]{3}\Z")
_CUDA = re.compile(r"cuda-toolkit\Z|nvidia-cuda-runtime(-cu1[0-9])?\Z")
"""The distributions whose pinned version says which CUDA a torch is built for."""
_RELEASE = re.compile(r"(?P<major>\d+)\.(?P<minor>\d+)")


def take_torch(draft: Draft, means: Means, wanted: str | None) -> None:
    """Take a torch for every toolkit that it is published for.

    Raises `UsageError` where no index has it, or where it is published for none of the toolkits.
    """
    version = find_release(means.index, "torch", wanted)
    builds = published_builds(draft, means, version)
    taken = [name for name in draft.toolkits if _has_build(draft, name, builds)]
    if not taken:
        raise UsageError(
            f"torch {version} is published for {_said(builds)}, and none of the toolkits is of "
            f"that release: {', '.join(draft.toolkits)}. "
            f"{looked_at(means.index, 'torch')}",
            remedy="Take such a toolkit first: smforge bump toolkit VERSION.",
        )
    use_torch(draft, version, builds, taken)


def use_torch(draft: Draft, version: str, builds: tuple[str, ...], toolkits: list[str]) -> None:
    """Give a torch to toolkits; a torch that nothing uses any more leaves `torch_builds`."""
    table = draft.content["torch_builds"]
    used = set(_used(draft))
    for name in toolkits:
        toolkit = draft.toolkits[name]
        toolkit["torch"] = version
        if cuda_tag(toolkit["cuda"]) in builds:
            toolkit.pop("torch_build", None)
    if version not in table:
        table[version] = list(builds)
    for unused in used - set(_used(draft)) - {version}:
        table.pop(unused, None)


def take_required_torch(draft: Draft, means: Means, required: str, by: str) -> None:
    """Take the torch that a component requires for every toolkit of its variants.

    `by` names the release that requires it. Raises `UsageError` where no index has it for one of
    these toolkits.
    """
    version = find_release(means.index, "torch", required)
    before = draft.sources["vllm"].get("torch")
    builds = published_builds(draft, means, version)
    needed = dict.fromkeys(variant.toolkit for _, variant in draft.variants_with("vllm"))
    for name in needed:
        if not _has_build(draft, name, builds):
            raise UsageError(
                f"{by} requires torch {version}, which is published for {_said(builds)} and not "
                f"for CUDA {draft.toolkits[name]['cuda']}, the toolkit of its variants. "
                f"{looked_at(means.index, 'torch')}",
                remedy="Take a toolkit that it is published for, or name an index that has it.",
            )
    others = [
        name
        for name, toolkit in draft.toolkits.items()
        if name not in needed and toolkit["torch"] == before and before != version
    ]
    for name in others:
        if not _has_build(draft, name, builds):
            draft.remarks.append(
                f"The toolkit {name} keeps torch {before}: torch {version} is published for "
                f"{_said(builds)}."
            )
    draft.sources["vllm"]["torch"] = version
    also = [name for name in others if _has_build(draft, name, builds)]
    use_torch(draft, version, builds, [*needed, *also])


def published_builds(draft: Draft, means: Means, version: str) -> tuple[str, ...]:
    """The CUDA releases that a torch is published for: ``cu130``, from the matrix or the index."""
    known = draft.content["torch_builds"].get(version)
    if known is not None:
        return tuple(known)
    means.announce(f"reading what torch {version} is built for")
    return builds_in_index(means.index, version)


def builds_in_index(index: PackageIndex, version: str) -> tuple[str, ...]:
    """The CUDA releases that the index has a torch for, sorted: ``cu130``."""
    linux = [
        one for one in index.files("torch") if one.version.public == version and "linux" in one.name
    ]
    found = {one.version.local for one in linux if one.version.local}
    tags = {tag for tag in found if tag and _TAG.match(tag)}
    plain = next((one for one in files_of(index, "torch", version) if one in linux), None)
    if plain is not None and (tag := _built_for(index, plain)) is not None:
        tags.add(tag)
    return tuple(sorted(tags))


def _built_for(index: PackageIndex, wheel: IndexFile) -> str | None:
    """``cu130`` for a wheel that requires cuda-toolkit==13.0.3."""
    for requirement in requirements_of(index, wheel):
        pinned = _RELEASE.search(str(requirement.specifier))
        if pinned is not None and _CUDA.match(requirement.name):
            return f"cu{pinned['major']}{pinned['minor']}"
    return None


def _has_build(draft: Draft, toolkit: str, builds: tuple[str, ...]) -> bool:
    one = draft.toolkits[toolkit]
    return not {cuda_tag(one["cuda"]), one.get("torch_build")}.isdisjoint(builds)


def _used(draft: Draft) -> Iterator[str]:
    yield from (one["torch"] for one in draft.toolkits.values())
    yield from (one["torch"] for one in draft.sources.values() if "torch" in one)


def _said(builds: tuple[str, ...]) -> str:
    return " and ".join(builds) or "no CUDA release that its files name"
