"""Folders, single files, and what is said of files that are not what they claim to be."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.errors import DamagedInputError, LimitExceededError, UsageError
from smforge.inventory.formats.blob import FileBlob
from smforge.inventory.formats.limits import Limits
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import SubjectKind
from smforge.inventory.subjects.opening import open_subject
from smforge.inventory.survey import take_inventory
from smforge.progress import Progress

PTX = b".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry k()\n{\nret;\n}\n"


def elf_head(elf_class: int = 2, data: int = 1, version: int = 1, machine: int = 62) -> bytes:
    """A library's ELF header; `machine` as a little-endian file has it."""
    ident = b"\x7fELF" + bytes([elf_class, data, version]) + bytes(9)
    return ident + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "site-packages"
    (root / "a").mkdir(parents=True)
    (root / "a" / "kernels.ptx").write_bytes(PTX)
    (root / "b.txt").write_text("no code")
    (root / "libcuda.so.1").touch()
    return root


def test_a_folder_lists_files_with_code_in_order(tree):
    (tree / "a-first.ptx").write_bytes(PTX)
    inventory = take_inventory(str(tree))

    assert [file.path for file in inventory.files] == ["a-first.ptx", "a/kernels.ptx"]
    assert inventory.examined == 4
    assert inventory.damage == ()
    assert (inventory.subject.kind, inventory.subject.name) == (SubjectKind.TREE, "site-packages")


def test_the_digest_of_a_folder_is_that_of_its_files_with_code(tree):
    before = take_inventory(str(tree)).subject.digest
    line = f"{hashlib.sha256(PTX).hexdigest()}  a/kernels.ptx\n"
    assert before == "sha256:" + hashlib.sha256(line.encode()).hexdigest()

    (tree / "b.txt").write_text("other text")
    assert take_inventory(str(tree)).subject.digest == before
    (tree / "a" / "kernels.ptx").write_bytes(PTX + b"\n")
    assert take_inventory(str(tree)).subject.digest != before
    assert take_inventory(str(tree), ReadOptions(digests=False)).subject.digest is None


def test_links_within_and_special_files_are_left_out(tree):
    (tree / "link.ptx").symlink_to(tree / "a" / "kernels.ptx")
    (tree / "loop").symlink_to(tree)
    (tree / "circle").symlink_to("circle")
    (tree / "broken").symlink_to("nowhere")
    os.mkfifo(tree / "pipe.ptx")

    inventory = take_inventory(str(tree))
    assert [file.path for file in inventory.files] == ["a/kernels.ptx"]
    assert inventory.damage == ()


def test_gpu_code_behind_a_link_that_leads_out_is_damage(tree, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "more.ptx").write_bytes(PTX)
    (outside / "text").write_text("no code")
    (tree / "link.ptx").symlink_to(outside / "more.ptx")
    (tree / "text").symlink_to(outside / "text")
    (tree / "folder").symlink_to(outside)

    inventory = take_inventory(str(tree))
    assert [file.path for file in inventory.files] == ["a/kernels.ptx"]
    assert sorted(damage.path for damage in inventory.damage) == ["folder", "link.ptx"]


@pytest.mark.parametrize("name", ["_C.abi3.so", "libx.so.13", "k.cubin", "k.ptx", "q.whl"])
@pytest.mark.parametrize("target", ["/nonexistent/_C.abi3.so", "nowhere", "{name}"])
def test_a_link_with_a_library_s_name_that_leads_nowhere_is_damage(tree, name, target):
    (tree / name).symlink_to(target.format(name=name))

    (damage,) = take_inventory(str(tree)).damage
    assert damage.path == name
    assert "It is a link to" in damage.message


def test_a_link_to_an_archive_outside_is_damage(tree, tmp_path):
    wheel = tmp_path / "q-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("k.ptx", PTX)
    page = tmp_path / "page.1.gz"
    page.write_bytes(gzip.compress(b"a manual's page"))
    cut = tmp_path / "cut"
    cut.write_bytes(wheel.read_bytes()[:-9])
    (tree / "q.whl").symlink_to(wheel)
    (tree / "data").symlink_to(wheel)
    (tree / "page.1.gz").symlink_to(page)
    (tree / "cut.zip").symlink_to(cut)

    assert [item.path for item in take_inventory(str(tree)).damage] == [
        "cut.zip",
        "data",
        "q.whl",
    ]


