"""Reads how a Triton has its kernels assembled from its own ``backends/nvidia/compiler.py``.

Three rules stand there: to which of its assemblers a device's code goes (``get_ptxas``), for which
target that one is asked (``sm_arch_from_capability``; up to 3.2 an assignment to ``suffix``), and
which PTX ISA version is written for an assembler of a CUDA release, or that the release is refused
(``ptx_get_version``). The text is foreign, so it is never run: the few forms of expressions that
these functions are made of are computed here, and anything else leaves the rules unread.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from smforge.arch.devices import devices
from smforge.arch.target import Target
from smforge.arch.triton import CUDA_RELEASES, TritonRules, variable_of
from smforge.errors import ArchitectureError

_LARGEST = 1 << 32


class _UnreadError(Exception):
    """The text has a form that is not computed here."""


class _RaisedError(Exception):
    """The function would raise an exception."""


def read_rules(text: str) -> TritonRules | None:
    """The rules in the text of a ``compiler.py``; None where they cannot be read."""
    try:
        functions, assignments = _parts(_parsed(text))
        pairs = [(one.capability, one.capability.number) for one in devices()]
        chosen = {device: _assembler(functions, number) for device, number in pairs}
        return TritonRules(
            release="",
            assemblers={device: file for device, (file, _) in chosen.items()},
            variables=dict(chosen.values()),
            targets={device: _target(functions, assignments, number) for device, number in pairs},
            ptx_isa=_versions(functions),
        )
    except (
        _UnreadError,
        _RaisedError,
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ):
        return None


def _parsed(text: str) -> ast.Module:
    with warnings.catch_warnings():
        # Python warns of doubtful literals; the text is not the user's.
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _parts(tree: ast.Module) -> tuple[dict[str, ast.FunctionDef], dict[str, ast.expr]]:
    functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    assignments = {
        one.targets[0].id: one.value
        for one in ast.walk(tree)
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
    }
    return functions, assignments


def _assembler(functions: Mapping[str, ast.FunctionDef], number: int) -> tuple[str, str]:
    """The file of the assembler for a device, and the variable that names another one."""
    function = functions.get("get_ptxas")
    if function is None:
        return "ptxas", variable_of("ptxas")
    found = _call(function, number if function.args.args else None)
    if isinstance(found, _Binary):
        # Triton 3.3 keeps the hyphen in the variable's name.
        return found.name, f"TRITON_{found.name.upper()}_PATH"
    if isinstance(found, _Knob):
        file = found.name.replace("_", "-")
        return file, variable_of(file)
    raise _UnreadError


def _target(
    functions: Mapping[str, ast.FunctionDef], assignments: Mapping[str, ast.expr], number: int
) -> Target:
    if "sm_arch_from_capability" in functions:
        name = _call(functions["sm_arch_from_capability"], number)
    elif "suffix" in assignments:
        name = f"sm_{number}{_value(assignments['suffix'], {'capability': number})}"
    else:
        raise _UnreadError
    try:
        return Target.parse(str(name).strip())
    except ArchitectureError as error:
        raise _UnreadError from error


def _versions(functions: Mapping[str, ast.FunctionDef]) -> dict[str, str]:
    if "ptx_get_version" not in functions:
        raise _UnreadError
    found = {}
    for release in CUDA_RELEASES:
        try:
            version = _call(functions["ptx_get_version"], release)
        except _RaisedError:
            continue
        if not isinstance(version, int):
            raise _UnreadError
        found[release] = f"{version // 10}.{version % 10}"
    return found


class _Knob(NamedTuple):
    """``knobs.nvidia.ptxas_blackwell``: an attribute of something that is not computed."""

    name: str


class _Binary(NamedTuple):
    """``_path_to_binary(…)`` with this argument."""

    name: str


_Names = dict[str, Any]


def _call(function: ast.FunctionDef, argument: object) -> object:
    """What a function of at most one argument without default returns."""
    names = [one.arg for one in function.args.args]
    if argument is None:
        names = []
    if len(names) > 1:
        raise _UnreadError
    return _run(function.body, dict(zip(names, [argument], strict=False)))


def _run(body: Sequence[ast.stmt], names: _Names) -> object:
    """Compute statements; gives what is returned, None where none of them returns."""
    for one in body:
        if isinstance(one, ast.Return):
            return _value(one.value, names)
        if isinstance(one, ast.If):
            found = _run(one.body if _value(one.test, names) else one.orelse, names)
            if found is not None:
                return found
        elif isinstance(one, ast.Raise):
            raise _RaisedError
        elif isinstance(one, ast.Assign) and len(one.targets) == 1:
            _assign(one.targets[0], _value(one.value, names), names)
        elif not isinstance(one, (ast.Assert, ast.Pass)) and not _is_text(one):
            raise _UnreadError
    return None


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _assign(target: ast.expr, value: object, names: _Names) -> None:
    if isinstance(target, ast.Name):
        names[target.id] = value
    elif isinstance(target, ast.Tuple) and isinstance(value, list):
        if len(target.elts) != len(value):
            raise _RaisedError
        for one, part in zip(target.elts, value, strict=True):
            _assign(one, part, names)
    else:
        raise _UnreadError


def _value(node: ast.expr | None, names: _Names) -> Any:
    """Compute an expression."""
    compute = _FORMS.get(type(node))
    if compute is None:
        raise _UnreadError
    return compute(node, names)


def _constant(node: ast.Constant, _: _Names) -> int | str:
    if isinstance(node.value, (int, str)):
        return node.value
    raise _UnreadError


def _name(node: ast.Name, names: _Names) -> Any:
    if node.id in names:
        return names[node.id]
    raise _UnreadError


def _conditional(node: ast.IfExp, names: _Names) -> Any:
    return _value(node.body if _value(node.test, names) else node.orelse, names)


def _joined(node: ast.JoinedStr, names: _Names) -> str:
    return "".join(str(_value(one, names)) for one in node.values)


def _formatted(node: ast.FormattedValue, names: _Names) -> Any:
    if node.conversion != -1 or node.format_spec is not None:
        raise _UnreadError
    return _value(node.value, names)


def _all_or_any(node: ast.BoolOp, names: _Names) -> bool:
    each = (bool(_value(one, names)) for one in node.values)
    return all(each) if isinstance(node.op, ast.And) else any(each)


def _called(node: ast.Call, names: _Names) -> Any:
    match node:
        case ast.Call(func=ast.Name(id="_path_to_binary"), args=[argument], keywords=[]):
            return _Binary(str(_value(argument, names)))
        case ast.Call(
            func=ast.Name(id="map"),
            args=[
                ast.Name(id="int"),
                ast.Call(func=ast.Attribute(value=text, attr="split"), args=[separator]),
            ],
        ):
            return _numbers(_value(text, names), _value(separator, names))
    raise _UnreadError


def _numbers(text: object, separator: object) -> list[int]:
    if not isinstance(text, str) or separator != ".":
        raise _UnreadError
    return [int(part) for part in text.split(separator)]


_COMPARISONS: dict[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Lt: int.__lt__,
    ast.LtE: int.__le__,
    ast.Gt: int.__gt__,
    ast.GtE: int.__ge__,
    ast.Eq: int.__eq__,
    ast.NotEq: int.__ne__,
}
_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: int.__add__,
    ast.Sub: int.__sub__,
    ast.Mult: int.__mul__,
}


def _compared(node: ast.Compare, names: _Names) -> bool:
    if len(node.ops) != 1 or type(node.ops[0]) not in _COMPARISONS:
        raise _UnreadError
    left, right = _integer(node.left, names), _integer(node.comparators[0], names)
    return _COMPARISONS[type(node.ops[0])](left, right)


def _computed(node: ast.BinOp, names: _Names) -> int:
    if type(node.op) not in _OPERATIONS:
        raise _UnreadError
    left, right = _integer(node.left, names), _integer(node.right, names)
    found = _OPERATIONS[type(node.op)](left, right)
    if abs(found) > _LARGEST:
        raise _UnreadError
    return found


def _integer(node: ast.expr, names: _Names) -> int:
    found = _value(node, names)
    if type(found) is not int:
        raise _UnreadError
    return found


_FORMS: dict[type, Callable[[Any, _Names], Any]] = {
    ast.Attribute: lambda node, _: _Knob(node.attr),
    ast.BinOp: _computed,
    ast.BoolOp: _all_or_any,
    ast.Call: _called,
    ast.Compare: _compared,
    ast.Constant: _constant,
    ast.FormattedValue: _formatted,
    ast.IfExp: _conditional,
    ast.JoinedStr: _joined,
    ast.Name: _name,
}
