"""Which targets of docker-bake.hcl build a cell, and the values of their variables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from smforge.matrix.lookup import COMPILED, source_of
from smforge.matrix.models import Document, Source
from smforge.plan.assembler import assembler_choices
from smforge.plan.records import Cell, Dropped, PlannedComponent

_DATA = Path(__file__).parent / "data" / "bake_targets.json"


def targets_for(cell: Cell) -> tuple[str, ...]:
    """The targets to build, the base first and the image last."""
    names = list(_table()["base"])
    for component in cell.components:
        for pattern in _patterns(component):
            names += _expand(pattern, component)
    if cell.image is not None:
        names += _table()["image"]
    return tuple(dict.fromkeys(names))


def cross_compiles(cell: Cell) -> bool:
    """Whether everything of a cell can be made on another CPU than it is for."""
    return not bound_to_their_cpu(cell)


def bound_to_their_cpu(cell: Cell) -> tuple[str, ...]:
    """The components of a cell that cannot be made on another CPU than they are for.

    What pip fetches in a step of the build is for the CPU of that step.
    """
    return tuple(
        one.name
        for one in cell.components
        if one.name not in _table()["cross_published" if one.published else "cross"]
    )


def without_target(components: Sequence[PlannedComponent]) -> Iterator[Dropped]:
    """The components that docker-bake.hcl cannot build."""
    for component in components:
        if not _patterns(component):
            yield Dropped(component.name, "docker-bake.hcl has no target for it: it is not built")


def variables_for(document: Document, cell: Cell) -> dict[str, str]:
    """The variables of docker-bake.hcl. A component that the cell lacks has an empty list."""
    return {
        "VARIANT": cell.variant,
        "CUDA_VERSION": cell.toolkit.cuda,
        "CUDA_TAG": cell.toolkit.tag,
        "PLATFORM": cell.platform,
        "BASE_KIND": cell.base.kind,
        "BASE_IMAGE": cell.base.image or "",
        "DEBIAN_SUITE": cell.base.suite or "",
        "CUDA_PACKAGES": " ".join(cell.base.packages),
        "TORCH_VERSION": cell.toolkit.torch,
        **({"TORCH_BUILD": build} if (build := cell.toolkit.torch_build) else {}),
        **_compiled("flashinfer", document.sources.flashinfer, cell),
        "FLASHINFER_SELECTION": _setting(cell, "flashinfer", "selection"),
        **_compiled("vllm", document.sources.vllm, cell),
        "VLLM_EXTENSIONS": _setting(cell, "vllm", "extensions"),
        **_compiled("lmcache", document.sources.lmcache, cell),
        "CONNECTORS": "\n".join(_as_published(document, cell)),
        "DISPATCHERS": "\n".join(_dispatchers(document, cell)),
        **_image(cell),
        "SOURCE_DATE_EPOCH": str(document.source_date_epoch),
    }


def sdist_sha256(source: Source) -> str | None:
    """The digest of a release's source archive, or None when only wheels are listed."""
    return next((sha for name, sha in source.files.items() if name.endswith(".tar.gz")), None)


def _compiled(name: str, source: Source, cell: Cell) -> dict[str, str]:
    """Version, digest and arch list of a component that is compiled from its sdist.

    Where its published wheel is taken: the wheel's name, the devices, and whether it is repaired.
    For an absent component only the empty list is given, so that its releases change no other cell.
    """
    component = cell.component(name)
    prefix = name.upper()
    if component is None:
        return {f"{prefix}_ARCHS": ""}
    if (wheel := component.published) is not None:
        return {
            f"{prefix}_VERSION": component.version,
            f"{prefix}_ARCHS": "",
            f"{prefix}_PUBLISHED": wheel.file,
            f"{prefix}_KEEP": " ".join(map(str, wheel.keep)),
            f"{prefix}_REPAIR": "1" if wheel.repair else "",
        }
    return {
        f"{prefix}_VERSION": component.version,
        f"{prefix}_SHA256": "" if component.checkout else sdist_sha256(source) or "",
        f"{prefix}_ARCHS": " ".join(_list_for(component)),
    }


def _list_for(component: PlannedComponent) -> Iterator[str]:
    """The arch list as the component's own build takes it.

    FlashInfer gets the targets, since one wheel is made per target; torch's grammar has words that
    stand for more than a target.
    """
    if component.name == "flashinfer":
        return (str(target) for target in component.targets)
    return iter(component.archs)


def _setting(cell: Cell, name: str, key: str) -> str:
    component = cell.component(name)
    return component.settings.get(key, "") if component else ""


def _as_published(document: Document, cell: Cell) -> Iterator[str]:
    """A line of a pip requirements file per component that is not compiled."""
    for source in _published_sources(document, cell):
        yield _pin(source.distribution, source.version, source.files)


def _dispatchers(document: Document, cell: Cell) -> Iterator[str]:
    """The same for the distributions that programs import these components through."""
    for source in _published_sources(document, cell):
        if (dispatcher := source.dispatcher) is not None:
            yield _pin(dispatcher.distribution, source.version, dispatcher.files)


def _published_sources(document: Document, cell: Cell) -> Iterator[Source]:
    for component in cell.components:
        if component.name in COMPILED:
            continue
        source = source_of(document.sources, component.name, cell.toolkit.cuda)
        assert source is not None, "the matrix was loaded without this component's source"
        yield source


def _pin(distribution: str, version: str, files: Mapping[str, str]) -> str:
    hashes = " ".join(f"--hash=sha256:{digest}" for digest in files.values())
    return f"{distribution}=={version} {hashes}"


def _image(cell: Cell) -> dict[str, str]:
    if cell.image is None:
        return {"IMAGE": ""}
    return {
        "IMAGE": cell.image.name,
        "IMAGE_TAG": cell.image.tag,
        "IMAGE_USER": cell.image.user,
        "IMAGE_COMPONENTS": " ".join(one.name for one in cell.components),
        **assembler_choices(cell.toolkit.torch, cell.toolkit.cuda, cell.requirements.devices),
        "REQUIRED_DEVICES": " ".join(str(device) for device in cell.requirements.devices),
        "REQUIRED_TARGETS": " ".join(str(target) for target in cell.requirements.targets),
    }


def _expand(pattern: str, component: PlannedComponent) -> list[str]:
    if "{sm}" not in pattern:
        return [pattern]
    return [pattern.format(sm=target.sm.replace("_", "")) for target in component.targets]


def _patterns(component: PlannedComponent) -> list[str]:
    origin = "components" if component.published is None else "published"
    patterns: list[str] = _table()[origin].get(component.name, [])
    return patterns


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return table
