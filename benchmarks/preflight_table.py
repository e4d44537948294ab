"""Preflight of vLLM's releases and of the matrix's variants: what it finds, and what it costs.

    python -m benchmarks.preflight_table --keep DIR

Every cell is a process of its own with an empty cache, and once more with the cache filled, so that
its times are those of a user. Sdists are fetched into DIR first and once. Each measured cell is a
line of DIR/cells.jsonl at once: an interrupted run goes on where it stopped, and --anew forgets
what was measured. The table goes to standard output and, with the reports' findings, stays in DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smforge.matrix.load import load
from smforge.plan.resolve import resolve
from smforge.preflight.cell import examinable
from smforge.preflight.sources.fetch import fetch_sdist

RELEASES = ("0.21.0", "0.26.0", "0.28.0", "0.32.0", "0.33.0")
TOOLKITS = ("12.9", "13.0")
LISTS = (
    ("10.0 10.0a", "10.3"), ("8.7", ""), ("10.0f 12.0f", ""), ("12.0+PTX", "12.0 compute_120"),
)  # fmt: skip
"""Lists from public reports, each with what is required; nothing for what the list asks for."""
FLASHINFERS = (
    ("0.7.0", "9.0a 10.3a 12.1a"), ("0.7.2.post1", "8.0 8.9 9.0a 10.0a 10.3a 11.0a 12.0f"),
)  # fmt: skip
COLD_BAR, WARM_BAR = 15.0, 2.0
"""Seconds on two idle cores that a cell is meant to take."""
_DEFAULT = re.compile(rb"ARG torch_cuda_arch_list=['\"]([^'\"]+)['\"]")
_COLUMNS = (
    "sources", "CUDA", "list", "requires", "units", "verdict", "causes",
    "cold s", "cold CPU s", "again s",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """One cell: what it is called, and the arguments that ask for it."""

    sources: str
    cuda: str
    archs: str
    arguments: tuple[str, ...]
    required: str = ""

    @property
    def key(self) -> str:
        return f"{self.sources} | {self.cuda} | {self.archs} | {self.required}"


@dataclass(frozen=True)
class Measured:
    """What came of a cell; times in seconds."""

    key: str
    verdict: str
    causes: str
    units: int
    cold: float
    cold_cpu: float
    warm: float
    findings: list[dict[str, Any]]


def main() -> int:
    options = _options()
    options.keep.mkdir(parents=True, exist_ok=True)
    journal = options.keep / "cells.jsonl"
    if options.anew:
        journal.unlink(missing_ok=True)
    seeds = options.keep / "xdg"
    questions = [
        *_releases(options.keep, options.versions),
        *_flashinfers(options.keep),
        *_variants(seeds),
    ]
    known = {one.key: one for one in _measured(journal)}
    for number, question in enumerate(questions, start=1):
        if question.key not in known:
            found = _measure(question, seeds)
            known[question.key] = found
            with journal.open("a") as lines:
                lines.write(json.dumps(asdict(found)) + "\n")
        _progress(f"{number}/{len(questions)} {question.key}: {known[question.key].cold:.1f} s")
    table = "\n".join(_table([(one, known[one.key]) for one in questions]))
    (options.keep / "table.md").write_text(table + "\n")
    print(table)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("versions", nargs="*", default=RELEASES, help="releases of vLLM")
    parser.add_argument("--keep", type=Path, default=Path(".smforge/preflight-table"))
    parser.add_argument("--anew", action="store_true", help="forget what was measured")
    return parser.parse_args()


def _releases(keep: Path, versions: Sequence[str]) -> Iterator[Question]:
    for version in versions:
        archive = fetch_sdist("vllm", version, keep).absolute()
        for cuda in TOOLKITS:
            for archs, required in (*LISTS, (_dockerfile_default(archive), "")):
                yield _question(f"vllm {version}", archive, cuda, archs, required)


def _flashinfers(keep: Path) -> Iterator[Question]:
    for version, archs in FLASHINFERS:
        archive = fetch_sdist("flashinfer-python", version, keep).absolute()
        for cuda in TOOLKITS:
            yield _question(f"flashinfer {version}", archive, cuda, archs, "")


def _question(name: str, archive: Path, cuda: str, archs: str, required: str) -> Question:
    words = ("--source", str(archive), "--cuda", cuda, "--archs", archs)
    require = ("--require", required) if required else ()
    return Question(name, cuda, archs, (*words, *require), required)


def _variants(seeds: Path) -> Iterator[Question]:
    """Every component of every variant, as a build asks; its sdist is fetched beforehand."""
    for cell in resolve(load(Path("versions.json"))).cells:
        for component in examinable(cell):
            fetch_sdist(
                {"flashinfer": "flashinfer-python"}.get(component.name, component.name),
                component.version,
                seeds,
                sha256=cell.variables[f"{component.name.upper()}_SHA256"],
            )
            words = (cell.variant, "--platform", cell.platform, "--component", component.name)
            name = f"{cell.variant} {cell.platform}, {component.name} {component.version}"
            archs = " ".join(component.archs)
            yield Question(name, cell.toolkit.cuda, archs, words, str(cell.requirements))


def _measure(question: Question, seeds: Path) -> Measured:
    command = [sys.executable, "-m", "smforge", "preflight", *question.arguments, "-o", "json"]
    with tempfile.TemporaryDirectory() as cache:
        # What was downloaded is not what is measured.
        shutil.copytree(seeds, Path(cache) / "smforge" / "preflight" / "sdists", symlinks=True)
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        first, cold, cpu = _timed(command, environment)
        second, warm, _ = _timed(command, environment)
    if not first.stdout or first.stdout != second.stdout:
        said = f"exit {first.returncode}: {' '.join(first.stderr.split())}"
        if first.stdout:
            said = "the cache changed the answer"
        return Measured(question.key, said, "", 0, cold, cpu, warm, [])
    report = json.loads(first.stdout)
    findings = report["findings"]
    return Measured(
        key=question.key,
        verdict=report["verdict"],
        causes="; ".join(_cause(one) for one in findings if one["level"] == "error"),
        units=len(report["units"]),
        cold=cold,
        cold_cpu=cpu,
        warm=warm,
        findings=findings,
    )


def _timed(
    command: Sequence[str], environment: dict[str, str]
) -> tuple[subprocess.CompletedProcess[str], float, float]:
    """The finished process, its wall time, and the CPU time of it and all it waited for."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done, wall, cpu


