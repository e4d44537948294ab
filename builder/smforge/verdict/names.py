"""C++ names of kernels, and the families that kernels belong to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from smforge.findings import Family

_ELLIPSIS = "<…>"
_LONGEST = 1 << 16
"""The most characters of a name that is read: names of compilers are much shorter."""
_LIBSTDCXX_LONGEST = 1024
"""libstdc++ refuses names of more than 2048 components and counts two for each character."""
_IDENTIFIER = re.compile(r"([1-9]\d{0,3})")


@lru_cache(maxsize=65536)
def demangle(name: str) -> str:
    """Return the C++ spelling of a mangled name; a name that is not mangled comes back as it is.

    libstdc++ does the work (by way of cxxfilt) for names up to the length where it gives up to
    protect its stack; CUTLASS makes longer ones, which itanium_demangler, slower and in Python,
    reads. If neither can, the mangled name is returned.
    """
    if not name.startswith("_Z") or len(name) > _LONGEST:
        return name
    return _by_libstdcxx(name) or _by_itanium_demangler(name) or name


@lru_cache(maxsize=65536)
def family(name: str) -> str:
    """Return the family of a mangled name: the qualified name with template arguments folded.

    ``void marlin::Marlin<8192l, 256, true>(int4*, …)`` is of the family ``marlin::Marlin<…>``. A
    first argument that is itself a template is kept, folded, since generic launchers such as
    ``cutlass::device_kernel`` say nothing alone.
    """
    spelling = demangle(name)
    if spelling == name and name.startswith("_Z"):
        return _plain_prefix(name)
    qualified = _without_parameters(spelling)
    head, arguments = _split_template(_without_return_type(qualified))
    if arguments is None:
        return head
    first, inner = _split_template(_first_argument(arguments))
    if inner is not None and _is_name(first):
        return f"{head}<{first}{_ELLIPSIS}, …>"
    return head + _ELLIPSIS


def families(names: Iterable[str]) -> tuple[Family, ...]:
    """Fold mangled names into families, the largest first."""
    counted = Counter(family(name) for name in names)
    return tuple(
        Family(name, count)
        for name, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    )


def _without_parameters(text: str) -> str:
    """Cut the parameter list: the last top-level parenthesis that is not part of a name."""
    for position, character, depth in _depths(text):
        if character == "(" and depth == 0 and not text.startswith("(anonymous", position):
            if text[:position].endswith("operator"):
                continue
            return text[:position]
    return text


def _without_return_type(text: str) -> str:
    """Cut the text before the last top-level space: only names of templates have a return type."""
    start = 0
    for position, character, depth in _depths(text):
        if character == " " and depth == 0 and not text[:position].endswith("operator"):
            start = position + 1
    return text[start:]


def _split_template(text: str) -> tuple[str, str | None]:
    """Split ``a::b<c>::d<e>`` into ``a::b<…>::d`` and ``e``, or None where it ends in a name."""
    name: list[str] = []
    arguments: str | None = None
    end = 0
    for start, stop in _brackets(text):
        if arguments is not None:
            name.append(_ELLIPSIS)
        name.append(text[end:start])
        arguments = text[start + 1 : stop]
        end = stop + 1
    rest = text[end:].strip()
    if arguments is not None and rest:
        return "".join(name) + _ELLIPSIS + rest, None
    return "".join(name) + rest, arguments


def _brackets(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each outermost pair of angle brackets opens and closes."""
    opened = None
    for position, character, depth in _depths(text):
        if character == "<" and not depth:
            opened = position
        elif character == ">" and not depth and opened is not None:
            yield opened, position
            opened = None


def _first_argument(arguments: str) -> str:
    for position, character, depth in _depths(arguments):
        if character == "," and not depth:
            return arguments[:position]
    return arguments


_MARK = re.compile(r"[][<>(){}, ]")
_CLOSED_BY = {"<": ">", "(": ")", "{": "}", "[": "]"}


def _depths(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield brackets, commas and spaces with how many brackets enclose them.

    An angle bracket without a partner is an operator: ``enable_if<((8)>(0))>``.
    """
    awaited: list[str] = []
    for mark in _MARK.finditer(text):
        character = mark[0]
        if character in ")}]":
            while awaited and awaited[-1] == ">":
                awaited.pop()
        if awaited and character == awaited[-1]:
            awaited.pop()
        yield mark.start(), character, len(awaited)
        if character in _CLOSED_BY:
            awaited.append(_CLOSED_BY[character])


def _is_name(text: str) -> bool:
    return bool(text) and (text[0].isalpha() or text[0] == "_")


def _by_libstdcxx(name: str) -> str | None:
    if len(name) > _LIBSTDCXX_LONGEST:
        return None
    # Imported here: finding libstdc++ costs tens of milliseconds, paid only for C++ names.
    import cxxfilt  # noqa: PLC0415

    try:
        return str(cxxfilt.demangle(name))
    except cxxfilt.Error:
        return None


def _by_itanium_demangler(name: str) -> str | None:
    import itanium_demangler  # noqa: PLC0415

    try:
        node = itanium_demangler.parse(name)
        return None if node is None else str(node)
    except (NotImplementedError, RecursionError, ValueError, TypeError, AttributeError, IndexError):
        # It cannot read some expressions, and names in a file may be malformed.
        return None


def _plain_prefix(name: str) -> str:
    """Read the identifiers at the start of a mangled name: ``_ZN1a3fooI…`` is ``a::foo<…>``."""
    position = 3 if name.startswith("_ZN") else 2
    parts: list[str] = []
    while match := _IDENTIFIER.match(name, position):
        position = match.end() + int(match[1])
        parts.append(name[match.end() : position])
    if not parts:
        return name
    return "::".join(parts) + (_ELLIPSIS if name.startswith("I", position) else "")
