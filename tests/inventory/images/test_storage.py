"""One image in every storage gives the same files and identity; damage is always told."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smforge.errors import DamagedInputError, LimitExceededError, SmforgeError, UsageError
from smforge.inventory.formats.limits import Limits
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects import oci, saved_image
from smforge.inventory.survey import take_inventory

LOWER = (("file", "lib/a.so", random.Random(1).randbytes(300_000)), ("file", "lib/b.so", b"b"))
UPPER = (("file", "lib/.wh.b.so"), ("file", "lib/c.so", b"c"))
FILES = {"lib/a.so": LOWER[0][2], "lib/c.so": b"c"}

FilesOf = Callable[[Any], dict[str, bytes]]


def oci_subject(argument: str, options: ReadOptions | None = None) -> Any:
    return oci.open_subject(argument, options or ReadOptions())


def archive_subject(argument: str, options: ReadOptions | None = None) -> Any:
    return saved_image.open_subject(argument, options or ReadOptions())


@pytest.fixture
def layout(writing: Any) -> Any:
    layout = writing.layout()
    layout.add([writing.layer(*LOWER), writing.layer(*UPPER)], environment=["A=b=c", "D"])
    return layout


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("layers", ["plain", "gzip", "zstd"])
def test_every_packing_gives_the_same_files(
    packing: str, layers: str, writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    layout = writing.layout()
    layout.add([writing.layer(*LOWER), writing.layer(*UPPER)], packing=layers)
    path = layout.write_archive(tmp_path / "image.tar", packing)
    assert files_of(archive_subject(str(path))) == FILES


def test_a_file_beyond_what_is_held_in_memory_is_the_same(
    writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    content = random.Random(2).randbytes(4096) * 1200
    layout = writing.layout()
    layout.add([writing.layer(("file", "big", content), ("file", "small", b"x"))])
    folder = layout.write_folder(tmp_path)
    assert files_of(oci_subject(str(folder))) == {"big": content, "small": b"x"}


def test_every_storage_gives_the_same_identity(
    layout: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    subjects = [
        oci_subject(str(layout.write_folder(tmp_path / "layout"))),
        archive_subject(str(layout.write_archive(tmp_path / "plain.tar"))),
        archive_subject(str(layout.write_archive(tmp_path / "packed.tar.gz", "gzip"))),
    ]
    for subject in subjects:
        assert files_of(subject) == FILES
    first, *others = (subject.subject for subject in subjects)
    assert all(other == first for other in others)
    assert first.digest == layout.manifests[0]["digest"]
    assert (first.name, first.platform) == ("example/image:1", "linux/amd64")
    assert first.configuration is not None
    assert first.configuration.environment == (("A", "b=c"), ("D", ""))
    assert first.configuration.labels == (("a", "b"),)
    assert first.configuration.working_directory == "/w"


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
def test_archives_of_older_engines_are_read(
    packing: str, writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    path = tmp_path / "image.tar"
    saved = writing.docker_archive([writing.layer(*LOWER), writing.layer(*UPPER)])
    path.write_bytes(writing.pack(packing, saved))
    subject = archive_subject(str(path))
    assert files_of(subject) == FILES
    identity = subject.subject
    assert identity.configuration is not None
    assert identity.digest == identity.configuration.digest
    assert identity.name == "example/image:1"


def test_layers_that_older_engines_link_are_found(
    writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    lower = writing.layer(*LOWER)
    configuration = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "rootfs": {"diff_ids": [writing.digest(lower)] * 2},
        }
    ).encode()
    listed = [{"Config": "c.json", "RepoTags": None, "Layers": ["x/layer.tar", "y/layer.tar"]}]
    path = tmp_path / "image.tar"
    path.write_bytes(
        writing.layer(
            ("symlink", "x/layer.tar", "../y/layer.tar"),
            ("file", "y/layer.tar", lower),
            ("file", "c.json", configuration),
            ("file", "manifest.json", json.dumps(listed).encode()),
        )
    )
    assert files_of(archive_subject(str(path))) == {name: data for _, name, data in LOWER}


def test_one_of_several_platforms_has_to_be_chosen(
    writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    layout = writing.layout()
    for architecture in ("amd64", "arm64"):
        layout.add([writing.layer(("file", architecture, b"x"))], architecture=architecture)
    folder = str(layout.write_folder(tmp_path))
    with pytest.raises(UsageError, match=r"linux/amd64.*linux/arm64.*--platform"):
        oci_subject(folder)
    with pytest.raises(UsageError, match=r"does not hold linux/s390x. It holds .*linux/arm64"):
        oci_subject(folder, ReadOptions(platform="linux/s390x"))
    with pytest.raises(UsageError, match="not a platform"):
        oci_subject(folder, ReadOptions(platform="arm64"))
    for platform in ("linux/arm64", "linux/arm64/v8"):
        chosen = oci_subject(folder, ReadOptions(platform=platform))
        assert files_of(chosen) == {"arm64": b"x"}
        assert chosen.subject.platform == "linux/arm64"


def test_the_configuration_has_to_agree_with_the_platform_asked_for(
    writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    layout = writing.layout()
    layout.add([writing.layer(("file", "a", b"x"))], architecture="amd64")
    layout.manifests[0]["platform"] = {"os": "linux", "architecture": "arm64"}
    folder = str(layout.write_folder(tmp_path))
    with pytest.raises(DamagedInputError, match=r"for linux/arm64, .* says linux/amd64"):
        oci_subject(folder, ReadOptions(platform="linux/arm64"))
    assert files_of(oci_subject(folder)) == {"a": b"x"}
    assert oci_subject(folder).subject.platform == "linux/amd64"


@pytest.mark.parametrize(
    ("listed", "configured"),
    [
        ({"architecture": "arm", "variant": "v7"}, {"architecture": "arm"}),
        ({"architecture": "arm64", "variant": "v8"}, {"architecture": "arm64"}),
        ({"architecture": "arm64"}, {"architecture": ""}),
    ],
)
def test_a_configuration_may_say_less_than_the_index(
    listed: dict[str, str], configured: dict[str, str], writing: Any, tmp_path: Path
) -> None:
    layout = writing.layout()
    layout.add([writing.layer(("file", "a", b"x"))], architecture=configured["architecture"])
    layout.manifests[0]["platform"] = {"os": "linux", **listed}
    if not configured["architecture"]:
        old = layout.manifests.pop()
        manifest = json.loads(layout.blobs[old["digest"]])
        configuration = json.loads(layout.blobs[manifest["config"]["digest"]])
        del configuration["os"], configuration["architecture"]
        kind = manifest["config"]["mediaType"]
        manifest["config"] = writing.descriptor(json.dumps(configuration).encode(), kind)
        layout.put(json.dumps(configuration).encode())
        layout.put(json.dumps(manifest).encode())
        data = json.dumps(manifest).encode()
        layout.manifests.append({**old, "digest": writing.digest(data), "size": len(data)})
    folder = str(layout.write_folder(tmp_path))
    platform = "/".join(["linux", *listed.values()])
    assert list(oci_subject(folder, ReadOptions(platform=platform)).members())


@pytest.mark.parametrize("packing", ["plain", "gzip"])
def test_the_two_lists_of_an_archive_have_to_name_the_same_images(
    packing: str, writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    layout = writing.layout()
    for name in ("first", "second"):
        layout.add([writing.layer(("file", name, b"x"))], name=f"docker.io/library/{name}:1")
    configurations = [
        json.loads(layout.blobs[item["digest"]])["config"]["digest"] for item in layout.manifests
    ]

    def saved(*images: tuple[int, str]) -> str:
        listed = [
            {
                "Config": f"blobs/{configurations[number].replace(':', '/')}",
                "RepoTags": [tag] if tag else None,
                "Layers": [],
            }
            for number, tag in images
        ]
        files = {**layout.files(), "manifest.json": json.dumps(listed).encode()}
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.tar"
        items = [("file", place, data) for place, data in files.items()]
        path.write_bytes(writing.pack(packing, writing.layer(*items)))
        return f"{path}:first:1"

    for images in ([(0, "first:1"), (1, "second:1")], [(0, "first:1")], [(1, "")], [(0, "new:1")]):
        assert files_of(archive_subject(saved(*images))) == {"first": b"x"}
    with pytest.raises(DamagedInputError, match=r"contradicts itself: manifest\.json names"):
        files_of(archive_subject(saved((1, "first:1"))))
    configurations[1] = writing.digest(b"another")
    with pytest.raises(DamagedInputError, match=r"contradicts itself: manifest\.json names"):
        files_of(archive_subject(saved((0, "first:1"), (1, "second:1"))))


@pytest.mark.parametrize("extra", ["config", "layers"])
def test_an_index_that_is_a_manifest_too_is_refused(
    extra: str, writing: Any, layout: Any, tmp_path: Path
) -> None:
    folder = layout.write_folder(tmp_path)
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**index, extra: []}))
    with pytest.raises(DamagedInputError, match="an index and a manifest at once"):
        oci_subject(str(folder))
    manifest = json.loads(layout.blobs[layout.manifests[0]["digest"]])
    data = json.dumps({**manifest, "manifests": []}).encode()
    layout.put(data)
    layout.manifests[0] |= {"digest": writing.digest(data), "size": len(data)}
    with pytest.raises(DamagedInputError, match="an index and a manifest at once"):
        oci_subject(str(layout.write_folder(tmp_path / "second")))


PTX = b".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry k()\n{\nret;\n}\n"


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("k.ptx", content)
    return buffer.getvalue()


def test_archives_in_an_image_are_read_where_the_image_shows_them(
    writing: Any, tmp_path: Path
) -> None:
    layout = writing.layout()
    lower = [
        ("file", "opt/a.jar", zipped(PTX)),
        ("hardlink", "opt/b.jar", "opt/a.jar"),
        ("file", "opt/gone.jar", zipped(PTX)),
        ("file", "opt/cut.jar", zipped(PTX)[:-9]),
        ("file", "opt/cut-and-gone.jar", zipped(PTX)[:-9]),
    ]
    upper = [("file", "opt/.wh.gone.jar"), ("file", "opt/.wh.cut-and-gone.jar")]
    layout.add([writing.layer(*lower), writing.layer(*upper)])
    inventory = take_inventory(f"archive:{layout.write_archive(tmp_path / 'x.tar')}")
    assert [file.path for file in inventory.files] == ["opt/a.jar/k.ptx", "opt/b.jar/k.ptx"]
    assert [item.path for item in inventory.damage] == ["opt/cut.jar"]


def test_a_layout_in_a_folder_is_read_as_the_image_it_is(writing: Any, tmp_path: Path) -> None:
    layout = writing.layout()
    lower = [("file", "lib/a.ptx", PTX), ("file", "lib/gone.ptx", PTX)]
    layout.add([writing.layer(*lower), writing.layer(("file", "lib/.wh.gone.ptx"))])
    (tmp_path / "w-1-py3-none-any.whl").write_bytes(zipped(PTX))
    layout.write_folder(tmp_path / "image")
    inventory = take_inventory(str(tmp_path))
    assert [file.path for file in inventory.files] == [
        "image/lib/a.ptx",
        "w-1-py3-none-any.whl/k.ptx",
    ]
    assert inventory.damage == ()
    (blob,) = (tmp_path / "image/blobs/sha256").glob(layout.manifests[0]["digest"][7:])
    blob.unlink()
    assert [item.path for item in take_inventory(str(tmp_path)).damage] == ["image"]


def test_named_pipes_and_devices_are_no_images(layout: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(UsageError, match="not a regular file"):
            archive_subject(str(place))
        folder = tmp_path / f"of-{place.name}"
        folder.mkdir()
        (folder / "index.json").symlink_to(place)
        with pytest.raises(UsageError, match="not a regular file"):
            oci_subject(str(folder))
    whole = layout.write_folder(tmp_path / "whole")
    blob = whole / "blobs" / layout.manifests[0]["digest"].replace(":", "/")
    blob.unlink()
    blob.symlink_to("/dev/zero")
    with pytest.raises(DamagedInputError):
        oci_subject(str(whole))


def test_a_document_beyond_any_size_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "index.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UsageError, match="longer than"):
        oci_subject(str(tmp_path))


def test_one_of_several_names_has_to_be_chosen(
    writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    layout = writing.layout()
    for name in ("docker.io/library/one:1", "docker.io/library/two:1"):
        layout.add([writing.layer(("file", name, b"x"))], name=name)
    folder = str(layout.write_folder(tmp_path / "layout"))
    with pytest.raises(UsageError, match=r"one:1.*two:1"):
        oci_subject(folder)
    assert list(files_of(oci_subject(f"{folder}:two:1"))) == ["docker.io/library/two:1"]
    packed = layout.write_archive(tmp_path / "x.tgz", "gzip")
    assert list(files_of(archive_subject(f"{packed}:one:1"))) == ["docker.io/library/one:1"]


def test_attestations_are_no_images(writing: Any, files_of: FilesOf, tmp_path: Path) -> None:
    layout = writing.layout()
    image = layout.manifest([writing.layer(("file", "a", b"x"))])
    proof = layout.manifest([b"{}"], packing="plain")
    kind = "application/vnd.oci.image.manifest.v1+json"
    index = json.dumps(
        {
            "schemaVersion": 2,
            "manifests": [
                writing.descriptor(image, kind, platform={"os": "linux", "architecture": "amd64"}),
                writing.descriptor(
                    proof,
                    kind,
                    platform={"os": "unknown", "architecture": "unknown"},
                    annotations={"vnd.docker.reference.type": "attestation-manifest"},
                ),
            ],
        }
    ).encode()
    layout.put(index)
    layout.manifests = [writing.descriptor(index, "application/vnd.oci.image.index.v1+json")]
    subject = oci_subject(str(layout.write_folder(tmp_path)))
    assert files_of(subject) == {"a": b"x"}
    assert subject.subject.digest == writing.digest(image)


def test_a_platform_of_the_index_that_was_not_saved_is_no_choice(
    writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    layout = writing.layout()
    layout.add([writing.layer(("file", "a", b"x"))])
    there = layout.add([writing.layer(("file", "b", b"x"))], architecture="arm64")
    del layout.blobs[there]
    folder = str(layout.write_folder(tmp_path))
    assert files_of(oci_subject(folder)) == {"a": b"x"}
    with pytest.raises(DamagedInputError, match="does not hold it"):
        oci_subject(folder, ReadOptions(platform="linux/arm64"))


def test_other_artefacts_are_not_taken_for_images(writing: Any, tmp_path: Path) -> None:
    layout = writing.layout()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": writing.descriptor(b"{}", "application/vnd.cncf.helm.config.v1+json"),
            "layers": [],
        }
    ).encode()
    layout.put(manifest)
    layout.manifests = [writing.descriptor(manifest, "application/vnd.oci.image.manifest.v1+json")]
    with pytest.raises(UsageError, match="not a container image"):
        oci_subject(str(layout.write_folder(tmp_path)))


def layer_blob(layout: Any) -> str:
    """The largest blob, which is the lower layer."""
    return max(layout.blobs, key=lambda name: len(layout.blobs[name]))


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "longer"])
@pytest.mark.parametrize("storage", ["folder", "plain", "gzip"])
def test_a_damaged_layer_is_never_passed_over(
    damage: str, storage: str, layout: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    name = layer_blob(layout)
    data = layout.blobs[name]
    layout.blobs[name] = {
        "cut": data[:-9],
        "changed": data[:30] + bytes([data[30] ^ 1]) + data[31:],
        "missing": b"",
        "longer": data + b"x",
    }[damage]
    if damage == "missing":
        del layout.blobs[name]
    with pytest.raises(DamagedInputError, match=name):
        files_of(opened(layout, storage, tmp_path))


def opened(layout: Any, storage: str, folder: Path) -> Any:
    if storage == "folder":
        return oci_subject(str(layout.write_folder(folder / "layout")))
    return archive_subject(str(layout.write_archive(folder / "image.tar", storage)))


@pytest.mark.parametrize("kind", ["config", "manifest"])
@pytest.mark.parametrize("storage", ["folder", "plain", "gzip"])
def test_changed_descriptions_are_damage(
    kind: str, storage: str, layout: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    manifest = layout.manifests[0]["digest"]
    name = (
        manifest if kind == "manifest" else json.loads(layout.blobs[manifest])["config"]["digest"]
    )
    layout.blobs[name] = layout.blobs[name].replace(b"linux", b"LINUX").replace(b"2", b"3", 1)
    with pytest.raises(DamagedInputError, match=name):
        files_of(opened(layout, storage, tmp_path))


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("at", [0, 100, 600, 200_000, -11_000])
def test_a_cut_archive_is_damaged_or_no_archive(
    packing: str, at: int, layout: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    path = layout.write_archive(tmp_path / "image.tar", packing)
    data = path.read_bytes()
    path.write_bytes(data[:at])
    with pytest.raises(DamagedInputError):
        files_of(archive_subject(str(path)))


def test_layers_by_path_are_held_against_the_configuration(
    writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    good = writing.layer(("file", "a", b"good"))
    saved = writing.docker_archive([good]).replace(b"good", b"evil")
    path = tmp_path / "image.tar"
    path.write_bytes(saved)
    with pytest.raises(DamagedInputError, match="unpacks to"):
        files_of(archive_subject(str(path)))


def test_what_is_no_image_is_said_to_be_none(tmp_path: Path, writing: Any) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        archive_subject(str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="not an OCI layout"):
        oci_subject(str(tmp_path))
    other = tmp_path / "other.tar"
    other.write_bytes(writing.layer(("file", "README", b"hello")))
    with archive_subject(str(other)) as subject, pytest.raises(DamagedInputError):
        list(subject.members())


def test_a_layer_that_expands_without_end_is_refused(
    writing: Any, files_of: FilesOf, tmp_path: Path
) -> None:
    layout = writing.layout()
    layout.add([writing.layer(("file", "zeros", bytes(30_000_000)))])
    folder = str(layout.write_folder(tmp_path))
    limits = Limits(ratio=100, ratio_floor=1_000_000)
    with pytest.raises(LimitExceededError, match="over 100 times"):
        files_of(oci_subject(folder, ReadOptions(limits=limits)))


def test_too_many_members_are_refused(writing: Any, files_of: FilesOf, tmp_path: Path) -> None:
    layout = writing.layout()
    layout.add([writing.layer(*(("dir", str(number)) for number in range(4)))])
    folder = str(layout.write_folder(tmp_path))
    with pytest.raises(LimitExceededError, match="more than 3 members"):
        files_of(oci_subject(folder, ReadOptions(limits=Limits(members=3))))


def test_a_forgotten_subject_leaves_no_thread_behind(layout: Any, tmp_path: Path) -> None:
    with oci_subject(str(layout.write_folder(tmp_path))) as subject:
        members = subject.members()
        next(members)
        members.close()


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_mangled_archives_never_escape_our_errors(
    data: st.DataObject, writing: Any, files_of: FilesOf, tmp_path_factory: pytest.TempPathFactory
) -> None:
    layout = writing.layout()
    layout.add([writing.layer(("file", "a", b"x")), writing.layer(("file", ".wh.a"))])
    whole = layout.write_archive(tmp_path_factory.mktemp("mangled") / "image.tar")
    mangled = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(mangled) - 1))
        mangled[at] = data.draw(st.integers(0, 255))
    packing = data.draw(st.sampled_from(["plain", "gzip"]))
    whole.write_bytes(gzip.compress(mangled, 1) if packing == "gzip" else mangled)
    with contextlib.suppress(SmforgeError):
        files_of(archive_subject(str(whole)))


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 1 << 70) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
_keys = ("manifests", "config", "layers", "digest", "size", "mediaType", "platform", "annotations")


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_mangled_descriptions_never_escape_our_errors(
    data: st.DataObject, writing: Any, files_of: FilesOf, tmp_path_factory: pytest.TempPathFactory
) -> None:
    layout = writing.layout()
    document = json.loads(layout.manifest([writing.layer(("file", "a", b"x"))]))
    places = [document, document["config"], document["layers"][0]]
    place = data.draw(st.sampled_from(places))
    place[data.draw(st.sampled_from(_keys))] = data.draw(_json)
    manifest = json.dumps(document).encode()
    layout.put(manifest)
    kind = "application/vnd.oci.image.manifest.v1+json"
    layout.manifests = [writing.descriptor(manifest, kind)]
    layout.manifests[0][data.draw(st.sampled_from(_keys))] = data.draw(_json)
    folder = layout.write_folder(tmp_path_factory.mktemp("mangled"))
    with contextlib.suppress(SmforgeError):
        files_of(oci_subject(str(folder)))
