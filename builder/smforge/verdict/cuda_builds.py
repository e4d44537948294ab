"""Builds of one library for several CUDA major versions, of which a program loads one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_NUMBER = re.compile(
    r"(?<![A-Za-z0-9])(?P<word>cu|cuda)(?P<between>[-_]?)"
    r"(?P<major>\d{2})(?:\.?\d{1,2})?(?=x?(?![A-Za-z0-9]))",
    re.IGNORECASE,
)
"""``cu12``, ``cu128``, ``cuda130``, ``cuda-12.8``, ``cuda13x`` as a separate word in a path.

Other numbers in a path (``py312``, ``stage2``) say nothing about CUDA.
"""


class CudaBuilds:
    """Paths of files; finds whether a file is a build of one of them for another CUDA version."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._majors: dict[str, set[tuple[int, ...]]] = {}
        for path in paths:
            for place in _places(path):
                name, majors = _split(place)
                self._majors.setdefault(name, set()).add(majors)

    def has_other(self, path: str, major: int) -> bool:
        """Whether `path` is named after this CUDA major, and a build for another one is here.

        ``libbitsandbytes_cuda130.so`` is for 13, and ``libbitsandbytes_cuda128.so`` is another
        build of it. A file in a folder that is called so (``nixl_ep_cu12``) needs no
        counterpart of its own name in the other folder (``nixl_ep_cu13``). Where a path has more
        than one such number, those that are the same in both paths are ignored.
        """
        return any(self._differs(place, major) for place in _places(path))

    def _differs(self, place: str, major: int) -> bool:
        name, own = _split(place)
        for others in self._majors.get(name, ()):
            differing = [(a, b) for a, b in zip(own, others, strict=True) if a != b]
            if differing and all(a == major for a, _ in differing):
                return True
        return False


def _places(path: str) -> Iterator[str]:
    """The path, and its folder if the folder's name has a CUDA release and something else."""
    yield path
    above, found, _ = path.rpartition("/")
    folder = above.rpartition("/")[2]
    if found and (match := _NUMBER.search(folder)) and match[0] != folder:
        yield f"{above}/"


def _split(path: str) -> tuple[str, tuple[int, ...]]:
    """The path without the CUDA releases in it, and their major versions."""
    majors = tuple(int(match["major"]) for match in _NUMBER.finditer(path))
    return _NUMBER.sub(r"\g<word>\g<between>*", path), majors
