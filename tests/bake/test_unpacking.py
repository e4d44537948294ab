"""Sources inside one file: what is taken of it, where it is laid, and what is refused."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smforge.bake.inputs import unpacking
from smforge.bake.inputs.externals import directory_of, ensure_externals
from smforge.bake.inputs.fetching import fetch
from smforge.bake.inputs.origin import Origin
from smforge.errors import BuildFailedError
from smforge.plan.records import PlannedExternal


def planned(file: Path, kind: str = "archive", **more: object) -> PlannedExternal:
    """The file as an external of the project in its directory."""
    pin = hashlib.sha256(file.read_bytes()).hexdigest()
    one = PlannedExternal("project", kind, file.name, pin, None, None, None, None)
    return replace(one, **more)  # type: ignore[arg-type]  # fields by name


def tar_of(place: Path, *names: str, links: dict[str, str] | None = None) -> Path:
    """A tar file whose members hold their own names."""
    with tarfile.open(place, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name.encode())
            archive.addfile(member, io.BytesIO(name.encode()))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return place


def zip_of(place: Path, *names: str) -> Path:
    with zipfile.ZipFile(place, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return place


def laid_out(external: PlannedExternal, project: Path) -> dict[str, str]:
    """What is fetched, by its path; the content is where it was in its file."""
    into = project / "tree"
    fetch(external, Origin(project=project), into)
    return {str(one.relative_to(into)): one.read_text() for one in into.rglob("*") if one.is_file()}


def test_only_the_directory_that_is_meant_is_unpacked(tmp_path: Path) -> None:
    file = tar_of(tmp_path / "s.tar.gz", "s/3rdparty/cutlass/a.h", "s/setup.py", "s/3rdparty/x")
    found = laid_out(planned(file, subdirectory="s/3rdparty/cutlass"), tmp_path)
    assert found == {"a.h": "s/3rdparty/cutlass/a.h"}


def test_a_wheel_is_laid_out_as_the_project_has_its_sources(tmp_path: Path) -> None:
    file = zip_of(tmp_path / "p-1-py3-none-any.whl", "p/third_party/k/a.py", "p/b.py", "p/inc/c.h")
    layout = (("python/k/k", "p/third_party/k"), ("include", "p/inc"))
    external = planned(file, "wheel", layout=layout)
    fetch(external, Origin(tmp_path), tmp_path / "tree")
    made = {str(one.relative_to(tmp_path / "tree")) for one in (tmp_path / "tree").rglob("*.*")}
    assert made == {"python/k/k/a.py", "include/c.h"}


def test_two_directories_in_one_place_must_not_have_one_file(tmp_path: Path) -> None:
    file = tar_of(tmp_path / "s.tar", "s/a/one", "s/b/two", "s/c/one")
    both = planned(file, layout=(("x", "s/a"), ("x/b", "s/b")))
    assert laid_out(both, tmp_path) == {"x/one": "s/a/one", "x/b/two": "s/b/two"}
    same = planned(file, layout=(("y", "s/a"), ("y/.", "s/c")))
    with pytest.raises(BuildFailedError, match=r"layout of s\.tar have the file one"):
        fetch(same, Origin(project=tmp_path), tmp_path / "other")


def test_nested_sources_fill_the_empty_directory_of_a_submodule(tmp_path: Path) -> None:
    outer = tmp_path / "deepgemm.tar"
    with tarfile.open(outer, "w") as archive:
        for name in ("d-1", "d-1/third-party", "d-1/third-party/cutlass"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        archive.addfile(tarfile.TarInfo("d-1/setup.py"))
    inner = tar_of(tmp_path / "cutlass.tar.gz", "cutlass-4/include/a.h")
    nested = planned(inner, name="third-party/cutlass")
    found = laid_out(planned(outer, nested=(nested,)), tmp_path)
    assert set(found) == {"setup.py", "third-party/cutlass/include/a.h"}


def test_nested_sources_do_not_replace_what_is_there(tmp_path: Path) -> None:
    outer = tar_of(tmp_path / "outer.tar.gz", "d-1/lib/a.h", "d-1/b")
    inner = planned(tar_of(tmp_path / "inner.tar.gz", "i/a.h"), name="lib")
    with pytest.raises(BuildFailedError, match=r"belongs at lib, and a\.h is there already"):
        laid_out(planned(outer, nested=(inner,)), tmp_path)
    assert not (tmp_path / "tree").exists()


def test_nested_sources_do_not_go_through_a_link(tmp_path: Path) -> None:
    outer = tar_of(tmp_path / "outer.tar.gz", "d/x/y", links={"d/here": "x"})
    inner = planned(tar_of(tmp_path / "inner.tar.gz", "i/a.h"), name="here/lib")
    found = laid_out(planned(outer, nested=(inner,)), tmp_path)
    assert "x/lib/a.h" in found


def test_a_file_that_serves_several_externals_is_brought_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tar_of(tmp_path / "s.tar.gz", "s/a/one", "s/b/two")
    externals = [planned(file, name=one, subdirectory=f"s/{one}") for one in ("a", "b")]
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr("smforge.bake.inputs.fetching.sha256_of", counted)
    made = ensure_externals(externals, tmp_path / "store", Origin(project=tmp_path))
    assert sorted(one.name for one in made.iterdir()) == ["a-src", "b-src"]
    assert len(read) == 1
    assert sorted(one.name for one in (tmp_path / "store").iterdir()) == [".lock", "sets", "trees"]


def test_another_layout_or_nested_source_is_another_place(tmp_path: Path) -> None:
    one = planned(tar_of(tmp_path / "s.tar.gz", "s/a/one"))
    others = [
        replace(one, layout=(("x", "s/a"),)),
        replace(one, holds=("v1",)),
        replace(one, nested=(replace(one, name="lib"),)),
        replace(one, nested=(replace(one, name="lib", pin="0" * 64),)),
    ]
    assert len({directory_of([external], tmp_path) for external in (one, *others)}) == 5


def test_a_directory_that_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    file = tar_of(tmp_path / "s.tar.gz", "s-1/3rdparty/cutlass/a.h")
    with pytest.raises(BuildFailedError) as caught:
        laid_out(planned(file, subdirectory="s/cutlass"), tmp_path)
    assert "holds no directory s/cutlass; it has s-1/3rdparty/cutlass." in str(caught.value)
    with pytest.raises(BuildFailedError, match=r"no directory x; at its top are s-1\."):
        laid_out(planned(file, layout=(("y", "x"),)), tmp_path)


def test_a_file_of_the_project_that_is_not_there(tmp_path: Path) -> None:
    external = PlannedExternal("p", "archive", "gone/s.tar", "0" * 64, None, None, None, None)
    with pytest.raises(BuildFailedError, match=r"gone/s\.tar, the sources of p, is no file"):
        laid_out(external, tmp_path)


@pytest.mark.parametrize("name", ["/etc/escaped", "../escaped", "s/../../escaped"])
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_member_outside_is_refused(tmp_path: Path, name: str, make: object) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    file = make(folder / "bad.file", "s/good", name)  # type: ignore[operator]
    with pytest.raises(BuildFailedError, match="has a place outside of the directory"):
        laid_out(planned(file, subdirectory="s"), folder)
    assert not list(tmp_path.rglob("escaped"))
    assert not (folder / "tree").exists()


@pytest.mark.parametrize(
    ("target", "part", "refused"),
    [
        ("../../../etc/passwd", None, "outside the destination"),
        ("/etc/passwd", None, "absolute path"),
        ("../b/two", "s/a", "is outside of the sources that are meant"),
        ("one", "s/a", None),
    ],
)
def test_a_link_that_leads_out(
    tmp_path: Path, target: str, part: str | None, refused: str | None
) -> None:
    file = tar_of(tmp_path / "s.tar", "s/a/one", "s/b/two", links={"s/a/link": target})
    external = planned(file, subdirectory=part)
    if refused is None:
        assert laid_out(external, tmp_path)["link"] == "s/a/one"
        return
    with pytest.raises(BuildFailedError, match=refused):
        laid_out(external, tmp_path)
    assert not (tmp_path / "tree").exists()


def test_a_link_in_a_zip_file_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("s/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BuildFailedError, match="holds the link s/link"):
        laid_out(planned(tmp_path / "s.zip"), tmp_path)


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_more_than_sources_have_is_refused(
    tmp_path: Path, make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make(tmp_path / "s.file", "s/a", "s/b", "s/c", "t/d")  # type: ignore[operator]
    monkeypatch.setattr(unpacking, "MOST_FILES", 2)
    with pytest.raises(BuildFailedError, match="more than 2 files"):
        laid_out(planned(file), tmp_path)
    assert laid_out(planned(file, subdirectory="t"), tmp_path) == {"d": "t/d"}


def test_bytes_are_counted_before_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "s.tar.xz"
    with tarfile.open(file, "w:xz") as archive:
        member = tarfile.TarInfo("s/zeros")
        member.size = 8 << 20
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    monkeypatch.setattr(unpacking, "MOST_BYTES", 1 << 20)
    with pytest.raises(BuildFailedError, match="do not have"):
        laid_out(planned(file), tmp_path)


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_the_commit_that_git_writes_into_its_files_is_compared(tmp_path: Path, form: str) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "file").write_text("text")
    file = tmp_path / f"s.{form}"
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    for words in (
        ("init", "--quiet"), ("add", "."), (*identity, "commit", "--quiet", "--message=m"),
        ("archive", "--prefix=s/", f"--output={file}", "HEAD"),
    ):  # fmt: skip
        subprocess.run(("git", "-C", str(repository), *words), check=True)
    command = ("git", "-C", str(repository), "rev-parse", "HEAD")
    commit = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    with pytest.raises(BuildFailedError, match=f"says that it is commit {commit}, and") as caught:
        laid_out(planned(file, holds=("v1", "0" * 40)), tmp_path)
    assert f"git archive {'0' * 40}" in str(caught.value)
    assert laid_out(planned(file, holds=("v1", commit)), tmp_path) == {"file": "text"}


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 400), st.sampled_from(["tar", "zip"]))
def test_damaged_files_are_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, form: str
) -> None:
    """Bytes of a good file are replaced: nothing but a refusal or sources may come out."""
    folder = tmp_path_factory.mktemp("damaged")
    file = folder / f"s.{form}"
    (zip_of if form == "zip" else tar_of)(file, "s/a", "s/b/c")
    content = file.read_bytes()
    at %= len(content)
    file.write_bytes(content[:at] + noise + content[at + len(noise) :])
    try:
        fetch(planned(file), Origin(project=folder), folder / "tree")
    except BuildFailedError:
        assert not (folder / "tree").exists()
    assert {one.name for one in folder.iterdir()} <= {file.name, "tree"}
