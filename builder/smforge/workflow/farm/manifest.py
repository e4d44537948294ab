"""The manifest of a run: what each cell made, without times, hosts and paths.

Runs of one request over the same inputs that build the same artefacts write the same bytes,
whether they were interrupted or not, on one machine or merged from several.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from smforge.bake.record import RunRecord
from smforge.version import __version__
from smforge.writing import write_whole

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1


def manifest_text(cells: Iterable[dict[str, Any]]) -> str:
    """The manifest of these entries, by the names of their cells."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "smforge", "version": __version__},
        "cells": sorted(cells, key=lambda one: str(one["cell"])),
    }
    return json.dumps(document, indent=2) + "\n"


def write_manifest(out: Path, cells: Iterable[dict[str, Any]]) -> None:
    """Write ``manifest.json``, whole. Raises `OSError` as the file system does."""
    write_whole(out / MANIFEST_NAME, manifest_text(cells))


def passed_entry(cell: str, record: RunRecord) -> dict[str, Any]:
    """The entry of a cell that has passed: its inputs, artefacts and reports by digest."""
    audits = (record.audit, record.image_audit)
    return {
        "cell": cell,
        "result": "passed",
        "inputs_sha256": record.inputs_sha256,
        "artefacts": [one.model_dump(mode="json") for one in record.artefacts],
        "audits": [
            {"report": one.report, "sha256": one.report_sha256, "verdict": one.verdict}
            for one in audits
            if one is not None
        ],
    }


def other_entry(cell: str, result: str) -> dict[str, Any]:
    """The entry of a cell that has not passed: ``failed``, ``rejected``, ``not-begun``."""
    return {"cell": cell, "result": result}
