"""Compares what a file's name promises with its first bytes.

A copy that was torn, a download that became an error page, a pointer of git-lfs in the place of the
file: each keeps the name of a library and has nothing of one.
"""

from __future__ import annotations

import re
from typing import Final

from smforge.inventory.archives import ar
from smforge.inventory.formats import elf, pe
from smforge.inventory.formats.fatbin import REGION_MAGIC

_LIBRARY = re.compile(r"\.so(\.\d+)*\Z")
_STATIC_LIBRARY = re.compile(r"(?:\A|/)lib[^/]*\.a\Z")
_OBJECT_FILE = re.compile(r"\.(?:o|obj|lo)\Z")
_OF_THE_DRIVER = re.compile(
    r"(?:\A|/)lib(?:cuda|cudadebugger|nvcuvid|nvoptix|nvidia-[\w-]+|vdpau_nvidia"
    r"|(?:GLX|EGL|GLESv1_CM|GLESv2)_nvidia)\.so(?:\.\d+)*\Z"
)
"""Libraries of the driver that a container runtime mounts. It leaves empty files in their place
(nvidia-container-toolkit, "libnvidia-container")."""
_SCRIPT = re.compile(rb"GNU ld script|\b(?:INPUT|GROUP|OUTPUT_FORMAT|SECTIONS)\s*\(")
"""The commands of a linker's script (the manual of GNU ld, "Linker Scripts")."""
_OTHER_FORMATS: Final = (
    b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",  # Mach-O
    b"\xca\xfe\xba\xbe", b"\0asm", b"BC\xc0\xde", b"\xde\xc0\x17\x0b",  # also wasm, LLVM bitcode
)  # fmt: skip
"""How libraries and object files of other systems and compilers begin; none holds CUDA code."""
_COFF = tuple(machine.to_bytes(2, "little") for machine in pe.MACHINES)


def is_misnamed(path: str, head: bytes) -> bool:
    """Tell whether a file has the name of GPU code, or of a library, without any content of one.

    `head` is empty for an empty file. Text may be a linker's script, and an empty library of the
    driver is the place where a container runtime mounts it: neither counts as damage.
    """
    if path.endswith((".cubin", ".fatbin")):
        return not head.startswith((elf.MAGIC, REGION_MAGIC))
    if path.endswith(".pyd"):
        return not head.startswith(pe.MAGIC)
    if _LIBRARY.search(path) or _STATIC_LIBRARY.search(path):
        if not head:
            return _OF_THE_DRIVER.search(path) is None
        known = (elf.MAGIC, pe.MAGIC, ar.MAGIC, ar.THIN_MAGIC, *_OTHER_FORMATS)
        return not head.startswith(known) and _SCRIPT.search(head) is None
    return False


def is_broken_member(name: str, head: bytes) -> bool:
    """Tell whether a member of a static archive is no object file although it should be one.

    Archives also hold texts and tables of other tools; zeros are never meant.
    """
    if head and not head.strip(b"\0"):
        return True
    if _OBJECT_FILE.search(name) is None:
        return False
    return not head.startswith((elf.MAGIC, *_OTHER_FORMATS, *_COFF))
