"""The native reader beside cuobjdump on real libraries and on folders of cubins.

    python -m benchmarks.libraries [--rounds 5] [--least MB] [--comparisons NAME...]
                                   FILE_OR_WHEEL_OR_FOLDER...

Of wheels every library with GPU code of `--least` MB or more is measured, unpacked into a temporary
folder. A folder is measured as one: cuobjdump is run once per cubin, since it takes one file at a
time. Prints a Markdown table for each comparison. `reader` is ``python -m smforge.inventory`` and
`smforge` is ``smforge audit`` with its verdict and table; both times include starting Python, from
bytecode, as installing a package leaves it.
"""

from __future__ import annotations

import argparse
import compileall
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import smforge
from benchmarks.measure import Result, alternate, warm
from smforge.inventory.cuobjdump.locate import locate
from smforge.inventory.options import ReadOptions
from smforge.inventory.survey import take_inventory

HEADINGS = (
    "subject", "MB", "cuobjdump", "reader", "times faster", "smforge", "times faster",
    "cuobjdump MB", "reader MB", "smforge MB",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two ways to the same answer."""

    title: str
    theirs: tuple[str, ...]
    """Flags of cuobjdump."""
    ours: tuple[str, ...] = ()


COMPARISONS = {
    "targets": Comparison(
        "Targets only, against `cuobjdump --list-elf`", ("--list-elf",), ("--no-kernels",)
    ),
    "symbols": Comparison(
        "Kernel names, against `cuobjdump -symbols`, which leaves PTX out", ("-symbols",)
    ),
    "symbols-ptx": Comparison(
        "Kernel names, against `cuobjdump -symbols -ptx`", ("-symbols", "-ptx")
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--least", type=int, default=10, help="MB of a wheel's libraries")
    parser.add_argument("--comparisons", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    arguments = parser.parse_args()
    # With PYTHONDONTWRITEBYTECODE every run of a checkout would compile all modules again.
    compileall.compile_dir(Path(smforge.__file__).parent, quiet=1)
    tool = str(locate().path)
    for name in arguments.comparisons:
        compared = COMPARISONS[name]
        print(f"\n{compared.title}; wall seconds, CPU seconds in brackets\n")
        print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}", flush=True)
        for subject in _subjects(arguments.subjects, arguments.least):
            _measure(subject, [tool, *compared.theirs], compared.ours, arguments.rounds)


def _measure(subject: Path, theirs: Sequence[str], ours: Sequence[str], rounds: int) -> None:
    files = [subject] if subject.is_file() else sorted(subject.rglob("*.cubin"))
    for file in files:
        warm(file)
    python = Path(sys.executable)
    commands: dict[str, Sequence[str]] = {
        "cuobjdump": [*theirs, str(subject)],
        "reader": [str(python), "-m", "smforge.inventory", *ours, str(subject)],
        "smforge": [str(python.with_name("smforge")), "audit", *ours, str(subject)],
    }
    if subject.is_dir():
        each = f'find "$0" -name "*.cubin" -print0 | xargs -0 -n 1 {" ".join(theirs)}'
        commands["cuobjdump"] = ["sh", "-c", each, str(subject)]
    results = alternate(commands, rounds)
    size = sum(file.stat().st_size for file in files)
    other, reader, smforge = (results[name] for name in commands)
    cells = [
        subject.name,
        f"{size / 1e6:.0f}",
        _time(other) + (" (fails)" if other.failed else ""),
        _time(reader),
        f"{other.wall / reader.wall:.1f} ({other.cpu / reader.cpu:.1f})",
        _time(smforge),
        f"{other.wall / smforge.wall:.1f} ({other.cpu / smforge.cpu:.1f})",
        f"{other.peak / 1e6:.0f}",
        f"{reader.peak / 1e6:.0f}",
        f"{smforge.peak / 1e6:.0f}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def _time(result: Result) -> str:
    return f"{result.wall:.2f} ({result.cpu:.2f})"


def _subjects(arguments: list[Path], least: int) -> Iterator[Path]:
    for argument in arguments:
        if argument.suffix != ".whl":
            yield argument
            continue
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(argument) as wheel:
            for member in wheel.infolist():
                if ".so" in member.filename and member.file_size >= least * 1_000_000:
                    path = Path(wheel.extract(member, folder))
                    if take_inventory(str(path), ReadOptions(names=False, digests=False)).files:
                        yield path
                    path.unlink()


if __name__ == "__main__":
    main()
