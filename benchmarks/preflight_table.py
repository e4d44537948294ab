"""Runs preflight over versions of vLLM, toolkits and arch lists, and writes a table of what it says.

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
from pathlib import Path

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
                report, code, cold, warm = _cell(archive, cuda, archs)
                print(_row(report, cuda, archs, code, cold, warm), flush=True)
                details.append({"cuda": cuda, "archs": archs, "exit": code, "report": report})
    Path("preflight-details.json").write_text(json.dumps(details))
    return 0


def _cell(archive: Path, cuda: str, archs: str) -> tuple[dict[str, object], int, float, float]:
    command = [sys.executable, "-m", "builder", "preflight", "--source", str(archive)]
    command += ["--cuda", cuda, "--archs", archs, "-o", "json"]
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        start = time.perf_counter()
        first = subprocess.run(command, env=environment, capture_output=True, text=True)
        cold = time.perf_counter() - start
        start = time.perf_counter()
        second = subprocess.run(command, env=environment, capture_output=True, text=True)
        warm = time.perf_counter() - start
    if not first.stdout:
        return {"error": first.stderr}, first.returncode, cold, warm
    assert first.stdout == second.stdout, "the cache changed the answer"
    return json.loads(first.stdout), first.returncode, cold, warm


def _row(
    report: dict[str, object], cuda: str, archs: str, code: int, cold: float, warm: float
) -> str:
    if "error" in report:
        return f"| ? | {cuda} | `{archs}` | | | | | exit {code}: {report['error']} | | |"
    findings = report["findings"]
    rules = Counter(one["rule"] for one in findings if one["level"] == "error")
    lost = sum(len(one["sources"]) for one in findings if one["rule"] == "source-lost")
    texts = {
        source for one in findings if one["rule"] == "source-ptx-only" for source in one["sources"]
    }
    errors = ", ".join(f"{rule} {number}" for rule, number in sorted(rules.items()))
    cells = (
        report["source"]["version"], cuda, f"`{archs}`", len(report["units"]),
        len(report["skipped"]), lost, len(texts), f"{report['verdict']} {errors}".strip(),
        f"{cold:.1f}", f"{warm:.1f}",
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
