"""Do the libraries of one subject load together?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.verdict.case import Case
from builder.verdict.data import table
from builder.verdict.records import Finding
from builder.verdict.rules import CUDART_MISMATCH


def check_cuda_majors(case: Case) -> Iterator[Finding]:
    """Libraries that need CUDA libraries of another major version than most."""
    needs: dict[int, dict[str, str]] = {}
    for view in case.views:
        for soname in view.file.needed:
            major = _cuda_major(soname)
            if major is not None:
                needs.setdefault(major, {}).setdefault(view.file.path, soname)
    if len(needs) < 2:
        return
    common = max(needs, key=lambda major: (len(needs[major]), major))
    for major in sorted(needs.keys() - {common}):
        for path, soname in sorted(needs[major].items()):
            peer, peer_soname = min(needs[common].items())
            yield CUDART_MISMATCH.finding(
                f"{path} needs {soname} (CUDA {major}), but {len(needs[common])} libraries, "
                f"{peer} among them, need CUDA {common} ({peer_soname}).",
                file=path,
                remedy=f"Take the build of {path} that was made for CUDA {common}.",
            )


def _cuda_major(soname: str) -> int | None:
    match = re.match(r"(lib[A-Za-z]+)\.so\.(\d+)(?:\.|\Z)", soname)
    if match is None or match[1] not in table("cuda_sonames")["numbered_by_cuda_major"]:
        return None
    # libcudart of CUDA 11 is libcudart.so.11.0; later ones carry the major alone.
    return int(match[2])
