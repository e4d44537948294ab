"""Libraries of nvcc, slimmed and repaired: what is left, what was made, and what did not change."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.arch.requirement import Requirements
from smforge.arch.target import ComputeCapability
from smforge.errors import DamagedInputError, NothingToAuditError, UsageError
from smforge.inventory.formats import elf
from smforge.inventory.formats.blob import FileBlob
from smforge.inventory.native.reader import read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import FileInventory
from smforge.rewrite.entries import cubin_entry, region_header
from smforge.rewrite.host_elf import packed_places, read_host_elf
from smforge.rewrite.proof import UnprovenError, prove_library
from smforge.rewrite.records import Request
from smforge.rewrite.subject import Rewritten, rewrite
from smforge.verdict.audit import audit
from smforge.verdict.request import AuditRequest
from tests.rewrite.conftest import FIRST, GENCODE, SECOND, THIRD, Build

pytestmark = pytest.mark.toolchain


def devices(words: str) -> tuple[ComputeCapability, ...]:
    return tuple(map(ComputeCapability.parse, words.split()))


@pytest.fixture
def run(tmp_path: Path, ptxas: Path) -> Callable[..., Rewritten]:
    """``run(subject, keep, serve)`` rewrites with the assembler of the tests' compiler."""
    numbers = itertools.count()

    def rewriting(
        subject: Path, keep: str = "", serve: str = "", *, keep_ptx: bool = False, **flags: object
    ) -> Rewritten:
        request = Request(devices(keep), devices(serve), keep_ptx, None, ptxas)
        out = tmp_path / f"out{next(numbers)}{subject.suffix}"
        return rewrite(subject, request, out, cache_folder=tmp_path / "cache", **flags)  # type: ignore[arg-type]

    return rewriting


def inventory(path: Path) -> FileInventory:
    with FileBlob.from_path(path) as blob:
        found = read_file(path.name, blob, ReadOptions())
    assert found is not None
    assert not found.damage
    return found


def code(path: Path) -> list[list[str]]:
    """Per region the objects of a library: ``cubin 12.0``."""
    return [[f"{o.kind} {o.target}" for o in region.objects] for region in inventory(path).regions]


def test_only_what_a_kept_device_needs_stays(library: Path, run: Callable[..., Rewritten]) -> None:
    assert code(library) == [["cubin 8.0", "ptx 9.0", "cubin 9.0", "cubin 12.0"]] * 2
    assert code(run(library, "12.0").output) == [["cubin 12.0"]] * 2
    assert code(run(library, "8.0 9.0").output) == [["cubin 8.0", "cubin 9.0"]] * 2
    assert code(run(library, "10.0").output) == [["ptx 9.0"]] * 2
    assert code(run(library, "12.1", keep_ptx=True).output) == [["ptx 9.0", "cubin 12.0"]] * 2


def test_a_region_of_which_nothing_is_kept_holds_a_marker_that_no_kept_device_takes(
    ptx_library: Path, run: Callable[..., Rewritten]
) -> None:
    done = run(ptx_library, "7.5")
    assert code(done.output) == [["ptx 9.0a"]] * 2
    assert all(change.marker for one in done.changes for change in one.regions)


def test_machine_code_is_made_from_ptx(ptx_library: Path, run: Callable[..., Rewritten]) -> None:
    done = run(ptx_library, serve="12.0 12.1")
    assert code(done.output) == [["cubin 8.0", "ptx 8.0", "cubin 12.0"]] * 2
    for region in inventory(done.output).regions:
        _, text, made = region.objects
        assert made.kernels == text.kernels
        assert made.toolkit == "13.0"
    assert (done.units, done.cached) == (2, 0)
    assert str(done.driver).startswith("580")
    again = run(ptx_library, serve="12.0")
    assert (again.units, again.cached) == (2, 2)
    assert again.output.read_bytes() == done.output.read_bytes()


