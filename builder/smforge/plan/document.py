"""A plan as JSON; the shape is published in data/plan.schema.json."""

from __future__ import annotations

from typing import Any

from smforge.plan.records import (
    Cell,
    Plan,
    PlannedComponent,
    PlannedExternal,
    PlannedImage,
    PublishedWheel,
)
from smforge.version import __version__

SCHEMA_VERSION = 1


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as plain data, in the order of versions.json."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "smforge", "version": __version__},
        "matrix": {"name": plan.matrix_name, "sha256": plan.matrix_sha256},
        "cells": [cell_document(cell) for cell in plan.cells],
    }


def cell_document(cell: Cell) -> dict[str, Any]:
    """One cell as plain data; a build's record holds it as well."""
    return {
        "name": cell.name,
        "variant": cell.variant,
        "platform": cell.platform,
        "toolkit": {
            "cuda": cell.toolkit.cuda,
            "tag": cell.toolkit.tag,
            "ptx_isa": cell.toolkit.ptx_isa,
            "minimum_driver": cell.toolkit.minimum_driver,
            "torch": cell.toolkit.torch,
            "wheel_mb": cell.toolkit.wheel_mb,
            "torch_build": cell.toolkit.torch_build,
        },
        "base": {
            "kind": cell.base.kind,
            "image": cell.base.image,
            "suite": cell.base.suite,
            "packages": list(cell.base.packages),
        },
        "require": {
            "devices": [str(device) for device in cell.requirements.devices],
            "targets": [str(target) for target in cell.requirements.targets],
        },
        "policies": list(cell.policies),
        "components": [_component(component) for component in cell.components],
        "image": _image(cell.image),
        "targets": list(cell.targets),
        "variables": dict(cell.variables),
        "dropped": [{"what": one.what, "why": one.why} for one in cell.dropped],
        "rewritten": [
            {
                "component": one.component,
                "asked": one.asked,
                "compiled_as": [str(target) for target in one.compiled_as],
                "by": one.by,
            }
            for one in cell.rewritten
        ],
    }


def _image(image: PlannedImage | None) -> dict[str, Any] | None:
    if image is None:
        return None
    return {"name": image.name, "tag": image.tag, "user": image.user}


def _component(component: PlannedComponent) -> dict[str, Any]:
    return {
        "name": component.name,
        "version": component.version,
        "checkout": component.checkout,
        "archs": list(component.archs),
        "targets": [str(target) for target in component.targets],
        "ptx": [str(target) for target in component.ptx],
        "settings": dict(component.settings),
        "externals": [external_document(one) for one in component.externals],
        "published": _published(component.published),
    }


def _published(wheel: PublishedWheel | None) -> dict[str, Any] | None:
    if wheel is None:
        return None
    return {
        "file": wheel.file,
        "sha256": wheel.sha256,
        "keep": [str(device) for device in wheel.keep],
        "repair": wheel.repair,
    }


def external_document(external: PlannedExternal) -> dict[str, Any]:
    """What an external is and where it comes from, as plain data."""
    return {
        "name": external.name,
        "kind": external.kind,
        "location": external.location,
        "pin": external.pin,
        "release": external.release,
        "subdirectory": external.subdirectory,
        "submodules": None if external.submodules is None else list(external.submodules),
        "instead_of": external.instead_of,
        "layout": dict(external.layout),
        "holds": list(external.holds),
        "nested": [external_document(one) for one in external.nested],
    }
