"""The shape of the package: stages import leftwards only, and modules stay small.

    arch ► matrix ► plan ► preflight ► bake
    ► inventory ► verdict ► report ► publish ► workflow ► cli
    oci, which knows registries and layouts but nothing of smforge, stands beside arch;
    policy, which preflight and verdict both read, stands left of preflight;
    fetching, which brings releases from package indexes for both and for bake, stands there too;
    rewrite, which writes libraries anew, stands beside verdict: it reads inventories

The right-hand half, from inventory on, judges things that smforge did not build, so it does not
lean on the half that builds.
"""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import smforge

PACKAGE = Path(smforge.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 400
MOST_MODULES = 15
"""In one folder, without the face of the package (__init__)."""

MAY_IMPORT = {
    "arch": set[str](),
    "oci": set[str](),
    "policy": {"arch"},
    "matrix": {"arch"},
    "plan": {"arch", "matrix"},
    "fetching": {"arch"},
    "preflight": {"arch", "matrix", "plan", "policy", "fetching"},
    "bake": {"arch", "matrix", "plan", "preflight", "fetching"},
    "inventory": {"arch", "oci", "fetching"},
    "verdict": {"arch", "inventory", "policy"},
    "report": {"arch", "inventory", "verdict", "policy"},
    "rewrite": {"arch", "inventory", "fetching"},
    "publish": {"oci", "bake", "inventory"},
    "workflow": {
        "arch", "matrix", "plan", "preflight", "bake", "inventory", "verdict", "report",
        "oci", "policy", "publish", "fetching",
    },
    "cli": {
        "arch", "matrix", "plan", "preflight", "bake", "inventory", "verdict", "report",
        "oci", "policy", "publish", "fetching", "rewrite", "workflow",
    },
}  # fmt: skip
SHOWS_PREFLIGHT = PACKAGE / "report" / "preflight"
"""The folder of the report's modules that render a preflight; they alone import that stage."""
EVERYWHERE = {
    "amounts",
    "api",
    "callable_package",
    "docker",
    "errors",
    "extras",
    "files",
    "findings",
    "progress",
    "retries",
    "sigterm",
    "terminal",
    "writing",
    "version",
}


def stage_of(module: Path) -> str | None:
    """The stage a module belongs to; None for the modules of the package itself."""
    parts = module.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else None


def imports(module: Path, source: str) -> Iterator[tuple[int, str]]:
    """Line and first name below `smforge` of every import of the package, lazy ones included."""
    package = ("smforge", *module.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            prefix = ".".join(part for part in (base, node.module) if part)
            dotted = [f"{prefix}.{alias.name}" for alias in node.names]
        elif names_a_module(node):
            assert isinstance(node, ast.Constant)
            dotted = [str(node.value)]
        else:
            continue
        for name in dotted:
            root, _, rest = name.partition(".")
            if root == "smforge" and rest:
                yield node.lineno, rest.partition(".")[0]


def names_a_module(node: ast.AST) -> bool:
    """Whether a text is the dotted name of a module, as for importlib.import_module."""
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith("smforge.")
        and all(part.isidentifier() for part in node.value.split("."))
    )


def wrong_imports(module: Path, source: str) -> list[str]:
    stage = stage_of(module)
    if stage is None:
        return []
    allowed = MAY_IMPORT[stage] | EVERYWHERE | {stage}
    if module.is_relative_to(SHOWS_PREFLIGHT):
        allowed |= {"preflight"}
    return [
        f"{module.relative_to(PACKAGE)}:{line} imports smforge.{name}"
        for line, name in imports(module, source)
        if name not in allowed
    ]


def test_stages_are_known_and_state_input_and_output() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(MAY_IMPORT)
    for stage in sorted(folders - {"cli"}):
        text = ast.get_docstring(ast.parse((PACKAGE / stage / "__init__.py").read_text())) or ""
        assert "Input:" in text, stage
        assert "Output:" in text, stage


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_small_documented_and_imports_leftwards(module: Path) -> None:
    source = module.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MOST_LINES
    assert module.name == "__main__.py" or ast.get_docstring(ast.parse(source))
    assert wrong_imports(module, source) == []


def test_no_folder_is_too_full_to_find_ones_way() -> None:
    modules = Counter(module.parent for module in MODULES if module.name != "__init__.py")
    # A command's module has the command's name, so their number hides nothing.
    del modules[PACKAGE / "cli" / "commands"]
    full = {folder: count for folder, count in modules.items() if count > MOST_MODULES}
    assert full == {}


@pytest.mark.parametrize(
    ("stage", "source", "wrong"),
    [
        ("inventory", "from smforge.verdict import judge", 1),
        ("inventory", "def late():\n    import smforge.report.table", 1),
        ("inventory", "from smforge import verdict, errors", 1),
        ("inventory", "from ..bake import engine", 1),
        ("inventory", "import_module('smforge.cli.main')", 1),
        ("inventory", "from . import elf\nfrom smforge.arch.target import Target", 0),
        ("verdict", "from smforge.plan.cells import Cell", 1),
        ("bake", "from smforge.plan.cells import Cell\nfrom smforge.errors import ToolError", 0),
        ("arch", "from smforge.version import __version__\nimport json", 0),
    ],
)
def test_the_check_sees_every_way_to_import(stage: str, source: str, wrong: int) -> None:
    assert len(wrong_imports(PACKAGE / stage / "some.py", source)) == wrong


CIRCLES_LEFT: dict[str, str] = {}
"""Modules that still stand in a circle of imports, each with the reason. Nothing is added here."""


def imported_modules(module: Path) -> set[str]:
    """The modules of the package that a module imports, for types and inside functions too."""
    known = {name_of(one) for one in MODULES}
    package = ["smforge", *module.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names = {f"{start}.{alias.name}" for alias in node.names}
            found |= (names & known) or {start}
    return (found & known) - {name_of(module)}


def name_of(module: Path) -> str:
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(["smforge", *parts]).removesuffix(".__init__")


def test_no_module_imports_itself_by_way_of_others() -> None:
    imported = {name_of(one): imported_modules(one) for one in MODULES}
    in_circles = {name for name in imported if name in reachable(name, imported)}
    assert in_circles == set(CIRCLES_LEFT)


def reachable(start: str, imported: dict[str, set[str]]) -> set[str]:
    """Every module that a module imports, directly or by way of others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = imported[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_the_check_for_circles_sees_one_of_three() -> None:
    imported = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert "a" in reachable("a", imported)
    assert "d" not in reachable("d", imported)


MARKED = ("bake", "cli", "publish", "workflow", "matrix")
"""The stages whose late imports say what they defer; of the others each says why in a comment."""
DEFERS = re.compile(r"# noqa: PLC0415  # defers ([a-z0-9_]+)$")


@pytest.mark.parametrize("stage", MARKED)
def test_what_is_imported_late_defers_what_it_says(stage: str) -> None:
    wrong = []
    for module in sorted((PACKAGE / stage).rglob("*.py")):
        lines = module.read_text(encoding="utf-8").splitlines()
        for node in late_imports(module):
            said = DEFERS.search(lines[node.lineno - 1])
            if said is None or said[1] not in loaded_by(first_module(node)):
                wrong.append(f"{module.relative_to(PACKAGE)}:{node.lineno}")
    assert wrong == []


def late_imports(module: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    for function in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield node


def first_module(node: ast.Import | ast.ImportFrom) -> str:
    return node.names[0].name if isinstance(node, ast.Import) else node.module or ""


@functools.cache
def loaded_by(name: str) -> frozenset[str]:
    """What importing a module loads: first names of others, and all parts of the names of ours."""
    if not name.startswith("smforge."):
        return frozenset({name.partition(".")[0]})
    path = PACKAGE.joinpath(*name.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = set(name.split(".")[1:])
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [one for one in inner if is_module(one)] or [node.module]
        else:
            continue
        for one in names:
            found |= loaded_by(one)
    return frozenset(found)


def is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return name.startswith("smforge.") and (path.is_dir() or path.with_suffix(".py").is_file())
