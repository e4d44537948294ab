"""Completes the layout of an image that has passed: annotations, SBOM and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from smforge.oci.documents import Descriptor, digest_of, parse_descriptor
from smforge.oci.fields import mapping_of, parse_document, texts_of
from smforge.oci.layout import LayoutFolder
from smforge.publish.attestation import SPDX, attest, attested
from smforge.publish.layouts import annotate, annotate_images, read_root, rfc3339
from smforge.publish.referrer import attach_report

VERDICT = "io.smforge.verdict"
REPORT_DIGEST = "io.smforge.report.digest"
CREATED = "org.opencontainers.image.created"
_CARRIED = ("org.opencontainers.image.", "io.smforge.")
"""Labels that the index repeats as annotations, for readers who see only the registry."""

Describe = Callable[[Path, Descriptor], Mapping[str, Any]]
"""Makes the SBOM of an image of a layout, as an SPDX document."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a layout refers to once it is complete."""

    digest: str
    """The digest of the image's index, to which a tag will refer."""
    images: tuple[str, ...]
    """The digests of the audited manifests, one per platform."""
    reports: tuple[str, ...]
    """The digests of the manifests of the reports."""


def finish(
    folder: Path, report: str, verdict: str, created: datetime, describe: Describe
) -> Finished:
    """Annotate the image's index, and add the SBOM and the report, in one layout.

    `created` is the moment that all of it states. An SBOM that a scanner has made during the build
    is kept and none is added. A repetition with the same report changes nothing.
    Raises as `read_root` does.
    """
    layout = LayoutFolder(folder)
    moment = rfc3339(created)
    images = read_root(layout).images(layout.where)
    labels: dict[str, str] = {}
    reports = []
    for image in images:
        if SPDX not in attested(layout, read_root(layout), image):
            attest(folder, image, SPDX, describe(folder, image))
        reports.append(attach_report(folder, image, report.encode(), moment))
        labels |= _labels(layout, image)
    judged = {VERDICT: verdict, REPORT_DIGEST: digest_of(report.encode())}
    annotate_images(folder, judged)
    digest = annotate(folder, {**labels, **judged, CREATED: moment})
    return Finished(digest, tuple(image.digest for image in images), tuple(reports))


def _labels(layout: LayoutFolder, image: Descriptor) -> dict[str, str]:
    """The labels of an image that its index repeats."""
    manifest = parse_document(layout.document(image), image.digest)
    described = parse_descriptor(manifest.get("config"), image.digest)
    where = f"The configuration {described.digest} in {layout.where}"
    configuration = parse_document(layout.document(described), where)
    labels = texts_of(mapping_of(configuration.get("config") or {}, where).get("Labels"), where)
    return {key: value for key, value in labels.items() if key.startswith(_CARRIED)}
