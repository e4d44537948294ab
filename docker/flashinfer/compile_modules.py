"""Compile a selection of FlashInfer's AOT modules for one architecture.

This is ``python -m flashinfer.aot`` with the list of modules narrowed: that command can leave out
groups of modules, but not single ones.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import selection

MANIFEST = "manifest.json"


def narrowed(
    generate: Callable[..., list[Any]], name: str, chosen: list[str]
) -> Callable[..., Any]:
    """`generate`, but only for the modules of selection `name`; their names go into `chosen`."""

    def generate_selection(*arguments: Any, **options: Any) -> list[Any]:
        specs = {spec.name: spec for spec in generate(*arguments, **options)}
        patterns = selection.patterns_of(name, selection.load())
        chosen[:] = sorted(selection.choose(specs, patterns))
        print(f"{len(chosen)} of {len(specs)} modules: {' '.join(chosen)}", flush=True)
        return [specs[module] for module in chosen]

    return generate_selection


def compile_modules(arch: str, name: str, out: Path) -> None:
    """Compile into ``OUT/modules`` and say in ``OUT/manifest.json`` what was compiled."""
    # FlashInfer reads these when it is imported.
    os.environ["FLASHINFER_CUDA_ARCH_LIST"] = arch
    os.environ["FLASHINFER_WORKSPACE_BASE"] = str(out / "work")
    from flashinfer import aot  # noqa: PLC0415  # see above

    chosen: list[str] = []
    aot.gen_all_modules = narrowed(aot.gen_all_modules, name, chosen)
    aot.compile_and_package_modules(
        out_dir=out / "modules",
        build_dir=out / "work",
        project_root=Path(aot.__file__).resolve().parents[1],
        verbose=True,
        skip_prebuilt=False,
    )
    manifest = {"arch": arch, "selection": name, "modules": chosen}
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", required=True, help="one target, for example 12.0f")
    parser.add_argument("--selection", required=True, help="a key of selections.json")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        compile_modules(arguments.arch, arguments.selection, arguments.out)
    except selection.SelectionError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
