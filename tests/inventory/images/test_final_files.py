"""Which files an image shows: whiteouts, overwrites and links, against a model and an engine."""

from __future__ import annotations

import random
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smforge.errors import DamagedInputError
from smforge.inventory.jit_tools.scanner import WatchedSubject
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects import engine, saved_image

Item = tuple[str, str] | tuple[str, str, bytes] | tuple[str, str, str]

_NAMES = ("a", "b", "c")
_paths = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3).map("/".join)
_items: st.SearchStrategy[Item] = st.one_of(
    st.tuples(st.just("file"), _paths, st.binary(min_size=1, max_size=3)),
    st.tuples(st.just("dir"), _paths),
    st.tuples(st.just("symlink"), _paths, st.just("nowhere")),
    st.tuples(st.just("whiteout"), _paths),
    st.tuples(st.just("opaque"), _paths),
)


def consistent(items: list[Item]) -> list[Item]:
    """Leave out what no exporter writes: a path twice, or beneath something else than a folder."""
    kept: list[Item] = []
    kinds: dict[str, str] = {}
    for item in items:
        kind, path = item[0], item[1]
        as_kind = "dir" if kind in {"dir", "opaque"} else kind
        parents = [path.rsplit("/", count)[0] for count in range(1, path.count("/") + 1)]
        if any(kinds.get(parent, "dir") != "dir" for parent in parents):
            continue
        if path in kinds and not (kind == "opaque" and kinds[path] == "dir"):
            continue
        for parent in parents:
            kinds[parent] = "dir"
        kinds[path] = as_kind
        kept.append(item)
    return kept


def as_tar_items(items: list[Item]) -> list[Any]:
    renamed: list[Any] = []
    for kind, path, *rest in items:
        parent, _, name = path.rpartition("/")
        prefix = f"{parent}/" if parent else ""
        if kind == "whiteout":
            renamed.append(("file", f"{prefix}.wh.{name}"))
        elif kind == "opaque":
            renamed.append(("file", f"{path}/.wh..wh..opq"))
        else:
            renamed.append((kind, path, *rest))
    return renamed


def model(layers: list[list[Item]]) -> dict[str, bytes | str]:
    """The slow and obvious way: a dictionary of everything, changed entry by entry."""
    tree: dict[str, bytes | str] = {}
    for items in layers:
        for kind, path, *_ in items:
            if kind in {"whiteout", "opaque"}:
                clear(tree, path)
                if kind == "whiteout" or tree.get(path) != "dir":
                    tree.pop(path, None)
        for kind, path, *rest in items:
            for count in range(path.count("/"), 0, -1):
                tree[path.rsplit("/", count)[0]] = "dir"
            if kind in {"dir", "opaque"}:
                tree[path] = "dir"
            elif kind != "whiteout":
                clear(tree, path)
                tree[path] = rest[0] if kind == "file" else kind
    return tree


def clear(tree: dict[str, bytes | str], path: str) -> None:
    for other in [other for other in tree if other.startswith(f"{path}/")]:
        del tree[other]