def test_a_link_into_a_folder_that_may_not_be_entered_is_damage(tree):
    take_inventory(str(tree))  # Loads what the child below may not be able to read.
    with tempfile.TemporaryDirectory() as place:
        root, private = Path(place) / "root", Path(place) / "private"
        root.mkdir()
        private.mkdir()
        (private / "bad.ptx").write_bytes(PTX)
        (root / "link").symlink_to(private / "bad.ptx")
        (root / "linked").symlink_to(private)
        Path(place).chmod(0o755)
        private.chmod(0)
        try:
            assert as_nobody(lambda: damaged_paths(root)) == "link linked"
        finally:
            private.chmod(0o755)


def damaged_paths(root: Path) -> str:
    return " ".join(sorted(item.path for item in take_inventory(str(root)).damage))


def as_nobody(said: Callable[[], str]) -> str:
    """What a function says in a process without rights: root, whom tests may run as, has all."""
    answers, pipe = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            os.write(pipe, said().encode())
        os._exit(0)
    os.close(pipe)
    with os.fdopen(answers) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def test_a_folder_that_is_reached_by_a_link_is_whole(tree, tmp_path):
    (tree / "link.ptx").symlink_to("a/kernels.ptx")
    (tmp_path / "current").symlink_to(tree)

    assert take_inventory(str(tmp_path / "current")).damage == ()


def test_a_wheel_within_a_folder_is_read(tree):
    for name, member in (("code", "lib/kernels.ptx"), ("pure", "lib/__init__.py")):
        with zipfile.ZipFile(tree / f"{name}-1.0-py3-none-any.whl", "w") as archive:
            archive.writestr(member, PTX if name == "code" else b"")
    (tree / "cut-1.0-py3-none-any.whl").write_bytes(b"PK\x03\x04")

    inventory = take_inventory(str(tree))
    assert [file.path for file in inventory.files] == [
        "a/kernels.ptx",
        "code-1.0-py3-none-any.whl/lib/kernels.ptx",
    ]
    (damage,) = inventory.damage
    assert damage.path == "cut-1.0-py3-none-any.whl"
    assert "no end record" in damage.message


