"""Small valid files of every format that the readers take, to start fuzzing from."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import lz4.block
import zstandard
from isal import isal_zlib

KERNELS = """
__device__ __noinline__ int helper(int* x) { return x[threadIdx.x] * 7; }
extern "C" __global__ void calls(int* x) { x[0] = helper(x); }
extern "C" __global__ void plain(int* x) { *x = 1; }
"""
CODES = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in (75, 90)]
PTX = b"\n\n.version 9.0\n.target sm_90\n.address_size 64\n\n.visible .entry k(\n)\n{\n\tret;\n}\n"


def handmade() -> Iterator[bytes]:
    """Seeds that need no compiler."""
    yield PTX
    yield b"// by hand\n" + PTX.replace(b"k(\n)", b"k /* no ( */")
    fatbin = region(entry(1, PTX, flags=0x11))
    yield fatbin
    packed = [
        entry(1, lz4.block.compress(PTX, store_size=False), flags=0x2011, size=len(PTX)),
        entry(1, zstandard.compress(PTX), flags=0x8011, size=len(PTX)),
        entry(1, bytes(isal_zlib.compress(PTX)), flags=0x1011, size=len(PTX)),
    ]
    yield region(*packed)
    yield host_elf(region(*packed) + fatbin)
    archive = ar(("first.o", host_elf(fatbin)), ("a_second_object_file.o", host_elf(fatbin)))
    yield archive
    yield ar(("inner.a", archive), ("zeros.o", bytes(70)), ("notes.txt", b"notes"))
    yield registering_library(region(*packed))
    yield windows_library(region(*packed))
    yield wheel(("pkg/x.so", host_elf(region(*packed))), ("pkg/x.py", b"print()\n" * 20))
    yield tar(("pkg/x.so", host_elf(fatbin)), ("a" * 120, b"long name"))


def compiled() -> Iterator[bytes]:
    """Seeds made by nvcc; none where there is no nvcc."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "k.cu").write_text(KERNELS)
        outputs = {
            "75.cubin": ["-cubin", "-arch=sm_75"],
            "120f.cubin": ["-cubin", "-arch=sm_120f"],
            "rdc.cubin": ["-cubin", "-rdc=true", "-arch=sm_90a"],
            "size.o": ["-c", "--compress-mode=size", "-Xfatbin", "-compress-all", "-arch=sm_100f"],
            "speed.o": ["-c", "--compress-mode=speed", "-Xfatbin", "-compress-all", "-arch=sm_90"],
            "none.o": ["-dc", "--compress-mode=none", "-arch=sm_80"],
            "lib.so": ["-shared", "-Xcompiler", "-fPIC", "-cudart=none", *CODES],
        }
        for output, flags in outputs.items():
            subprocess.run([nvcc, *flags, "-o", output, "k.cu"], cwd=folder, check=True)
            yield (folder / output).read_bytes()


def entry(kind: int, payload: bytes, flags: int, size: int = 0) -> bytes:
    """A fatbin entry for 9.0; `size` is that of the unpacked payload where it is packed."""
    padded = payload + bytes(-len(payload) % 8)
    stored = len(payload) if size else 0
    header = struct.pack(
        "<HHIQIIHHIIIQQQ", kind, 0x101, 64, len(padded), stored, 0, 0, 9, 90, 0, 0, flags, 0, size
    )
    return header + padded


def region(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return b"\x50\xed\x55\xba\x01\x00\x10\x00" + struct.pack("<Q", len(body)) + body


def host_elf(fatbin: bytes) -> bytes:
    """An x86_64 object file whose only content is ``.nv_fatbin``."""
    names = b"\0.nv_fatbin\0.shstrtab\0"
    data = 64
    names_at = data + len(fatbin)
    table = (names_at + len(names) + 7) // 8 * 8
    header = struct.pack(
        "<4s5B7xHHIQQQIHHHHHH",
        b"\x7fELF", 2, 1, 1, 0, 0, 1, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 2,
    )  # fmt: skip
    row = struct.Struct("<IIQQQQIIQQ")
    rows = [
        row.pack(*[0] * 10),
        row.pack(1, 1, 2, 0, data, len(fatbin), 0, 0, 8, 0),
        row.pack(12, 3, 0, 0, names_at, len(names), 0, 0, 1, 0),
    ]
    body = header + fatbin + names
    return body + bytes(table - len(body)) + b"".join(rows)


def registering_library(fatbin: bytes) -> bytes:
    """An x86_64 library without section headers that registers a fatbin, with PTX as a string."""
    start = 0x200
    text = b"\0" + PTX.strip() + b"\0"
    wrapper_at = (start + len(fatbin) + len(text) + 7) // 8 * 8
    wrapper = struct.pack("<IIQQ", 0x466243B1, 1, 0, 0)
    moved = struct.pack("<QQq", wrapper_at + 8, 8, start)
    dynamic_at = wrapper_at + len(wrapper) + len(moved)
    dynamic = struct.pack("<6q", 7, wrapper_at + len(wrapper), 8, len(moved), 0, 0)
    end = dynamic_at + len(dynamic)
    header = struct.pack(
        "<4s5B7xHHIQQQIHHHHHH",
        b"\x7fELF", 2, 1, 1, 0, 0, 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0,
    )  # fmt: skip
    segment = struct.Struct("<IIQQQQQQ")
    segments = segment.pack(1, 6, 0, 0, 0, end, end, 8)
    segments += segment.pack(2, 6, dynamic_at, dynamic_at, 0, len(dynamic), len(dynamic), 8)
    body = (header + segments).ljust(start, b"\0") + fatbin + text
    return body.ljust(wrapper_at, b"\0") + wrapper + moved + dynamic


def windows_library(fatbin: bytes) -> bytes:
    """A 64-bit library for Windows that registers a fatbin."""
    optional = struct.pack("<H22xQ", 0x20B, 0x180000000).ljust(112, b"\0")
    head = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0"
    head += struct.pack("<HH12xHH", 0x8664, 2, len(optional), 0x2022) + optional
    wrapper = struct.pack("<IIQQ", 0x466243B1, 1, 0x180001000, 0)
    rows, body, offset = b"", b"", 0x400
    for name, content in ((b".nv_fatb", fatbin), (b".nvFatBi", wrapper)):
        rows += struct.pack(
            "<8s4I12xI", name, len(content), offset + 0xC00, len(content), offset, 0x40
        )
        body += content
        offset += len(content)
    return (head + rows).ljust(0x400, b"\0") + body


def ar(*members: tuple[str, bytes]) -> bytes:
    """A static archive with GNU long names."""
    long_names = "".join(f"{name}/\n" for name, _ in members if len(name) > 15).encode()
    out = b"!<arch>\n"
    if long_names:
        out += _ar_member(b"//", long_names)
    for name, content in members:
        at = long_names.find(f"{name}/".encode())
        out += _ar_member(f"/{at}".encode() if len(name) > 15 else f"{name}/".encode(), content)
    return out


def _ar_member(name: bytes, content: bytes) -> bytes:
    header = b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (name, 0, 0, 0, 0o644, len(content))
    return header + content + b"\n" * (len(content) & 1)


def wheel(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def tar(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
