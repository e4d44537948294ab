"""The layers of an image by size, and how a step is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from smforge.errors import UsageError
from smforge.oci.documents import digest_of
from smforge.oci.layers import biggest_layers, step_text
from smforge.oci.layout import json_bytes

DEPENDENCIES = """\
RUN |2 CUDA_TAG=cu130 IMAGE_COMPONENTS=flashinfer vllm /bin/sh -c     set -eu
    python3 -m venv --without-pip /opt/venv
    locks=$(printf " -r /opt/requirements/$CUDA_TAG/%s.txt" $IMAGE_COMPONENTS)
    sh /opt/install --require-hashes $locks
 # buildkit"""


def layout(folder: Path, sizes: list[int], history: list[dict[str, object]]) -> Path:
    """An OCI layout with a manifest for such layers; the layers themselves are not there."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(document: Mapping[str, object], media_type: str) -> dict[str, object]:
        data = json_bytes(document)
        digest = digest_of(data)
        (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    configuration = {"os": "linux", "architecture": "arm64", "history": history}
    layers = [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
            "digest": digest_of(str(number).encode()),
            "size": size,
        }
        for number, size in enumerate(sizes)
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(configuration, "application/vnd.oci.image.config.v1+json"),
        "layers": layers,
    }
    root = put(manifest, "application/vnd.oci.image.manifest.v1+json")
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))
    return folder


def test_the_biggest_layer_stands_first_with_its_step(tmp_path: Path) -> None:
    history: list[dict[str, object]] = [
        {"created_by": "ADD rootfs.tar / # buildkit"},
        {"created_by": "ENV A=b", "empty_layer": True},
        {"created_by": DEPENDENCIES},
    ]
    found = biggest_layers(layout(tmp_path, [122_690_371, 3_355_827_874], history))
    assert [one.bytes for one in found] == [3_355_827_874, 122_690_371]
    assert found[0].step.endswith("; sh /opt/install --require-hashes $locks")
    assert found[1].step == "ADD rootfs.tar /"


def test_no_step_is_guessed_where_the_history_is_of_other_layers(tmp_path: Path) -> None:
    found = biggest_layers(layout(tmp_path, [1, 2], [{"created_by": "ADD one /"}]))
    assert [one.step for one in found] == ["", ""]


def test_no_more_than_ten_are_given(tmp_path: Path) -> None:
    assert [one.bytes for one in biggest_layers(layout(tmp_path, list(range(12)), []))] == list(
        range(11, 1, -1)
    )


def test_what_is_no_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not an OCI layout"):
        biggest_layers(tmp_path)


@pytest.mark.parametrize(
    ("created_by", "shown"),
    [
        ("RUN /bin/sh -c useradd vllm # buildkit", "RUN useradd vllm"),
        ("COPY --from=made /wheel/ / # buildkit", "COPY --from=made /wheel/ /"),
        ("/bin/sh -c #(nop) ADD file:1 in /", "/bin/sh -c #(nop) ADD file:1 in /"),
        ("", ""),
    ],
)
def test_a_step_is_shown_without_what_every_step_has(created_by: str, shown: str) -> None:
    assert step_text(created_by) == shown
    assert len(step_text(created_by * 99)) <= len("RUN ") + 104
