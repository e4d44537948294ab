"""What nvcc's command line says it compiles: ``-gencode``, and ``-arch`` with ``-code``.

Source: nvcc --help of CUDA 13.0 (--gpu-architecture, --gpu-code, --generate-code).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from builder.arch.grammar import names
from builder.arch.grammar.names import CodeForm, CodeName
from builder.arch.target import Target
from builder.errors import ArchitectureError

_GENCODE = ("-gencode", "--generate-code")
_ARCH = ("-arch", "--gpu-architecture")
_CODE = ("-code", "--gpu-code")
_SPECIFICATION = re.compile(r"arch=(?P<arch>[^,=\s]+),code=(?P<code>[^=\s]+)\Z")
_MANY = ("all", "all-major", "native")


@dataclass(frozen=True, slots=True)
class Gencode:
    """One pass of the compiler: PTX for `arch`, embedded in the forms of `codes`."""

    arch: Target
    """The virtual architecture that the source is compiled for (``compute_…``)."""
    codes: tuple[CodeName, ...]
    """What is embedded: machine code, PTX or LTO-IR; at least one."""

    def __str__(self) -> str:
        codes = ",".join(str(code) for code in self.codes)
        listed = f"[{codes}]" if len(self.codes) > 1 else codes
        return f"arch={self.arch.compute},code={listed}"


def parse(words: Iterable[str]) -> tuple[Gencode, ...]:
    """Read the passes off the words of an nvcc command line; other options are skipped.

    Takes every spelling of nvcc: ``-gencode=X``, ``-gencode X``, ``--generate-code X``, and
    ``-arch`` with or without ``-code``. Raises `ArchitectureError` for what nvcc refuses, and for
    ``all``, ``all-major`` and ``native``, which depend on the toolkit or the machine.
    """
    passes: list[Gencode] = []
    arch: str | None = None
    code: str | None = None
    for option, value in _options(iter(words)):
        if option in _GENCODE:
            passes.append(parse_specification(value))
        elif option in _ARCH:
            arch = value
        else:
            code = value
    if arch is not None:
        passes.append(_shorthand(arch, code))
    elif code is not None:
        raise ArchitectureError(f"-code={code} stands without -arch.", remedy="Use -gencode.")
    return tuple(passes)


def parse_specification(text: str) -> Gencode:
    """Read what follows ``-gencode``: ``arch=compute_120f,code=[sm_120f,compute_120f]``."""
    match = _SPECIFICATION.match(text)
    if match is None:
        raise ArchitectureError(
            f"{text!r} is not what -gencode takes.",
            remedy="Write it as arch=compute_120f,code=sm_120f.",
        )
    return Gencode(_virtual(match["arch"]), _codes(match["code"]))


def render(passes: Iterable[Gencode]) -> tuple[str, ...]:
    """The options, one word each."""
    return tuple(f"-gencode={one}" for one in passes)


def _options(words: Iterator[str]) -> Iterator[tuple[str, str]]:
    """The options that choose architectures, with their values."""
    for word in words:
        option, joined, value = word.partition("=")
        if option not in _GENCODE + _ARCH + _CODE:
            continue
        if not joined:
            value = next(words, "")
        yield option, value.strip("\"'")


def _shorthand(arch: str, code: str | None) -> Gencode:
    """``-arch=sm_90`` is compute_90 with both forms; ``-arch=compute_90`` is PTX alone."""
    if arch in _MANY:
        raise ArchitectureError(
            f"-arch={arch} does not say what is compiled.", remedy="Name the targets."
        )
    if code is not None:
        return Gencode(_virtual(arch), _codes(code))
    name = names.parse(arch)
    ptx = CodeName(CodeForm.PTX, name.target)
    return Gencode(name.target, (ptx,) if name.form is CodeForm.PTX else (name, ptx))


def _virtual(text: str) -> Target:
    name = names.parse(text)
    if name.form is not CodeForm.PTX:
        raise ArchitectureError(
            f"arch={text} must be virtual.", remedy=f"Write arch={name.target.compute}."
        )
    return name.target


def _codes(text: str) -> tuple[CodeName, ...]:
    inner = text.strip("\"'")
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    return tuple(names.parse(code.strip("\"'")) for code in inner.split(","))
