"""Gives the readers of foreign bytes hostile input, guided by the code that it reaches.

    python -m benchmarks.fuzz [--runs 200000] [--corpus DIR]

Needs atheris, which `make fuzz` brings. Anything but a reader's own refusal, an input that takes
over two seconds or more memory than the cap ends the run with exit code 77 or 70 to 73 and leaves
the input beside the corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["smforge"]):
    from benchmarks.exercise import exercise

from benchmarks import seeds

MOST_SECONDS = 2
MOST_MEGABYTES = 1024
LONGEST_INPUT = 1 << 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--corpus", type=Path, help="kept between runs; a temporary one if absent")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        corpus = arguments.corpus or Path(scratch) / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for seed in (*seeds.handmade(), *seeds.compiled()):
            (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
        options = [
            f"-runs={arguments.runs}",
            f"-timeout={MOST_SECONDS}",
            f"-rss_limit_mb={MOST_MEGABYTES}",
            f"-max_len={LONGEST_INPUT}",
            f"-artifact_prefix={corpus.parent}/",
            "-print_final_stats=1",
            str(corpus),
        ]
        started = time.monotonic()
        atheris.Setup([sys.argv[0], *options], exercise)
        print(f"fuzzing {arguments.runs} inputs", file=sys.stderr)
        atheris.Fuzz()
        print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