def test_repaired_code_replaces_ptx_of_kept_devices(
    ptx_library: Path, run: Callable[..., Rewritten]
) -> None:
    at_once = run(ptx_library, "12.1", "12.1").output
    assert code(at_once) == [["cubin 12.1"]] * 2
    repaired_first = run(run(ptx_library, serve="12.1").output, "12.1").output
    slimmed_first = run(run(ptx_library, "12.1").output, "12.1", "12.1").output
    assert code(repaired_first) == code(slimmed_first) == code(at_once)
    assert run(at_once, "12.1", "12.1").unchanged == (at_once.name,)


def test_with_ptx_kept_the_order_does_not_matter(
    ptx_library: Path, run: Callable[..., Rewritten]
) -> None:
    one = run(run(ptx_library, serve="12.1").output, "12.1", keep_ptx=True).output
    other = run(run(ptx_library, "12.1", keep_ptx=True).output, serve="12.1").output
    assert code(one) == code(other) == [["ptx 8.0", "cubin 12.1"]] * 2


@pytest.mark.parametrize(("keep", "serve"), [("12.0", ""), ("", "10.0"), ("10.0", "10.0")])
def test_the_runtime_is_given_the_same_functions_with_the_same_regions(
    library: Path,
    run: Callable[..., Rewritten],
    registered: Callable[[Path], list[str]],
    keep: str,
    serve: str,
) -> None:
    before = registered(library)
    after = registered(run(library, keep, serve).output)
    regions = [line for line in before if line.startswith("fatbin")]
    assert len(regions) == 2
    assert all(line.endswith("2-80 1-90 2-90 2-120") for line in regions)
    others = [line for line in before if not line.startswith("fatbin")]
    assert [line for line in after if not line.startswith("fatbin")] == others
    assert any("plain" in line for line in others)
    assert any("variable" in line and "table" in line for line in others)
    wanted = {("12.0", ""): "2-120", ("", "10.0"): "2-80 1-90 2-90 2-120 2-100"}
    ends = wanted.get((keep, serve), "2-100")
    assert all(line.endswith(f" {ends}") for line in after if line.startswith("fatbin"))


def test_bytes_leave_the_file(build_library: Build, run: Callable[..., Rewritten]) -> None:
    """A library whose GPU code is large loses nearly what the dropped objects took."""
    many = "\n".join(
        f'extern "C" __global__ void k{n}(double* x) {{ x[0] = sin(x[{n}]) * pow(x[1], {n}.5); }}'
        for n in range(200)
    )
    launches = "".join(f"k{n}<<<1, 1>>>(x);" for n in range(200))
    library = build_library({"many.cu": f'{many}\nextern "C" void go(double* x) {{{launches}}}'})
    done = run(library, "12.0")
    (change,) = done.changes
    dropped = sum(one.bytes for region in change.regions for one in region.dropped)
    assert dropped > 1_000_000
    assert change.size_before - change.size_after > dropped - (1 << 17)
    assert done.size_after == change.size_after


def test_relocatable_code_and_stripped_symbols(
    build_library: Build, run: Callable[..., Rewritten], registered: Callable[[Path], list[str]]
) -> None:
    """Linked device code is slimmed; what the device linker has used up is left alone."""
    gencode = GENCODE[:3]
    library = build_library({"first.cu": FIRST, "second.cu": SECOND}, "-rdc=true", gencode=gencode)
    subprocess.run(("strip", library), check=True)
    done = run(library, "12.0")
    before, after = inventory(library), inventory(done.output)
    assert [len(r.objects) for r in before.regions if r.origin == "fatbin"] == [3]
    assert [len(r.objects) for r in after.regions if r.origin == "fatbin"] == [1]
    kept = [r for r in before.regions if r.origin == "relocatable"]
    assert [r.objects for r in after.regions if r.origin == "relocatable"] == [
        r.objects for r in kept
    ]
    others = [line for line in registered(library) if "function" in line]
    assert [line for line in registered(done.output) if "function" in line] == others


@pytest.mark.parametrize("keyword", ["pack-relative-relocs", "max-page-size=65536"])
def test_ways_of_linking(
    build_library: Build,
    run: Callable[..., Rewritten],
    registered: Callable[[Path], list[str]],
    keyword: str,
) -> None:
    library = build_library(
        {"first.cu": FIRST, "second.cu": SECOND, "third.cu": THIRD},
        linking=("-Xlinker=-z", f"-Xlinker={keyword}"),
    )
    for keep, serve in (("12.0", ""), ("", "10.0")):
        done = run(library, keep, serve)
        assert len([x for x in registered(done.output) if x.startswith("fatbin")]) == 3


