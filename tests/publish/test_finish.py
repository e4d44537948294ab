"""What is written into a layout after its image has passed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smforge.errors import UsageError
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects import oci
from smforge.oci.documents import Descriptor, digest_of
from smforge.oci.layout import LayoutFolder
from smforge.publish.contents import bill_of_materials
from smforge.publish.finish import Finished, finish
from smforge.publish.layouts import annotate, read_root
from smforge.publish.referrer import REPORT_TYPE

pytestmark = [pytest.mark.engine, pytest.mark.toolchain]

REPORT = '{"schema_version": 1, "verdict": "pass"}\n'
SHA256 = "5" * 64
WHEELS = {("flash-infer", "0.7.2+cu130"): SHA256}
MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
CREATED = "2023-11-14T22:13:20Z"


def describe(folder: Path, image: Descriptor) -> dict[str, Any]:
    return bill_of_materials(folder, image, MOMENT, WHEELS)


def finished(folder: Path) -> Finished:
    return finish(folder, REPORT, "pass", MOMENT, describe)


def documents(folder: Path) -> dict[str, Any]:
    """Every manifest and index of a layout by digest."""
    found = {}
    for path in (folder / "blobs/sha256").iterdir():
        data = path.read_bytes()
        assert digest_of(data) == f"sha256:{path.name}"
        if data.startswith(b"{"):
            found[f"sha256:{path.name}"] = json.loads(data)
    return found


def test_the_index_says_what_is_known_after_the_audit(image: Any) -> None:
    before = documents(image.layout)
    result = finished(image.layout)
    after = documents(image.layout)
    assert after[result.digest]["annotations"] == {
        "io.smforge.devices": "12.0 12.1",
        "io.smforge.report.digest": digest_of(REPORT.encode()),
        "io.smforge.verdict": "pass",
        "org.opencontainers.image.created": CREATED,
        "org.opencontainers.image.title": "Small",
    }
    # The image is what was audited, to the byte; only its index has been replaced.
    (replaced,) = set(before) - set(after)
    assert before[replaced]["mediaType"].endswith("index.v1+json")
    first, provenance, _ = after[result.digest]["manifests"]
    judged = {"io.smforge.report.digest", "io.smforge.verdict"}
    assert first.pop("annotations").keys() == judged
    assert before[replaced]["manifests"] == [first, provenance]
    after = documents(image.layout)
    assert finished(image.layout) == result
    assert documents(image.layout) == after


def test_a_layout_without_attestations_gets_an_index(
    built: Callable[[bool], Any],
) -> None:
    layout = built(False).layout
    (manifest,) = [root.digest for root in LayoutFolder(layout).roots()]
    result = finished(layout)
    assert result.images == (manifest,)
    index = documents(layout)[result.digest]
    assert index["manifests"][0]["digest"] == manifest
    assert index["manifests"][0]["platform"] == {"architecture": "amd64", "os": "linux"}
    root = LayoutFolder(layout).roots()[0]
    assert (root.digest, root.platform) == (result.digest, None)
    assert root.names


def test_the_report_refers_to_the_image_and_is_no_second_image(image: Any) -> None:
    with oci.open_subject(str(image.layout), ReadOptions()) as subject:
        before = subject.subject
    result = finished(image.layout)
    (digest,) = result.reports
    manifest = documents(image.layout)[digest]
    assert manifest["artifactType"] == REPORT_TYPE
    assert manifest["subject"]["digest"] == before.digest == result.images[0]
    (layer,) = manifest["layers"]
    assert LayoutFolder(image.layout).path(layer["digest"]).read_text() == REPORT
    with oci.open_subject(str(image.layout), ReadOptions()) as subject:
        assert subject.subject == before


def test_the_bill_of_materials_lists_what_is_installed(image: Any, tmp_path: Path) -> None:
    layout = LayoutFolder(image.layout)
    (one,) = read_root(layout).images(layout.where)
    document = describe(image.layout, one)
    listed = {
        package["name"]: (package["versionInfo"], package["licenseDeclared"])
        for package in document["packages"][1:]
    }
    assert listed == {
        "flash-infer": ("0.7.2+cu130", "Apache-2.0"),
        "libc6": ("2.41-12", "NOASSERTION"),
    }
    urls = {
        ref["referenceLocator"]
        for package in document["packages"][1:]
        for ref in package["externalRefs"]
    }
    assert urls == {"pkg:pypi/flash-infer@0.7.2%2Bcu130", "pkg:deb/debian/libc6@2.41-12?arch=amd64"}
    sums = [
        package["checksums"][0]["checksumValue"]
        for package in document["packages"]
        if "checksums" in package
    ]
    assert sums == [one.digest.removeprefix("sha256:"), SHA256]
    # The SPDX project's own validator: structure, identifiers, relationships, expressions.
    assert complaints(document, tmp_path) == ""
    assert "data_license" in complaints({**document, "dataLicense": "MIT"}, tmp_path)


def complaints(document: dict[str, Any], folder: Path) -> str:
    path = folder / "image.spdx.json"
    path.write_text(json.dumps(document))
    program = Path(sys.executable).with_name("pyspdxtools")
    command = (program, "--infile", path)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_a_scanners_bill_of_materials_is_kept(image: Any) -> None:
    finished(image.layout)

    def never(folder: Path, image: Descriptor) -> dict[str, Any]:
        raise AssertionError("there is one already")

    finish(image.layout, REPORT, "pass", MOMENT, never)


def test_annotations_are_merged(image: Any) -> None:
    annotate(image.layout, {"a": "1", "b": "1"})
    digest = annotate(image.layout, {"b": "2"})
    assert documents(image.layout)[digest]["annotations"] == {"a": "1", "b": "2"}


def test_several_images_are_refused(image: Any) -> None:
    layout = LayoutFolder(image.layout)
    index = layout.index()
    layout.replace_index({**index, "manifests": index["manifests"] * 2})
    with pytest.raises(UsageError, match="holds 2 images"):
        finished(image.layout)
