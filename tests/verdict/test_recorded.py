"""Libraries that the RECORD of a package lists: missing, changed, whole."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import seeds
from smforge.findings import Level
from smforge.inventory.formats.blob import BytesBlob
from smforge.inventory.install_records import RecordFinder
from smforge.inventory.subjects.members import Member
from smforge.verdict.audit import audit
from smforge.verdict.request import AuditRequest

LIBRARY = seeds.host_elf(seeds.region(seeds.entry(1, seeds.PTX, flags=0x11)))
Made = Callable[..., Path]


def row(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def files(record: str, *names: str) -> dict[str, bytes]:
    return dict.fromkeys(names, LIBRARY) | {
        "one-1.dist-info/METADATA": b"Name: one\nVersion: 1\n",
        "one-1.dist-info/WHEEL": b"Tag: py3-none-any\n",
        "one-1.dist-info/RECORD": record.encode(),
    }


def as_wheel(folder: Path, content: dict[str, bytes]) -> Path:
    path = folder / "one-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def as_folder(folder: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        path = folder / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "site"


def found(subject: Path) -> list[tuple[Level, str]]:
    findings = audit(str(subject), AuditRequest()).findings
    return [(one.level, one.message) for one in findings if one.rule == "record-differs"]


@pytest.mark.parametrize("made", [as_wheel, as_folder])
def test_what_is_as_listed_is_no_finding(made: Made, tmp_path: Path) -> None:
    record = (
        row("one/a.so", LIBRARY) + '"one/b,c.so.1",,\none-1.dist-info/RECORD,,\n../../bin/x,,\n'
    )
    subject = made(tmp_path, files(record, "one/a.so", "one/b,c.so.1", "one/not-listed.so"))
    assert found(subject) == []


@pytest.mark.parametrize(("made", "level"), [(as_wheel, Level.ERROR), (as_folder, Level.WARNING)])
def test_what_is_listed_and_missing_is_named(made: Made, level: Level, tmp_path: Path) -> None:
    record = "".join(row(f"one/{name}.so", LIBRARY) for name in "abcdef") + "one/x.py,,\n"
    ((said, message),) = found(made(tmp_path, files(record, "one/a.so")))
    assert said is level
    assert "lists one/b.so, one/c.so, one/d.so and 2 more, which are not there" in message
    if made is as_wheel:
        verdict = audit(str(tmp_path / "one-1-py3-none-any.whl"), AuditRequest())
        assert verdict.outcome == "undetermined"


@pytest.mark.parametrize("made", [as_wheel, as_folder])
@pytest.mark.parametrize("listed", [LIBRARY + b"\0", LIBRARY[:-1] + b"\1"], ids=["size", "digest"])
def test_what_is_another_one_than_listed_is_a_warning(
    made: Made, listed: bytes, tmp_path: Path
) -> None:
    ((level, message),) = found(made(tmp_path, files(row("one/a.so", listed), "one/a.so")))
    assert level is Level.WARNING
    assert "one/a.so with another size or digest" in message


def test_a_library_without_gpu_code_may_be_stripped(tmp_path: Path) -> None:
    """As Debian does with those of its Python packages."""
    site = as_folder(tmp_path, files(row("one/a.so", LIBRARY), "one/a.so"))
    (site / "one" / "host.so").write_bytes(Path("/bin/true").read_bytes())
    with (site / "one-1.dist-info" / "RECORD").open("a") as record:
        record.write(row("one/host.so", b"longer than it is now" * 9999))
    assert found(site) == []


def test_a_link_in_a_folder_is_not_missing(tmp_path: Path) -> None:
    site = as_folder(tmp_path, files(row("one/a.so", LIBRARY), "one/real.so"))
    (site / "one" / "a.so").symlink_to("real.so")
    assert found(site) == []


@given(st.binary(max_size=300) | st.text(alphabet='a/.,"=so1\n', max_size=200).map(str.encode))
def test_no_bytes_of_a_record_raise(data: bytes) -> None:
    from contextlib import nullcontext  # noqa: PLC0415

    finder = RecordFinder()
    opened = nullcontext(BytesBlob(data))
    finder.note(Member("a/x.dist-info/RECORD", len(data), lambda: opened, data[:64]))
    rows = finder.files(lambda member: (member.path,), lambda _path: False)
    assert all(not one.path.startswith(("/", "..")) for one in rows)