def test_entries_are_what_fatbinary_writes(
    nvcc: Path, ptxas: Path, ptx_library: Path, tmp_path: Path
) -> None:
    from smforge.arch.target import Target  # noqa: PLC0415
    from smforge.inventory.records import Compression  # noqa: PLC0415

    (tmp_path / "k.ptx").write_text(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k()\n{ ret; }\n"
    )
    for number in (80, 90, 100, 110, 120, 121):
        made, cubin = tmp_path / "k.fatbin", tmp_path / "k.cubin"
        subprocess.run((ptxas, f"-arch=sm_{number}", tmp_path / "k.ptx", "-o", cubin), check=True)
        subprocess.run(
            (nvcc.resolve().parent / "fatbinary", "-64", f"--create={made}", "--compress=false",
             f"--image3=kind=elf,sm={number},file={cubin}"), check=True,
        )  # fmt: skip
        entry = cubin_entry(cubin.read_bytes(), Target.parse(f"sm_{number}"), Compression.NONE)
        assert region_header(len(entry)) + entry == made.read_bytes()


def wheel_of(library: Path, folder: Path) -> Path:
    wheel = folder / "kernels-1.0-py3-none-linux_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(library, "kernels/libkernels.so")
        archive.writestr("kernels/__init__.py", "")
        archive.writestr("kernels-1.0.dist-info/METADATA", "Name: kernels\nVersion: 1.0\n\nText\n")
        archive.writestr(
            "kernels-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-linux_x86_64\n"
        )
        archive.writestr("kernels-1.0.dist-info/RECORD", "")
    return wheel


def test_a_wheel_becomes_another_wheel(
    library: Path, run: Callable[..., Rewritten], tmp_path: Path
) -> None:
    wheel = wheel_of(library, tmp_path)
    original = wheel.read_bytes()
    folder = tmp_path / "folder"
    folder.mkdir()
    request = Request(devices("12.0"))
    done = rewrite(wheel, request, folder, cache_folder=tmp_path / "cache")
    assert done.output.name == "kernels-1.0+cu130.sm120-py3-none-linux_x86_64.whl"
    assert wheel.read_bytes() == original
    with zipfile.ZipFile(done.output) as archive:
        info = "kernels-1.0+cu130.sm120.dist-info"
        assert b"\nVersion: 1.0+cu130.sm120\n" in archive.read(f"{info}/METADATA")
        manifest = json.loads(archive.read(f"{info}/smforge-rewrite.json"))
        recorded = [line.split(",")[0] for line in archive.read(f"{info}/RECORD").decode().split()]
        assert sorted(recorded) == sorted(archive.namelist())
    (changed,) = manifest["libraries"]
    assert [len(one["dropped"]) for one in changed["regions"]] == [3, 3]
    again = rewrite(wheel, request, tmp_path / "again.whl", cache_folder=tmp_path / "cache")
    assert again.output.read_bytes() == done.output.read_bytes()
    target = tmp_path / "site"
    command = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target)
    subprocess.run((*command, done.output), check=True)
    assert code(target / "kernels" / "libkernels.so") == [["cubin 12.0"]] * 2


