"""Runs a source generator of the tree, or repeats what it did before for the same input.

CMake starts this in place of ``python GENERATOR.py ARGUMENTS``. Generators take seconds and their
files depend on the tree's Python files and their arguments alone, so the files that one run added,
changed and removed are kept under that digest. A failure is written down for smforge, because the
build description only says that something failed.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Snapshot = dict[str, tuple[int, int]]
"""Modification time in nanoseconds and size of each file, by its path below the tree."""


def main(command: list[str]) -> int:
    tree = Path(os.environ["SMFORGE_TREE"])
    record = _record_path(tree, command)
    if record is not None and record.exists():
        _repeat(tree, json.loads(record.read_text()))
        return 0
    before = _snapshot(tree)
    runner = str(Path(__file__).with_name("remembered.py"))
    result = subprocess.run(
        [sys.executable, runner, *command], stderr=subprocess.PIPE, text=True, check=False
    )
    sys.stderr.write(result.stderr)
    if result.returncode != 0:
        failure = {"script": _name(tree, command[0]), "stderr": result.stderr[-4000:]}
        Path(os.environ["SMFORGE_GENERATOR_FAILURE"]).write_text(json.dumps(failure))
        return result.returncode
    if record is not None:
        _keep(record, _difference(tree, before, _snapshot(tree)))
    return 0


def _record_path(tree: Path, command: list[str]) -> Path | None:
    """Where the outcome of this run is kept; None where it must not be.

    With a module path outside the tree and the probe (a real CUTLASS) the input is not all known.
    """
    cache = os.environ.get("SMFORGE_GENERATOR_CACHE")
    words = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [Path(one) for one in words if one and Path(one).exists()]
    own = (tree, Path(__file__).parent)
    if not cache or not all(any(one.is_relative_to(root) for root in own) for one in paths):
        return None
    digest = hashlib.sha256()
    for script in sorted(tree.rglob("*.py")):
        digest.update(f"{script.relative_to(tree)}\0".encode() + script.read_bytes() + b"\0")
    for word in command:
        digest.update(_name(tree, word).encode() + b"\0")
    return Path(cache) / f"{digest.hexdigest()}.json"


def _name(tree: Path, word: str) -> str:
    return word.replace(str(tree), "<tree>")


def _snapshot(tree: Path) -> Snapshot:
    found = {}
    for file in tree.rglob("*"):
        if file.is_file():
            status = file.stat()
            found[str(file.relative_to(tree))] = (status.st_mtime_ns, status.st_size)
    return found


def _difference(tree: Path, before: Snapshot, after: Snapshot) -> dict[str, Any]:
    written = [name for name, status in after.items() if before.get(name) != status]
    return {
        "written": {name: (tree / name).read_text(errors="replace") for name in sorted(written)},
        "removed": sorted(set(before) - set(after)),
    }


def _repeat(tree: Path, record: dict[str, Any]) -> None:
    for name in record["removed"]:
        (tree / name).unlink(missing_ok=True)
    for name, text in record["written"].items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)


def _keep(record: Path, content: dict[str, Any]) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=record.parent, prefix=".new-")
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream)
    Path(name).replace(record)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
