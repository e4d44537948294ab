"""What nvcc's command line says it compiles: ``-gencode``, and ``-arch`` with ``-code``.

Sources: nvcc --help of CUDA 13.0 (--gpu-architecture, --gpu-code, --generate-code), and for what
the help does not say the steps that nvcc --dryrun prints, which are the same from 13.0 to 13.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from smforge.arch.grammar import names
from smforge.arch.grammar.names import CodeForm, CodeName
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.errors import ArchitectureError

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
    shorthand: tuple[Gencode, ...] = ()
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
        shorthand = _shorthand(arch, code)
    elif code is not None:
        raise ArchitectureError(f"-code={code} stands without -arch.", remedy="Use -gencode.")
    return (*shorthand, *passes)


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


def embedded(passes: Iterable[Gencode]) -> tuple[CodeName, ...]:
    """What nvcc embeds for the passes together, each thing once, in order.

    Machine code asked for without a suffix by a family-specific pass becomes family-specific:
    ``arch=compute_100f,code=sm_103`` embeds sm_103f.
    """
    return tuple(dict.fromkeys(_embedded(one.arch, code) for one in passes for code in one.codes))


def conflicts(passes: Iterable[Gencode]) -> tuple[ComputeCapability, ...]:
    """The capabilities for which nvcc refuses the passes in one command.

    It does not make sm_120 and sm_120f together, though either of them goes with sm_120a.
    """
    cubins = {code.target for code in embedded(passes) if code.form is CodeForm.CUBIN}
    plain = {one.capability for one in cubins if one.suffix is Suffix.PLAIN}
    family = {one.capability for one in cubins if one.suffix is Suffix.FAMILY_SPECIFIC}
    return tuple(sorted(plain & family))


def _embedded(arch: Target, code: CodeName) -> CodeName:
    if (
        code.form is CodeForm.CUBIN
        and code.target.suffix is Suffix.PLAIN
        and arch.suffix is Suffix.FAMILY_SPECIFIC
    ):
        return CodeName(code.form, Target(code.target.capability, arch.suffix))
    return code


def _options(words: Iterator[str]) -> Iterator[tuple[str, str]]:
    """The options that choose architectures, with their values."""
    for word in words:
        option, joined, value = word.partition("=")
        if option not in _GENCODE + _ARCH + _CODE:
            continue
        if not joined:
            value = next(words, "")
        yield option, value.strip("\"'")


def _shorthand(arch: str, code: str | None) -> tuple[Gencode, ...]:
    """The passes of ``-arch``.

    Without ``-code`` it stands for machine code and PTX (``sm_90``), PTX (``compute_90``) or
    LTO-IR (``lto_90``); and where the name has a suffix, nvcc adds the portable form of the plain
    target, which the help does not mention.
    """
    if arch in _MANY:
        raise ArchitectureError(
            f"-arch={arch} does not say what is compiled.", remedy="Name the targets."
        )
    if code is not None:
        return (Gencode(_virtual(arch), _codes(code)),)
    name = names.parse(arch)
    portable = CodeForm.LTO_IR if name.form is CodeForm.LTO_IR else CodeForm.PTX
    forms = dict.fromkeys((name.form, portable))
    own = Gencode(name.target, tuple(CodeName(form, name.target) for form in forms))
    if name.target.suffix is Suffix.PLAIN:
        return (own,)
    plain = Target(name.target.capability)
    return (Gencode(plain, (CodeName(portable, plain),)), own)


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