@pytest.mark.parametrize(
    ("name", "content", "damaged"),
    [
        ("a.cubin", elf_head(data=2, machine=190), True),
        ("a.cubin", b"version https://git-lfs.github.com/spec/v1\n", True),
        ("a.so", b"version https://git-lfs.github.com/spec/v1\n", True),
        ("a.cubin", b"", True),
        ("a.fatbin", b"text", True),
        ("a.so", bytes(600), True),
        ("a.so.12.1", bytes(600), True),
        ("libthin.a", b"!<thin>\n", True),
        ("_C.abi3.so", b"", True),
        ("_C.abi3.so", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', True),
        ("a.so", bytes(16) + elf_head()[16:], True),
        ("a.so", elf_head(data=2), True),
        ("a.so", elf_head(elf_class=0), True),
        ("a.so", elf_head(version=0), True),
        ("program", elf_head()[:30], True),
        ("libx.a", b"", True),
        ("libx.a", bytes(600), True),
        ("_C.pyd", b"<html>", True),
        ("libcuda.so.1", b"", False),
        ("libnvidia-ml.so.580.65.06", b"", False),
        ("a.so", b"/* GNU ld script */ INPUT(-lm)", False),
        ("libm.a", b"OUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /usr/lib/libm-2.36.a )", False),
        ("a.so", b"\xcf\xfa\xed\xfe" + bytes(60), False),
        ("a.so", elf_head(machine=243), False),
        ("a.so", elf_head(data=2, machine=22 << 8), False),
        ("_C.pyd", b"MZ" + bytes(600), False),
        ("a.bin", bytes(600), False),
    ],
)
def test_a_name_that_promises_code_on_other_content_is_damage(tree, name, content, damaged):
    (tree / name).write_bytes(content)

    inventory = take_inventory(str(tree))
    assert [f.path for f in inventory.files if f.damage] == ([name] if damaged else [])


def test_a_name_that_is_no_text_is_still_reported(tree):
    (tree / os.fsdecode(b"\xff.ptx")).write_bytes(PTX)

    assert "\\xff.ptx" in [file.path for file in take_inventory(str(tree)).files]

    alone = take_inventory(str(tree / os.fsdecode(b"\xff.ptx")))
    assert alone.subject.name == "\\xff.ptx"
    assert [file.path for file in alone.files] == ["\\xff.ptx"]


def test_an_unreadable_file_is_damage(tree, monkeypatch):
    def refuse(path: str) -> tuple[bytes, int]:
        raise PermissionError(13, "Permission denied", path)

    # Root, whom tests may run as, reads everything.
    monkeypatch.setattr("smforge.inventory.subjects.folder.head_of", refuse)

    damage = take_inventory(str(tree)).damage
    assert "a/kernels.ptx" in [item.path for item in damage]
    assert "Permission denied" in damage[0].message


def test_a_damaged_member_does_not_hide_the_others(tree):
    (tree / "broken.ptx").write_bytes(b".version 9.0\n but no target")

    files = {file.path: file for file in take_inventory(str(tree)).files}
    assert files["broken.ptx"].damage
    assert files["a/kernels.ptx"].regions


def test_one_file(tree):
    path = tree / "a" / "kernels.ptx"
    inventory = take_inventory(str(path))

    assert inventory.subject.kind is SubjectKind.FILE
    assert inventory.subject.digest == f"sha256:{hashlib.sha256(PTX).hexdigest()}"
    assert [file.path for file in inventory.files] == ["kernels.ptx"]


def test_a_file_without_code_is_examined_and_not_listed(tree):
    inventory = take_inventory(str(tree / "b.txt"))

    assert (inventory.files, inventory.examined, inventory.damage) == ((), 1, ())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.whl", b"", "is empty"),
        ("empty.so", b"", "is empty"),
        ("text.whl", b"this is text", "named like a wheel"),
        ("text.so", b"this is text", "named like a library"),
        ("text.cubin", b"this is text", "named like a cubin"),
        ("cut.whl", b"PK\x03\x04" + bytes(100), "no end record"),
    ],
)
def test_what_a_file_claims_to_be_and_is_not(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(DamagedInputError, match=message) as caught:
        take_inventory(str(tmp_path / name))
    assert caught.value.remedy


@pytest.mark.parametrize("argument", ["/no/such/file.whl", "/dev/null"])
def test_what_does_not_exist(argument):
    with pytest.raises(UsageError, match="does not exist"):
        take_inventory(argument)


def test_limits_apply_to_folders(tree):
    with pytest.raises(LimitExceededError):
        take_inventory(str(tree), ReadOptions(limits=Limits(members=2)))

    (damage,) = take_inventory(str(tree), ReadOptions(limits=Limits(member_bytes=10))).damage
    assert damage.path == "a/kernels.ptx"


class Heard(Progress):
    """Remembers what is told."""

    def __init__(self):
        self.items: list[str] = []
        self.amounts: list[tuple[int, int | None]] = []

    def task(self, doing, extent=None, *, unit="B"):
        assert (doing, unit) == ("reading", "B")
        self.extent = extent

    def item(self, name):
        if name not in self.items:
            self.items.append(name)
        self.amounts.append(self.extent())


def test_progress_names_what_is_read_and_counts_the_bytes_of_all(tree):
    whole = sum(path.stat().st_size for path in tree.rglob("*") if not path.is_dir())
    packed = tree.parent / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in tree.rglob("*"):
            archive.write(path, path.relative_to(tree))
    for subject in (tree, packed):
        heard = Heard()
        take_inventory(str(subject), ReadOptions(progress=heard))
        # Texts are passed by without a word.
        assert "b.txt" not in heard.items
        assert "a/kernels.ptx" in heard.items
        assert heard.amounts[0][0] < whole
        assert heard.extent() == (whole, whole)


@pytest.mark.toolchain
def test_a_wheel_holds_what_the_folder_holds(samples, tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    shutil.copy(samples.library("sm_80", "sm_121a", "compute_80"), root / "lib.so")
    shutil.copy(samples.cubin("sm_120f"), root / "one.cubin")
    shutil.copy(samples.linked() / "libunits.a", root / "libunits.a")
    wheel = tmp_path / "x-1-py3-none-any.whl"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.iterdir()):
            archive.write(path, path.name)
    wheel.write_bytes(buffer.getvalue())

    packed, plain = take_inventory(str(wheel)), take_inventory(str(root))
    assert packed.files == plain.files
    assert len(packed.files) == 3


@pytest.mark.toolchain
def test_any_number_of_workers_gives_the_same(samples, monkeypatch):
    monkeypatch.setattr("smforge.inventory.native.regions._SHARE", 1)
    path = str(samples.packed("size"))

    one, three = (take_inventory(path, ReadOptions(workers=count)) for count in (1, 3))
    assert one == three


def test_a_file_that_vanishes_while_it_is_read_is_damage(tree):
    with open_subject(str(tree), ReadOptions()) as subject:
        for member in subject.members():
            (tree / member.path).unlink()
            with pytest.raises(DamagedInputError, match="cannot be opened"):
                member.open()


def test_a_disk_that_fails_is_damage(tree, monkeypatch):
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    with FileBlob.from_path(tree / "b.txt") as blob:
        monkeypatch.setattr("os.pread", fail)
        with pytest.raises(DamagedInputError, match="Input/output error"):
            blob.read_at(0, 4)
