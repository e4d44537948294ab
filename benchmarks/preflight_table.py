"""Runs preflight over versions of vLLM, toolkits and arch lists, and writes a table of it.

    python benchmarks/preflight_table.py vllm-0.19.0.tar.gz vllm-0.33.0.tar.gz > table.md

Every cell is a process of its own with an empty cache; it is timed, run once more with the cache
filled, and timed again.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOOLKITS = ("12.9", "13.0")
LISTS = ("11.0", "12.0f", "12.1a", "9.0 12.1a")
_DEFAULT = re.compile(rb"ARG torch_cuda_arch_list=['\"]([^'\"]+)['\"]")


def main(archives: list[Path]) -> int:
    print(
        "| version | CUDA | list | units | skips | lost | PTX only | outcome | cold s | again s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    details: list[dict[str, object]] = []
    for archive in archives:
        for cuda in TOOLKITS:
            for archs in (*LISTS, _dockerfile_default(archive)):
                cell = _cell(archive, cuda, archs)
                print(_row(cell), flush=True)
                details.append(
                    {"cuda": cuda, "archs": archs, "exit": cell.code, "report": cell.report}
                )
    Path("preflight-details.json").write_text(json.dumps(details))
    return 0


@dataclass(frozen=True)
class Cell:
    """One run of the command; times in seconds."""

    cuda: str
    archs: str
    report: dict[str, Any]
    code: int
    cold: float
    warm: float


def _cell(archive: Path, cuda: str, archs: str) -> Cell:
    command = [sys.executable, "-m", "builder", "preflight", "--source", str(archive)]
    command += ["--cuda", cuda, "--archs", archs, "-o", "json"]
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        first, cold = _timed(command, environment)
        second, warm = _timed(command, environment)
    assert first.stdout == second.stdout, "the cache changed the answer"
    report = json.loads(first.stdout) if first.stdout else {"error": first.stderr}
    return Cell(cuda, archs, report, first.returncode, cold, warm)


def _timed(
    command: list[str], environment: dict[str, str]
) -> tuple[subprocess.CompletedProcess[str], float]:
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done, time.perf_counter() - start


def _row(cell: Cell) -> str:
    report = cell.report
    if "error" in report:
        said = f"exit {cell.code}: {report['error']}"
        return f"| ? | {cell.cuda} | `{cell.archs}` | | | | | {said} | | |"
    findings = report["findings"]
    rules = Counter(one["rule"] for one in findings if one["level"] == "error")
    lost = sum(len(one["sources"]) for one in findings if one["rule"] == "source-lost")
    texts = {
        source for one in findings if one["rule"] == "source-ptx-only" for source in one["sources"]
    }
    errors = ", ".join(f"{rule} {number}" for rule, number in sorted(rules.items()))
    cells = (
        report["source"]["version"], cell.cuda, f"`{cell.archs}`", len(report["units"]),
        len(report["skipped"]), lost, len(texts), f"{report['verdict']} {errors}".strip(),
        f"{cell.cold:.1f}", f"{cell.warm:.1f}",
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _dockerfile_default(archive: Path) -> str:
    with tarfile.open(archive) as members:
        for member in members:
            if member.name.endswith("/docker/Dockerfile"):
                stream = members.extractfile(member)
                match = _DEFAULT.search(stream.read()) if stream else None
                if match:
                    return match.group(1).decode()
    raise SystemExit(f"{archive} has no default in its Dockerfile")


if __name__ == "__main__":
    sys.exit(main([Path(one).resolve() for one in sys.argv[1:]]))