def _cause(finding: dict[str, Any]) -> str:
    """An error in a few words: rule, devices, how many sources, where."""
    place = f"at {finding['file']}:{finding['line']}" if finding["file"] else ""
    number = len(finding["sources"])
    words = (finding["rule"], *finding["devices"], f"({number})" if number else "", place)
    return " ".join(filter(None, words))


def _measured(journal: Path) -> Iterator[Measured]:
    if journal.exists():
        for line in journal.read_text().splitlines():
            yield Measured(**json.loads(line))


def _table(rows: Sequence[tuple[Question, Measured]]) -> Iterator[str]:
    yield f"| {' | '.join(_COLUMNS)} |"
    yield f"|{'---|' * len(_COLUMNS)}"
    for question, one in rows:
        cells = (
            question.sources, question.cuda, f"`{question.archs}`", question.required or "the list",
            one.units, one.verdict, one.causes or "-",
            f"{one.cold:.1f}", f"{one.cold_cpu:.1f}", f"{one.warm:.2f}",
        )  # fmt: skip
        yield f"| {' | '.join(map(str, cells))} |"
    yield ""
    cold = [one.cold for _, one in rows]
    warm = [one.warm for _, one in rows]
    yield (
        f"{len(rows)} cells. Cold: {min(cold):.1f} to {max(cold):.1f} s, "
        f"{sum(one > COLD_BAR for one in cold)} over {COLD_BAR:.0f} s. "
        f"Again: {min(warm):.2f} to {max(warm):.2f} s, "
        f"{sum(one > WARM_BAR for one in warm)} over {WARM_BAR:.0f} s."
    )


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")


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
    sys.exit(main())
