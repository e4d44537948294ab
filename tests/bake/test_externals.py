"""Fetching sources of other projects: real git repositories, an HTTP server, real wheels."""

from __future__ import annotations

import hashlib
import io
import socket
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from smforge.bake.inputs import address
from smforge.bake.inputs.externals import directory_of, ensure_externals
from smforge.bake.inputs.fetching import fetch
from smforge.bake.inputs.origin import Origin
from smforge.errors import BuildFailedError, ConfigurationError
from smforge.plan.records import PlannedExternal
from tests import faulty_proxy as faults
from tests.faulty_proxy import Fault

CUTLASS = "https://example.invalid/nvidia/cutlass.git"
PATH = "third-party/cutlass"
DEEPGEMM = "https://example.invalid/vllm-project/DeepGEMM"


def planned(kind: str, location: str, pin: str | None, **more: object) -> PlannedExternal:
    external = PlannedExternal("project", kind, location, pin, "v1", None, None, None)
    return replace(external, **more)  # type: ignore[arg-type]  # fields by name


def git(where: Path, *arguments: str) -> str:
    command = ("git", "-C", str(where), "-c", "user.name=t", "-c", "user.email=t@t", *arguments)
    allowed = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow"}
    done = subprocess.run(
        command,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(where),
            **allowed,
            "GIT_CONFIG_VALUE_0": "always",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def repository(where: Path, **files: str) -> str:
    """Make a repository with a commit, then one more on top of it; returns the first's name."""
    where.mkdir(parents=True)
    git(where, "init", "--quiet", "--initial-branch=main")
    for name, text in files.items():
        (where / name).write_text(text)
    git(where, "add", ".")
    git(where, "commit", "--quiet", "--message=pinned")
    pinned = git(where, "rev-parse", "HEAD")
    git(where, "commit", "--quiet", "--allow-empty", "--message=newer")
    return pinned


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    return folder


@pytest.fixture
def deepgemm(mirror: Path) -> str:
    """A repository in the mirror whose two submodules are there too; returns its commit."""
    home = mirror / "example.invalid"
    repository(home / "nvidia" / "cutlass.git", gemm="cutlass's")
    repository(home / "vllm-project" / "jit", launch="jit's")
    where = home / "vllm-project" / "DeepGEMM"
    repository(where, setup="deepgemm's")
    config = {f"url.{mirror.as_uri()}/.insteadOf": "https://"}
    options = [text for key, value in config.items() for text in ("-c", f"{key}={value}")]
    for url, path in ((CUTLASS, "third-party/cutlass"), ("../jit", "third-party/jit")):
        absolute = url if url.startswith("https") else f"{DEEPGEMM.rpartition('/')[0]}/jit"
        git(where, *options, "submodule", "--quiet", "add", absolute, path)
        git(where, "config", "--file", ".gitmodules", f"submodule.{path}.url", url)
    git(where, "add", ".")
    git(where, "commit", "--quiet", "--message=with submodules")
    pinned = git(where, "rev-parse", "HEAD")
    git(where, "commit", "--quiet", "--allow-empty", "--message=newer")
    return pinned


@pytest.fixture
def tarball(tmp_path: Path) -> bytes:
    """As GitHub packs a tag: everything in one directory."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name in ("cutlass-4.7.1/include/cutlass/array.h", "cutlass-4.7.1/README.md"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return content.getvalue()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An HTTP server on loopback: its URL and the directory it serves."""
    root = tmp_path / "served"
    root.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", root
        running.shutdown()
        thread.join()


def files_below(directory: Path) -> set[str]:
    return {str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file()}


def test_a_commit_comes_with_its_submodules_and_without_repositories(
    deepgemm: str, mirror: Path, tmp_path: Path
) -> None:
    into = tmp_path / "tree"
    fetch(planned("git", DEEPGEMM, deepgemm), Origin(mirror), into)
    assert files_below(into) == {
        ".gitmodules", "setup", "third-party/cutlass/gemm", "third-party/jit/launch",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("submodules", "found"),
    [((), set()), (("third-party/jit",), {"third-party/jit/launch"})],
)
def test_only_the_submodules_that_are_named(
    deepgemm: str, mirror: Path, tmp_path: Path, submodules: tuple[str, ...], found: set[str]
) -> None:
    into = tmp_path / "tree"
    fetch(planned("git", DEEPGEMM, deepgemm, submodules=submodules), Origin(mirror), into)
    assert files_below(into) == {".gitmodules", "setup"} | found


def test_a_commit_that_the_repository_does_not_have(
    deepgemm: str, mirror: Path, tmp_path: Path
) -> None:
    lacks = rf"mirror lacks the object {'0' * 40} of {DEEPGEMM}, which the sources of project"
    with pytest.raises(BuildFailedError, match=lacks) as caught:
        fetch(planned("git", DEEPGEMM, "0" * 40), Origin(mirror), tmp_path / "tree")
    assert "git fetch" in str(caught.value)
    assert not (tmp_path / "tree").exists()
    assert not list(tmp_path.glob(".fetching-*"))


@pytest.mark.parametrize("annotated", [False, True])
def test_a_tag_that_is_at_another_commit_is_refused(
    deepgemm: str, mirror: Path, tmp_path: Path, annotated: bool
) -> None:
    where = mirror / "example.invalid" / "vllm-project" / "DeepGEMM"
    how = ("--annotate", "--message=v1") if annotated else ()
    git(where, "tag", *how, "v1", deepgemm)
    fetch(planned("git", DEEPGEMM, deepgemm), Origin(mirror), tmp_path / "tree")
    newer = git(where, "rev-parse", "HEAD")
    with pytest.raises(BuildFailedError, match=f"has v1 at {deepgemm}, and .* pins project to"):
        fetch(planned("git", DEEPGEMM, newer), Origin(mirror), tmp_path / "other")


def test_a_repository_that_the_mirror_does_not_have(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildFailedError, match=r"no repository example\.invalid/gone") as caught:
        fetch(planned("git", "https://example.invalid/gone", "0" * 40), Origin(mirror), tmp_path)
    made = f"git clone --mirror https://example.invalid/gone {mirror}/example.invalid/gone"
    assert made in str(caught.value)


def test_a_submodule_that_the_mirror_does_not_have(
    deepgemm: str, mirror: Path, tmp_path: Path
) -> None:
    cutlass = mirror / "example.invalid" / "nvidia" / "cutlass.git"
    wanted = git(mirror / "example.invalid/vllm-project/DeepGEMM", "ls-tree", deepgemm, "--", PATH)
    cutlass.rename(tmp_path / "elsewhere")
    with pytest.raises(BuildFailedError, match=r"no repository example\.invalid/nvidia/cutlass"):
        fetch(planned("git", DEEPGEMM, deepgemm), Origin(mirror), tmp_path / "tree")
    repository(cutlass, other="history")
    lacks = f"lacks the object {wanted.split()[2]} of its submodule {PATH}"
    with pytest.raises(BuildFailedError, match=lacks):
        fetch(planned("git", DEEPGEMM, deepgemm), Origin(mirror), tmp_path / "tree")


def test_a_file_that_the_mirror_s_repository_has_lost(mirror: Path, tmp_path: Path) -> None:
    where = mirror / "example.invalid" / "nvidia" / "cutlass.git"
    commit = repository(where, gemm="cutlass's")
    lost = git(where, "rev-parse", f"{commit}:gemm")
    (where / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(BuildFailedError, match=f"lacks the object {lost} of {CUTLASS}"):
        fetch(planned("git", CUTLASS, commit), Origin(mirror), tmp_path / "tree")


def test_with_a_mirror_no_other_place_is_asked(
    server: tuple[str, Path], mirror: Path, tmp_path: Path
) -> None:
    url, root = server
    commit = repository(root / "project.git", file="text")
    with pytest.raises(BuildFailedError, match="transport 'http' not allowed"):
        fetch(planned("git", f"{url}/project.git", commit), Origin(mirror), tmp_path / "tree")


def test_a_repository_without_a_commit_is_not_fetched(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not pinned") as caught:
        fetch(planned("git", CUTLASS, None), Origin(mirror), tmp_path / "tree")
    assert f"git ls-remote {CUTLASS} v1" in str(caught.value)


def test_an_archive_over_http(server: tuple[str, Path], tarball: bytes, tmp_path: Path) -> None:
    url, root = server
    (root / "v4.7.1.tar.gz").write_bytes(tarball)
    pin = hashlib.sha256(tarball).hexdigest()
    into = tmp_path / "tree"
    fetch(planned("archive", f"{url}/v4.7.1.tar.gz", pin), Origin(), into)
    assert files_below(into) == {"include/cutlass/array.h", "README.md"}


def test_an_archive_that_is_not_there(server: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = server
    with pytest.raises(BuildFailedError, match="404"):
        fetch(planned("archive", f"{url}/v9.tar.gz", "0" * 64), Origin(), tmp_path / "tree")


@pytest.mark.parametrize(
    "planned_faults",
    [
        [faults.says(503), faults.says(429, retry_after="9")],
        [faults.breaks_off(20, reset=False), faults.breaks_off(20, reset=True)],
    ],
)
def test_an_archive_is_asked_for_again(
    server: tuple[str, Path],
    tarball: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    planned_faults: list[Fault],
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(address, "time", SimpleNamespace(sleep=waited.append))
    url, place = server
    (place / "again.tar.gz").write_bytes(tarball)
    pin = hashlib.sha256(tarball).hexdigest()
    with faults.before(urlsplit(url).netloc) as proxy:
        proxy.plan("GET", "again.tar.gz", *planned_faults)
        external = planned("archive", f"http://{proxy.host}/again.tar.gz", pin)
        fetch(external, Origin(), tmp_path / "tree")
        assert proxy.count("GET") == 3
    assert waited in ([0.5, 9], [0.5, 1])
    assert (tmp_path / "tree").is_dir()


def test_an_archive_that_breaks_off_is_not_called_a_wrong_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "attempts", lambda _what: 1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer_half() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

        thread = threading.Thread(target=answer_half)
        thread.start()
        external = planned("archive", f"http://127.0.0.1:{port}/x.tar.gz", "0" * 64)
        with pytest.raises(BuildFailedError, match="ended 6 bytes early"):
            fetch(external, Origin(), tmp_path / "tree")
        thread.join()


@pytest.mark.parametrize("by", ["name", "digest"])
def test_an_archive_in_the_mirror(mirror: Path, tarball: bytes, tmp_path: Path, by: str) -> None:
    pin = hashlib.sha256(tarball).hexdigest()
    (mirror / {"name": "v4.7.1.tar.gz", "digest": pin}[by]).write_bytes(tarball)
    into = tmp_path / "tree"
    external = planned("archive", "https://example.invalid/v4.7.1.tar.gz", pin)
    fetch(replace(external, subdirectory="cutlass-4.7.1/include"), Origin(mirror), into)
    assert files_below(into) == {"cutlass/array.h"}


def test_an_archive_with_other_bytes_is_refused(
    mirror: Path, tarball: bytes, tmp_path: Path
) -> None:
    (mirror / "v4.7.1.tar.gz").write_bytes(tarball)
    external = planned("archive", "https://example.invalid/v4.7.1.tar.gz", "0" * 64)
    with pytest.raises(BuildFailedError, match=hashlib.sha256(tarball).hexdigest()):
        fetch(external, Origin(mirror), tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_an_archive_that_reaches_out_is_refused(mirror: Path, tmp_path: Path) -> None:
    with tarfile.open(mirror / "bad.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../../escaped"), io.BytesIO(b""))
    pin = hashlib.sha256((mirror / "bad.tar").read_bytes()).hexdigest()
    with pytest.raises(BuildFailedError, match=r"bad\.tar cannot be unpacked"):
        fetch(planned("archive", "https://h/bad.tar", pin), Origin(mirror), tmp_path / "tree")
    assert not list(tmp_path.rglob("escaped"))


def test_the_mirror_s_gap_is_named(mirror: Path, tmp_path: Path) -> None:
    external = planned("archive", "https://example.invalid/v4.7.1.tar.gz", "0" * 64)
    with pytest.raises(BuildFailedError, match=r"has no v4\.7\.1\.tar\.gz") as caught:
        fetch(external, Origin(mirror), tmp_path / "tree")
    assert "https://example.invalid/v4.7.1.tar.gz" in str(caught.value)


def wheel(mirror: Path) -> PlannedExternal:
    file = mirror / "project-1-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("library/source/include/x.h", "x")
        archive.writestr("library/other.py", "other")
    pin = hashlib.sha256(file.read_bytes()).hexdigest()
    return planned("wheel", file.name, pin, subdirectory="library/source")


def test_sources_inside_a_wheel(mirror: Path, tmp_path: Path) -> None:
    fetch(wheel(mirror), Origin(mirror), tmp_path / "tree")
    assert files_below(tmp_path / "tree") == {"include/x.h"}


def test_a_directory_that_a_wheel_does_not_have(mirror: Path, tmp_path: Path) -> None:
    external = replace(wheel(mirror), subdirectory="library/sources")
    with pytest.raises(BuildFailedError, match="holds no directory library/sources"):
        fetch(external, Origin(mirror), tmp_path / "tree")


@pytest.mark.network
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_wheel_of_the_package_index(tmp_path: Path) -> None:
    external = planned(
        "wheel",
        "tomli_w-1.2.0-py3-none-any.whl",
        "188306098d013b691fcadc011abd66727d3c414c571bb01b1a174ba8c983cf90",
        release="tomli-w 1.2.0",
        subdirectory="tomli_w",
    )
    fetch(external, Origin(), tmp_path / "tree")
    assert "_writer.py" in files_below(tmp_path / "tree")


def test_what_is_there_is_not_fetched_again(mirror: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    external = wheel(mirror)
    said: list[str] = []
    made = ensure_externals([external], store, Origin(mirror), announce=said.append)
    assert made == directory_of([external], store)
    assert files_below(made) == {"project-src/include/x.h"}
    assert said == ["fetching the sources of project v1"]
    (mirror / external.location).unlink()
    assert ensure_externals([external], store, Origin(mirror), announce=said.append) == made
    # Another set shares what it has in common.
    alias = replace(external, name="project", location="https://elsewhere.invalid/x")
    assert ensure_externals([alias], store, Origin(mirror), announce=said.append) == made
    assert len(said) == 1


def test_another_pin_is_another_place(mirror: Path, tmp_path: Path) -> None:
    external = wheel(mirror)
    other = replace(external, pin="0" * 64)
    assert directory_of([external], tmp_path) != directory_of([other], tmp_path)


def test_nothing_half_fetched_stays(mirror: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    missing = replace(wheel(mirror), name="missing", location="missing-1.whl", pin="0" * 64)
    with pytest.raises(BuildFailedError):
        ensure_externals([wheel(mirror), missing], store, Origin(mirror))
    assert not directory_of([wheel(mirror), missing], store).exists()
    assert [path.name.split("-")[0] for path in (store / "trees").iterdir()] == ["project"]
