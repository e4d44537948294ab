"""Hands bytes to the reader they look made for, as an audit would."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from smforge.errors import SmforgeError
from smforge.inventory.archives.archive_form import Form
from smforge.inventory.archives.part_reader import ByteReader
from smforge.inventory.archives.tar import entries
from smforge.inventory.formats.blob import HEAD_BYTES, BytesBlob
from smforge.inventory.formats.cubin_prefix import kernels_of_prefix, names_come_first, names_end
from smforge.inventory.formats.limits import Limits
from smforge.inventory.native.reader import read_file
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.unpacking import UnpackedSubject, archive_form_of
from smforge.inventory.subjects.wheel import PackedSubject
from smforge.inventory.survey import survey

_MIB = 1 << 20
LIMITS = Limits(
    payload_bytes=16 * _MIB,
    whole_payload_bytes=16 * _MIB,
    ratio_floor=16 * _MIB,
    ratio=100,
    seconds=2.0,
)
_TAR_MAGIC = slice(257, 262)


def exercise(data: bytes) -> None:
    """Read `data` to its end. Raises nothing unless a reader has a defect."""
    options = ReadOptions(workers=1, limits=LIMITS)
    if data[_TAR_MAGIC] == b"ustar":
        _refusable(_read_tar, data, options)
    if form := archive_form_of("x", data[:HEAD_BYTES]):
        _refusable(partial(_read_archive, form), data, options)
    else:
        if names_come_first(data) and (end := names_end(data, 0)) >= 0:
            # As if it had been unpacked: no mutant of packed bytes gets there.
            kernels_of_prefix(data, end)
        # What a file holds never raises: it is recorded as damage.
        name = "x.ptx" if data[:1] in {b"\n", b"/", b"."} else "x.so"
        read_file(name, BytesBlob(data), options)
        read_file(name, BytesBlob(data), options._replace(names=False))


def _refusable(
    read: Callable[[bytes, ReadOptions], None], data: bytes, options: ReadOptions
) -> None:
    with suppress(SmforgeError):
        read(data, options)


def _read_archive(form: Form, data: bytes, options: ReadOptions) -> None:
    packed = PackedSubject("x.whl", BytesBlob(data), form, options.limits, digests=False)
    with UnpackedSubject(packed, options.limits) as subject:
        survey(subject, options)


def _read_tar(data: bytes, options: ReadOptions) -> None:
    reader = ByteReader((data[at : at + 4096] for at in range(0, len(data), 4096)), "x.tar")
    for entry in entries(reader, "x.tar"):
        options.limits.check_member(entry.size, "x.tar")
        reader.skip(entry.size)
