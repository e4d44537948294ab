"""A foreign program gets no input, no environment, and bounded time and memory."""

from __future__ import annotations

import os
import sys

import pytest

from smforge.errors import ToolError
from smforge.inventory.sandbox import Bounds, Run, capture, stream


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_output_comes_in_whole_lines() -> None:
    run = Run()
    code = "import sys\nfor n in range(50000): print('line', n)\nsys.stdout.write('end')"
    chunks = list(stream(python(code), run, Bounds(seconds=60)))
    assert all(chunk.endswith(b"\n") for chunk in chunks[:-1])
    assert b"".join(chunks).split(b"\n")[-1] == b"end"
    assert run.status == 0


def test_time_is_bounded() -> None:
    run, _ = capture(python("while True: print('x', flush=True)"), Bounds(seconds=0.5))
    assert run.timed_out
    assert run.explain() == "it did not finish in the time allowed"


@pytest.mark.slow
def test_memory_is_bounded() -> None:
    # The bounds are set on the program once it runs.
    code = "import time; time.sleep(2); x = bytearray(1 << 30)"
    run, _ = capture(python(code), Bounds(seconds=60, memory=512 << 20))
    assert run.status == 1
    assert "MemoryError" in run.stderr


@pytest.mark.slow
def test_children_end_with_the_program() -> None:
    code = "import subprocess; subprocess.Popen(['sleep', '300']); print('started')"
    run, output = capture(python(code), Bounds(seconds=2))
    assert output == b"started\n"
    assert run.timed_out, "the child held the pipe open until both were ended"


def test_neither_environment_nor_input_nor_folder_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMFORGE_SECRET", "x")
    code = "import os, sys; print('SMFORGE_SECRET' in os.environ, os.getcwd(), sys.stdin.read())"
    _, output = capture(python(code), Bounds(seconds=60))
    assert output == b"False / \n"


def test_only_named_descriptors_are_open_in_it() -> None:
    read, write = os.pipe()
    try:
        code = "import os, sys; os.fstat(int(sys.argv[1])); print('open')"
        run, _ = capture([*python(code), str(read)], Bounds(seconds=60))
        assert run.status == 1
        run, output = capture([*python(code), str(read)], Bounds(seconds=60), (read,))
        assert output == b"open\n"
    finally:
        os.close(read)
        os.close(write)


def test_a_program_that_does_not_exist() -> None:
    with pytest.raises(ToolError, match="cannot be run"):
        capture(["/no/such/program"], Bounds())


def test_giving_up_early_ends_the_program() -> None:
    run = Run()
    lines = stream(python("while True: print('x', flush=True)"), run, Bounds(seconds=600))
    assert next(lines).startswith(b"x")
    lines.close()  # type: ignore[attr-defined]  # a generator
    assert run.status is None
