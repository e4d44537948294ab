"""Measures the audit of an image beside reading its layers alone, and beside the way by hand.

``python -m benchmarks.images IMAGE`` takes an image of the engine, vLLM's for example, saves it
once and runs in turn: reading and inflating its layers and nothing else; the audit of the archive,
with and without kernel names; the audit straight out of the engine; and what people do without
smforge: ``docker create``, ``docker cp``, ``find``, and ``cuobjdump --list-elf --list-ptx`` for
each library.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Result, alternate
from smforge.inventory.archives.compression import inflated
from smforge.inventory.cuobjdump.locate import locate
from smforge.inventory.formats.limits import Limits
from smforge.inventory.images.store import StoredSource
from smforge.inventory.subjects.saved_image import ArchiveStore

_UNIT = "reading and inflating the layers"
_BY_HAND = """
set -u
folder=$(mktemp -d -p "$2")
container=$(docker container create "$1" none)
docker container cp --quiet "$container:/" "$folder"
docker container rm "$container" > /dev/null
find "$folder" -type f \\( -name '*.so' -o -name '*.so.*' -o -name '*.a' -o -name '*.cubin' \\) \\
    -exec "$3" --list-elf --list-ptx {} \\;
rm -rf "$folder"
"""


def read_layers(archive: Path) -> int:
    """Read and inflate every layer of a saved image; return the bytes that come out."""
    descriptor = os.open(archive, os.O_RDONLY)
    store = ArchiveStore(descriptor, str(archive))
    source = StoredSource(store, reference=None, platform=None)
    limits = Limits()
    layers = source.image().layers
    total = 0
    for layer in layers:
        total += sum(map(len, inflated(store.layer_parts(layer), limits, layer.key)))
    return total


def measured(image: str, archive: Path, rounds: int, folder: Path) -> dict[str, Result]:
    """Run everything in turn."""
    python = [sys.executable, "-m"]
    audit = [*python, "smforge", "-q", "audit", "--require", "12.1"]
    commands: dict[str, Sequence[str]] = {
        _UNIT: [*python, "benchmarks.images", "-l", str(archive)],
        "audit of the archive, targets": [*audit, "--no-kernels", f"archive:{archive}"],
        "audit of the archive, kernel names": [*audit, f"archive:{archive}"],
        "audit out of the engine, targets": [*audit, "--no-kernels", f"image:{image}"],
        "docker image save alone": ["docker", "image", "save", image],
    }
    results = alternate(commands, rounds)
    by_hand: Sequence[str] = [
        "bash",
        "-c",
        _BY_HAND,
        "by-hand",
        image,
        str(folder),
        str(locate().path),
    ]
    return results | alternate({"create, cp, find, cuobjdump --list-elf --list-ptx": by_hand}, 1)


def table(results: dict[str, Result]) -> str:
    """Show the medians, with the first row as the unit."""
    unit = results[_UNIT]
    lines = ["| | wall s | ratio | CPU s | ratio | peak MB |", "|---|--:|--:|--:|--:|--:|"]
    for name, one in results.items():
        lines.append(
            f"| {name} | {one.wall:.1f} | {one.wall / unit.wall:.2f} "
            f"| {one.cpu:.1f} | {one.cpu / unit.cpu:.2f} | {one.peak / 1e6:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("image")
    parser.add_argument("-l", "--layers", action="store_true", help="read a saved image's layers")
    parser.add_argument("--archive", type=Path, help="the image as already saved")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where there is room for the image twice")
    given = parser.parse_args()
    if given.layers:
        read_layers(Path(given.image))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        archive = given.archive or Path(scratch) / "image.tar"
        if given.archive is None:
            subprocess.run(["docker", "image", "save", "-o", archive, given.image], check=True)
        sys.stdout.write(table(measured(given.image, archive, given.rounds, Path(scratch))) + "\n")


if __name__ == "__main__":
    main()