def files_in(tree: dict[str, bytes | str]) -> dict[str, bytes]:
    return {path: node for path, node in tree.items() if isinstance(node, bytes)}


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(layers=st.lists(st.lists(_items, max_size=8).map(consistent), min_size=1, max_size=4))
def test_layers_come_out_as_in_the_model(
    layers: list[list[Item]],
    writing: Any,
    files_of: Callable[[Any], dict[str, bytes]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("model") / "x.tar"
    layout = writing.layout()
    layout.add([writing.layer(*as_tar_items(items)) for items in layers], packing="plain")
    layout.write_archive(path)
    assert files_of(saved_image.open_subject(str(path), ReadOptions())) == files_in(model(layers))


@pytest.fixture
def final(
    writing: Any, files_of: Callable[[Any], dict[str, bytes]], tmp_path: Path
) -> Callable[..., dict[str, bytes]]:
    """Gives the final files of layers, each a list of items as `Writing.layer` takes them."""

    def read(*layers: list[Any]) -> dict[str, bytes]:
        layout = writing.layout()
        layout.add([writing.layer(*items) for items in layers])
        path = layout.write_archive(tmp_path / "x.tar")
        return files_of(saved_image.open_subject(str(path), ReadOptions()))

    return read


Final = Callable[..., dict[str, bytes]]


def test_an_upper_file_replaces_a_lower_one(final: Final) -> None:
    assert final([("file", "a.so", b"old")], [("file", "a.so", b"new")]) == {"a.so": b"new"}


def test_an_opaque_folder_keeps_what_its_own_layer_has_in_it(final: Final) -> None:
    lower = [("file", "d/old", b"1"), ("file", "d/e/old", b"2")]
    upper = [("file", "d/new", b"3"), ("file", "d/.wh..wh..opq")]
    assert final(lower, upper) == {"d/new": b"3"}


def test_a_whiteout_does_not_hide_its_own_layer(final: Final) -> None:
    lower = [("file", "a", b"1")]
    assert final(lower, [("file", ".wh.a"), ("file", "a", b"2")]) == {"a": b"2"}


def test_other_aufs_metadata_is_no_whiteout(final: Final) -> None:
    assert final([("file", "plnk", b"1")], [("file", ".wh..wh.plnk")]) == {"plnk": b"1"}


def test_a_folder_in_place_of_a_link_hides_what_the_link_led_to(final: Final) -> None:
    lower = [("file", "usr/lib/a.so", b"1"), ("symlink", "lib", "usr/lib")]
    upper = [("file", "lib/b.so", b"2")]
    assert final(lower, upper) == {"usr/lib/a.so": b"1", "lib/b.so": b"2"}


def test_a_link_of_the_same_layer_is_followed(final: Final) -> None:
    lower = [("file", "usr/lib/a.so", b"1")]
    upper = [("symlink", "lib", "/usr/lib"), ("file", "lib/b.so", b"2")]
    assert final(lower, upper) == {"usr/lib/a.so": b"1", "usr/lib/b.so": b"2"}


def test_a_link_never_leads_out_of_the_image(final: Final) -> None:
    layer = [("symlink", "up", "../../.."), ("file", "up/a", b"1"), ("file", "../../b", b"2")]
    assert final(layer) == {"a": b"1", "b": b"2"}


def test_links_in_circles_are_refused(final: Final) -> None:
    with pytest.raises(DamagedInputError, match="circles"):
        final([("symlink", "a", "b"), ("symlink", "b", "a"), ("file", "a/c", b"")])


def test_hard_links_count_where_they_lie(final: Final) -> None:
    lower = [("file", "a", b"1"), ("hardlink", "b", "a"), ("hardlink", "c/d", "./b")]
    assert final(lower) == {"a": b"1", "b": b"1", "c/d": b"1"}
    assert final(lower, [("file", ".wh.a")]) == {"b": b"1", "c/d": b"1"}
    assert final(lower, [("file", "b", b"2")]) == {"a": b"1", "b": b"2", "c/d": b"1"}


LOWER: list[Any] = [("file", "d/bad", b"1"), ("symlink", "lib", "d")]
REFUSED: dict[str, list[list[Any]]] = {
    "link-to-lower": [LOWER, [("hardlink", "e/bad", "d/bad")]],
    "link-to-lower-through-link": [LOWER, [("hardlink", "e/bad", "lib/bad")]],
    "link-to-what-it-removes": [LOWER, [("hardlink", "e/bad", "d/bad"), ("file", ".wh.d")]],
    "link-after-removal": [LOWER, [("file", ".wh.d"), ("hardlink", "e/bad", "d/bad")]],
    "link-to-nothing": [[("hardlink", "e/bad", "d/none")]],
    "link-before-target": [[("hardlink", "e/bad", "d/bad"), ("file", "d/bad", b"1")]],
    "link-to-itself": [[("file", "bad", b"1"), ("hardlink", "bad", "bad")]],
    "link-to-folder": [[("dir", "d"), ("hardlink", "e", "d")]],
    "removed-after": [LOWER, [("file", "d/bad", b"2"), ("file", "d/.wh.bad")]],
    "removed-with-link": [
        [("file", "d/bad", b"2"), ("hardlink", "e", "d/bad"), ("file", "d/.wh.bad")]
    ],
    "folder-removed-after": [[("file", "d/bad", b"2"), ("file", ".wh.d")]],
}
KEPT: dict[str, tuple[list[list[Any]], dict[str, bytes]]] = {
    "link-to-symlink": (
        [[("file", "bad", b"1"), ("symlink", "s", "bad"), ("hardlink", "h", "s")]],
        {"bad": b"1"},
    ),
    "link-through-link": (
        [[("file", "d/bad", b"1"), ("symlink", "l", "d"), ("hardlink", "e", "l/bad")]],
        {"d/bad": b"1", "e": b"1"},
    ),
    "link-written-absolute": (
        [[("file", "d/bad", b"1"), ("hardlink", "e", "/d/bad"), ("hardlink", "f", "../e")]],
        {"d/bad": b"1", "e": b"1", "f": b"1"},
    ),
    "target-replaced": (
        [[("file", "d", b"1"), ("hardlink", "e", "d"), ("file", "d", b"2")]],
        {"d": b"2", "e": b"1"},
    ),
    "target-removed-above": (
        [[("file", "d/a", b"1"), ("hardlink", "e", "d/a")], [("file", "d/.wh.a")]],
        {"e": b"1"},
    ),
    "removed-before": ([LOWER, [("file", "d/.wh.bad"), ("file", "d/bad", b"2")]], {"d/bad": b"2"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_layers_that_no_engine_unpacks_are_refused(name: str, final: Final) -> None:
    with pytest.raises(DamagedInputError, match=r"the hard link|and then removes it"):
        final(*REFUSED[name])


@pytest.mark.parametrize("name", KEPT)
def test_layers_that_engines_unpack_are_read(name: str, final: Final) -> None:
    layers, files = KEPT[name]
    assert final(*layers) == files


@pytest.mark.engine
@pytest.mark.parametrize("name", [*REFUSED, *KEPT])
def test_a_real_engine_refuses_the_same_layers_and_keeps_the_same_files(
    name: str, writing: Any, tmp_path: Path, docker: Callable[..., bytes]
) -> None:
    layers, files = KEPT.get(name, (REFUSED.get(name, []), {}))
    tag = f"smforge-test-links:{name}"
    layout = writing.layout()
    first = writing.layer(("file", "first", b"1"))
    layout.add(
        [first, *(writing.layer(*items) for items in layers)], name=f"docker.io/library/{tag}"
    )
    docker("image", "load", "--input", str(layout.write_archive(tmp_path / "x.tar")))
    try:
        if name in REFUSED:
            with pytest.raises(subprocess.CalledProcessError):
                docker("container", "create", tag, "none")
            return
        container = docker("container", "create", tag, "none").decode().strip()
        exported = tmp_path / "export.tar"
        docker("container", "export", "--output", str(exported), container)
        docker("container", "rm", container)
    finally:
        docker("image", "rm", "--force", tag)
    assert real_files(exported) == {"first": b"1", **files}


def test_a_later_entry_of_one_path_wins(final: Final) -> None:
    assert final([("file", "a", b"1"), ("file", "./a", b"2")]) == {"a": b"2"}
    assert final([("file", "d/a", b"1"), ("symlink", "d", "e")]) == {}


def test_a_path_that_is_folder_and_file_in_one_layer_is_refused(final: Final) -> None:
    for items in (
        [("file", "a", b"1"), ("dir", "a")],
        [("file", "a", b"1"), ("file", "a/b", b"2")],
        [("symlink", "a", "x"), ("dir", "a")],
    ):
        with pytest.raises(DamagedInputError, match="twice"):
            final(items)


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh..."])
def test_whiteouts_of_nothing_are_refused(final: Final, name: str) -> None:
    with pytest.raises(DamagedInputError, match="whiteout"):
        final([("file", f"d/{name}")])


def test_names_beyond_what_linux_takes_are_refused(final: Final) -> None:
    with pytest.raises(DamagedInputError, match="4096"):
        final([("file", "a/" * 3000 + "b", b"")])


def test_links_resolve_in_the_final_image(writing: Any, tmp_path: Path) -> None:
    layout = writing.layout()
    lower = [("symlink", "usr/local/cuda", "/etc/alternatives/cuda")]
    upper = [
        ("symlink", "etc/alternatives/cuda", "../../usr/local/cuda-13.0"),
        ("file", "usr/local/cuda-13.0/bin/ptxas", b"\x7fELF"),
        ("symlink", "loop", "loop"),
    ]
    layout.add([writing.layer(*lower), writing.layer(*upper)])
    subject = saved_image.open_subject(str(layout.write_archive(tmp_path / "x.tar")), ReadOptions())
    with subject:
        list(subject.members())
        assert subject.resolve("/usr/local/cuda/bin/ptxas") == "usr/local/cuda-13.0/bin/ptxas"
        assert subject.resolve("/loop/x") is None


def test_the_paths_a_configuration_names_are_followed(writing: Any, tmp_path: Path) -> None:
    layout = writing.layout()
    links = [("symlink", "usr/local/cuda", "cuda-13.0"), ("symlink", "opt/ptxas", "../x/ptxas")]
    named = ["TRITON_PTXAS_PATH=/opt/ptxas", "HOME=/root", "LANG=C"]
    layout.add([writing.layer(*links)], environment=named)
    inner = saved_image.open_subject(str(layout.write_archive(tmp_path / "x.tar")), ReadOptions())
    with WatchedSubject(inner) as subject:
        list(subject.members())
        assert subject.host_files().links == (
            ("opt/ptxas", "x/ptxas"),
            ("usr/local/cuda/bin/ptxas", "usr/local/cuda-13.0/bin/ptxas"),
        )


@pytest.mark.engine
@pytest.mark.parametrize("seed", range(6))
def test_layers_come_out_as_in_a_container(
    seed: int,
    writing: Any,
    files_of: Callable[[Any], dict[str, bytes]],
    tmp_path: Path,
    docker: Callable[..., bytes],
) -> None:
    choose = random.Random(seed)
    layers: list[list[Item]] = []
    for _ in range(6):
        layers.append(consistent(random_items(choose, model(layers))))
    tag = f"smforge-test-layers:{seed}"
    layout = writing.layout()
    # The engine's own snapshotter makes no file system from an image without any file.
    layout.add(
        [writing.layer(("file", "first", b"1")), *(tar_of(writing, items) for items in layers)],
        name=f"docker.io/library/{tag}",
    )
    docker("image", "load", "--input", str(layout.write_archive(tmp_path / "x.tar")))
    container = docker("container", "create", tag, "none").decode().strip()
    try:
        exported = tmp_path / "export.tar"
        docker("container", "export", "--output", str(exported), container)
    finally:
        docker("container", "rm", container)
    try:
        ours = files_of(engine.open_subject(tag, ReadOptions()))
    finally:
        docker("image", "rm", tag)
    assert ours == real_files(exported)


def tar_of(writing: Any, items: list[Item]) -> bytes:
    """A layer as exporters write it, with an entry for every folder on the way."""
    written = as_tar_items(items)
    folders = {
        path.rsplit("/", count)[0]
        for _, path, *_ in written
        for count in range(1, path.count("/") + 1)
    }
    data: bytes = writing.layer(*(("dir", folder) for folder in sorted(folders)), *written)
    return data


def random_items(choose: random.Random, tree: dict[str, bytes | str]) -> list[Item]:
    """Changes as an exporter finds them: nothing is removed that is not there."""
    items: list[Item] = []
    for _ in range(12):
        path = "/".join(choose.choice(_NAMES) for _ in range(choose.randint(1, 3)))
        kind = choose.choice(["file", "file", "file", "dir", "symlink", "whiteout", "opaque"])
        match kind:
            case "file":
                items.append((kind, path, choose.randbytes(4)))
            case "symlink":
                items.append((kind, path, "nowhere"))
            case "whiteout" if tree:
                items.append((kind, choose.choice(sorted(tree))))
            case "opaque" if tree.get(path) == "dir":
                items.append((kind, path))
            case "dir":
                items.append((kind, path))
    return items


def real_files(exported: Path) -> dict[str, bytes]:
    """The files with content; the engine adds empty ones for its own mounts."""
    with tarfile.open(exported) as container:
        found = {}
        for info in container:
            file = container.getmember(info.linkname) if info.islnk() else info
            content = container.extractfile(file) if file.isreg() else None
            if content is not None and file.size:
                found[info.name] = content.read()
        return found
