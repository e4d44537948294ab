"""How much a subject may ask for before it is refused."""

# Not postponed: NamedTuple compiles every annotation that is, and that shows at the start.
import time
from collections.abc import Collection, Iterator
from typing import NamedTuple

from smforge.errors import LimitExceededError

_MIB = 1 << 20
_GIB = 1 << 30
_ARCHIVES = "The archive"


class Limits(NamedTuple):
    """Bounds on a subject. The defaults fit the largest images and libraries in circulation."""

    members: int = 2_000_000
    """Files in one subject, directories and links included."""
    member_bytes: int = 64 * _GIB
    """Uncompressed size of one file."""
    total_bytes: int = 1024 * _GIB
    """Uncompressed size of all files of one subject."""
    ratio: int = 250
    """Uncompressed to compressed bytes of an archive or layer, beyond `ratio_floor`."""
    ratio_floor: int = _GIB
    """Uncompressed bytes that are always allowed, whatever the ratio."""
    nesting: int = 3
    """Archives within archives: a jar in a wheel in a zip is three, whatever holds the zip."""
    payload_bytes: int = 1 * _GIB
    """Decompressed size of one code object that can be read in parts."""
    whole_payload_bytes: int = 256 * _MIB
    """Decompressed size of one code object that can only be read whole, such as an LZ4 block. Only
    one of more than 48 MiB is held at a time."""
    objects: int = 4_000_000
    """Code objects in one file."""
    kernels: int = 250_000
    """Different kernel names in one file. The largest library known has 60,000."""
    name_bytes: int = 256 * _MIB
    """Bytes of all different kernel names of one file."""
    listed: int = 2_000_000
    """Kernel names of one file, those of each code object counted. The most known is 170,000."""
    subject_kernels: int = 600_000
    """Different kernel names in all files of one subject. The largest image known has 110,000."""
    subject_listed: int = 3_000_000
    """Kernel names of all files of one subject, those of each code object counted."""
    damages: int = 100
    """Damaged places recorded for one file before the rest of it is given up."""
    seconds: float = 600.0
    """Time for reading one file."""
    subject_seconds: float = 7200.0
    """Time for reading and judging one subject."""

    def check_members(self, count: int, where: str) -> None:
        """Raise `LimitExceededError` when `where` has more members than allowed."""
        if count > self.members:
            raise _exceeded(f"{where} has more than {self.members} members", "members")

    def check_member(self, size: int, where: str) -> None:
        """Raise `LimitExceededError` when the member `where` is larger than allowed."""
        if size > self.member_bytes:
            raise _exceeded(
                f"{where} would unpack to {size} bytes, more than {self.member_bytes}",
                "member_bytes",
            )

    def check_objects(self, count: int) -> None:
        """Raise `LimitExceededError` when one file has more code objects than allowed."""
        if count > self.objects:
            raise _exceeded(f"The file has more than {self.objects} code objects", "objects")

    def check_kernels(self, names: Collection[str], listed: int) -> None:
        """Raise `LimitExceededError` when one file has more kernels, or longer names, than allowed.

        `names` are the different ones, and `listed` counts those of each code object.
        """
        if len(names) > self.kernels:
            raise _exceeded(f"The file has more than {self.kernels} kernels", "kernels")
        if listed > self.listed:
            raise _exceeded(f"The file lists more than {self.listed} kernel names", "listed")
        if sum(map(len, names)) > self.name_bytes:
            raise _exceeded(
                f"The names of its kernels take more than {self.name_bytes} bytes", "name_bytes"
            )

    def check_subject_kernels(self, count: int, listed: int) -> None:
        """Raise `LimitExceededError` when all files of one subject have more kernels than allowed.

        `count` is the number of different names, and `listed` counts those of each code object.
        """
        if count > self.subject_kernels:
            raise _exceeded(
                f"The files read so far have more than {self.subject_kernels} kernels together",
                "subject_kernels",
            )
        if listed > self.subject_listed:
            raise _exceeded(
                f"The files read so far list more than {self.subject_listed} kernel names together",
                "subject_listed",
            )

    def check_subject_seconds(self, seconds: float) -> None:
        """Raise `LimitExceededError` when one subject took more time than allowed."""
        if seconds > self.subject_seconds:
            raise LimitExceededError(
                f"The subject takes more than {self.subject_seconds:g} s.",
                remedy="If it is trusted, raise the limit 'subject_seconds'.",
            )

    def check_expansion(self, packed: int, unpacked: int, where: str) -> None:
        """Raise `LimitExceededError` when `where` unpacks to implausibly many bytes."""
        if unpacked > self.total_bytes:
            raise _exceeded(f"{where} unpacks to more than {self.total_bytes} bytes", "total_bytes")
        if unpacked > self.ratio_floor and unpacked > self.ratio * max(packed, 1):
            raise _exceeded(
                f"{where} unpacks {packed} bytes to more than {unpacked}, over {self.ratio} times",
                "ratio",
            )


class UnpackingMeter:
    """Holds all archives of a subject together to the limits of one.

    Many small archives, each within the limits, could otherwise unpack to anything.
    """

    def __init__(self, limits: Limits, packed: int = 0) -> None:
        """`packed`: the bytes of the archives, where they are known at the start."""
        self._limits = limits
        self._packed = packed
        self._unpacked = 0
        self._entries = 0
        self._started = time.monotonic()

    def add_archive(self, size: int) -> None:
        """Count an archive of `size` bytes that is not within another one."""
        self._packed += size

    def add_entry(self, size: int = 0) -> None:
        """Count an entry, which unpacks to `size` bytes that `streamed` does not count.

        Raises `LimitExceededError`.
        """
        self._entries += 1
        self._limits.check_members(self._entries, _ARCHIVES)
        self._limits.check_subject_seconds(time.monotonic() - self._started)
        self._add_bytes(size)

    def streamed(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """Pass on what a stream unpacks to. Raises `LimitExceededError` where it is too much."""
        for part in parts:
            self._add_bytes(len(part))
            yield part

    def _add_bytes(self, size: int) -> None:
        self._unpacked += size
        self._limits.check_expansion(self._packed, self._unpacked, _ARCHIVES)


def _exceeded(what: str, field: str) -> LimitExceededError:
    return LimitExceededError(
        f"{what}: it looks like an archive made to exhaust the reader.",
        remedy=f"If the file is trusted, raise the limit {field!r}.",
    )
