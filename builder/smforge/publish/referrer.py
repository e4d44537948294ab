"""The audit report as an artefact that refers to the image it is about.

Format: OCI image-spec 1.1, "Guidelines for Artifact Usage": a manifest with a `subject`, an empty
configuration, and the report as its one blob. In a layout it is one more root of ``index.json``.
"""

from __future__ import annotations

from pathlib import Path

from smforge.oci.documents import MANIFEST, Descriptor
from smforge.oci.layout import LayoutFolder

REPORT_TYPE = "application/vnd.smforge.audit.v1+json"
"""The JSON report, schema_version 1."""
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"
_CREATED = "org.opencontainers.image.created"


def attach_report(folder: Path, image: Descriptor, report: bytes, created: str) -> str:
    """Put the report of an image into its layout; the result is the digest of its manifest.

    `created` is the moment to state, as RFC 3339 has it. Raises as `LayoutFolder.index` does.
    """
    layout = LayoutFolder(folder)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": REPORT_TYPE,
        "config": {"mediaType": EMPTY_TYPE, **layout.put(b"{}")},
        "layers": [
            {
                "mediaType": REPORT_TYPE,
                **layout.put(report),
                "annotations": {TITLE: "audit.json"},
            }
        ],
        "subject": {
            "mediaType": image.media_type,
            "digest": image.digest,
            "size": image.size,
        },
        "annotations": {_CREATED: created},
    }
    entry = {**layout.put_document(manifest), "artifactType": REPORT_TYPE}
    index = layout.index()
    if entry not in index["manifests"]:
        index["manifests"].append(entry)
        layout.replace_index(index)
    return str(entry["digest"])
