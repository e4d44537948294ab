"""Make wheels that pick among builds per CUDA require the variant's build alone.

usage: narrow_dispatcher.py CUDA_TAG OUT WHEEL…

nixl, which vLLM and LMCache import, is such a one: pure Python that loads nixl_cu12 or nixl_cu13,
whichever goes with torch's CUDA, but requires the distributions of both. The one that is written
differs in two things: it requires nothing of another CUDA major version, and its version says for
which CUDA it is (nixl-1.5.1+cu130).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from cuda_majors import major_in_name, major_of_tag
from packaging.requirements import Requirement


def narrowed(metadata: str, tag: str) -> str:
    """`metadata` with the local version `tag` and without requirements on another CUDA.

    Raises `ValueError` when it requires no build for this CUDA: then it would load none either.
    """
    header, blank, body = metadata.partition("\n\n")
    lines = [line for line in header.split("\n") if not _belongs_to_another(line, tag)]
    if not any(line.startswith("Requires-Dist") and _major(line) for line in lines):
        raise ValueError(f"requires no distribution for CUDA {major_of_tag(tag)}")
    header = re.sub(r"^(Version: .*)$", rf"\1+{tag}", "\n".join(lines), count=1, flags=re.MULTILINE)
    return header + blank + body


def _belongs_to_another(line: str, tag: str) -> bool:
    return _major(line) not in (None, major_of_tag(tag))


def _major(line: str) -> str | None:
    name, _, value = line.partition(": ")
    if name == "Requires-Dist":
        return major_in_name(Requirement(value).name)
    return major_in_name(f"-{value}") if name == "Provides-Extra" else None


def narrow(wheel: Path, tag: str, out: Path) -> Path:
    """Write the narrowed form of `wheel` to `out`; its records are made anew by ``wheel pack``."""
    with tempfile.TemporaryDirectory() as scratch:
        _wheel("unpack", "--dest", scratch, str(wheel))
        (tree,) = Path(scratch).iterdir()
        (described,) = tree.glob("*.dist-info")
        metadata = described / "METADATA"
        metadata.write_text(narrowed(metadata.read_text("utf-8"), tag), encoding="utf-8")
        described.rename(tree / described.name.replace(".dist-info", f"+{tag}.dist-info"))
        _wheel("pack", "--dest-dir", str(out), str(tree))
    stem = "-".join(wheel.name.split("-")[:2])
    (written,) = out.glob(f"{stem}+{tag}-*.whl")
    return written


def _wheel(*arguments: str) -> None:
    subprocess.run((sys.executable, "-m", "wheel", *arguments), check=True)


def main(tag: str, out: str, *wheels: str) -> None:
    """Narrow each wheel."""
    for wheel in map(Path, wheels):
        try:
            print(narrow(wheel, tag, Path(out)).name)
        except ValueError as error:
            raise SystemExit(f"error: {wheel.name} {error}.") from error


if __name__ == "__main__":
    main(*sys.argv[1:])