def test_an_audit_of_a_copy_knows_for_which_devices_it_was_kept(
    library: Path, tmp_path: Path
) -> None:
    wheel = wheel_of(library, tmp_path)
    out = tmp_path / "copy"
    out.mkdir()
    copy = rewrite(wheel, Request(devices("8.0")), out, cache_folder=tmp_path).output

    def outcome(subject: Path, *required: str) -> tuple[str, set[tuple[str, str]]]:
        asked = AuditRequest(Requirements(devices(" ".join(required))))
        verdict = audit(str(subject), asked)
        return verdict.outcome.value, {(one.rule, one.level.value) for one in verdict.findings}

    assert outcome(wheel, "8.6")[0] == "pass"
    assert outcome(copy, "8.0") == ("pass", set())
    # The code for 8.0 runs on 8.6 too, and what was made for 8.6 alone may have been taken out.
    assert outcome(copy, "8.6") == ("undetermined", {("device-not-kept", "error")})
    assert outcome(copy, "8.0", "8.6")[0] == "undetermined"
    assert outcome(copy) == ("pass", {("device-not-kept", "note")})
    # Nothing in the copy runs there: that is certain.
    assert outcome(copy, "12.0")[0] == "fail"
    # Installed, and beside other packages.
    with zipfile.ZipFile(copy) as archive:
        archive.extractall(tmp_path / "site")
    assert outcome(tmp_path / "site", "8.6")[0] == "undetermined"
    (manifest,) = (tmp_path / "site").rglob("smforge-rewrite.json")
    whole = manifest.read_text()
    manifest.write_text(whole[:-20])
    assert outcome(tmp_path / "site", "8.0")[0] == "undetermined"
    with pytest.raises(UsageError, match="slimmed or repaired before"):
        rewrite(copy, Request(devices("8.0")), tmp_path / "again.whl", cache_folder=tmp_path)


def test_what_cannot_be_written_leaves_nothing(
    library: Path, ptx_library: Path, run: Callable[..., Rewritten], tmp_path: Path
) -> None:
    (tmp_path / "there.so").write_bytes(b"")
    with pytest.raises(UsageError, match="exists"):
        rewrite(library, Request(devices("12.0")), tmp_path / "there.so", cache_folder=tmp_path)
    stripped = tmp_path / "stripped.so"
    data = bytearray(library.read_bytes())
    data[40:48] = bytes(8)
    data[60:62] = bytes(2)
    stripped.write_bytes(data)
    with pytest.raises(NothingToAuditError):
        rewrite(stripped, Request(devices("12.0")), tmp_path / "o.so", cache_folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stripped.so", "there.so"]


def test_an_option_of_a_file_that_is_no_plain_one_is_not_handed_on(tmp_path: Path) -> None:
    from smforge.rewrite.assembling import _allowed  # noqa: PLC0415

    assert _allowed("-O1 --maxrregcount 64") == ["-O1", "--maxrregcount", "64"]
    with pytest.raises(DamagedInputError, match="not handed on"):
        _allowed("-o /etc/passwd")


def test_the_proof_sees_every_kind_of_change(
    library: Path, run: Callable[..., Rewritten], tmp_path: Path
) -> None:
    done = run(library, "12.0")
    (change,) = done.changes
    prove_library(library, done.output, change)
    whole = done.output.read_bytes()
    other = tmp_path / "other.so"
    differences = 0
    with FileBlob.from_path(done.output) as blob:
        after = read_host_elf(blob)
    for row, name in zip(after.sections, after.names, strict=True):
        if not row.size or row.type == elf.SHT_NOBITS:
            continue
        data = bytearray(whole)
        data[row.offset + row.size // 2] ^= 0xFF
        other.write_bytes(data)
        with pytest.raises(UnprovenError):
            prove_library(library, other, change)
        differences += name != ""
    assert differences > 10


def test_packed_relocations() -> None:
    table = b"".join(word.to_bytes(8, "little") for word in (0x1000, 0b1011, 0x3000))
    assert list(packed_places(table)) == [0x1000, 0x1008, 0x1018, 0x3000]


def test_the_command(library: Path, tmp_path: Path) -> None:
    out = tmp_path / "slim.so"
    command = (sys.executable, "-m", "smforge", "slim", library, "--keep", "12.0", "-o", out)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Covers 12.0" in done.stdout
    assert code(out) == [["cubin 12.0"]] * 2


def test_what_a_kept_device_lacks_is_not_hidden(build_library: Build, tmp_path: Path) -> None:
    """Without the code for other devices nothing would say that a kernel is missing."""
    library = build_library(
        {"first.cu": FIRST, "third.cu": THIRD}, gencode=("-gencode=arch=compute_90,code=sm_90",)
    )
    out = tmp_path / "slim.so"
    command = (sys.executable, "-m", "smforge", "slim", library, "--keep", "12.0", "-o", out)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "device-missing" in done.stdout
    assert "Nothing was written" in done.stderr
    assert not out.exists()
