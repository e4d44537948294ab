"""How a user names a store: an output directory, or ``registry:HOST/NAME``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from smforge.oci.credentials import find_credentials
from smforge.oci.reference import parse_reference
from smforge.workflow.farm.request import BuildRequest
from smforge.workflow.farm.stores.store import Store

_REGISTRY = "registry:"
Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of a run."""

    reuse: Sequence[Store] = ()
    """What is there is taken, from the first that has it."""
    keep: Sequence[Store] = ()
    """What has passed is stored in each of them."""


def absolute_name(name: str) -> str:
    """The name of a store that means the same in every directory."""
    return name if is_registry(name) else str(Path(name).absolute())


def is_registry(name: str) -> bool:
    """Whether the store is a repository of a registry."""
    return name.startswith(_REGISTRY)


def open_stores(request: BuildRequest, logins: Path, announce: Announce) -> Stores:
    """The stores that a build is to use.

    `logins` is the folder with docker's logins. Raises as `open_store` does.
    """
    opened = {
        name: open_store(name, logins, announce, request.repository)
        for name in dict.fromkeys((*request.reuse, *request.store))
    }
    return Stores(
        tuple(opened[name] for name in request.reuse), tuple(opened[name] for name in request.store)
    )


def open_store(
    name: str, logins: Path, announce: Announce, image_repository: str | None = None
) -> Store:
    """The store of this name, which is asked nothing before it is needed.

    `logins` is the folder with docker's logins, `image_repository` the HOST/NAME that images are
    pushed to. Raises `UsageError` for a repository that is none.
    """
    if not is_registry(name):
        from smforge.workflow.farm.stores.directory import (  # noqa: PLC0415  # defers copying
            DirectoryStore,
        )

        return DirectoryStore(Path(name))
    from smforge.workflow.farm.stores.registry import (  # noqa: PLC0415  # defers urllib3
        RegistryStore,
        repository_of,
    )

    repository = name.removeprefix(_REGISTRY)
    repository_of(repository)
    find = functools.partial(find_credentials, folder=logins)
    images = () if image_repository is None else (f"{_REGISTRY}{image_repository}",)
    source = next(iter(beside(repository, images)), None)
    return RegistryStore(repository, find, announce, source)


def beside(repository: str, stores: Sequence[str]) -> tuple[str, ...]:
    """The names of those stores that are repositories of the same registry as HOST/NAME.

    A registry takes blobs over from them without getting them again.
    """
    names = [name.removeprefix(_REGISTRY) for name in stores if is_registry(name)]
    references = map(parse_reference, names)
    return tuple(one.name for one in references if one.host == parse_reference(repository).host)
