"""What an assembler knows: asked while it can do no harm, or read from its tables."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smforge.arch.toolkits import toolkit
from smforge.inventory.formats.blob import Blob, BytesBlob, FileBlob
from smforge.inventory.jit_tools import assembler as module
from smforge.inventory.jit_tools import landlock
from smforge.inventory.jit_tools.assembler import examine
from smforge.inventory.jit_tools.records import Source
from smforge.inventory.jit_tools.scanner import WatchedSubject
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.opening import open_subject
from smforge.inventory.survey import survey

RELEASES = ("12.8", "12.9", "13.0")


@contextmanager
def opened(path: Path) -> Iterator[Blob]:
    with FileBlob.from_path(path) as blob:
        yield blob


@pytest.mark.network
@pytest.mark.parametrize("release", RELEASES)
def test_asking_and_reading_give_the_toolkits_targets(
    compiler_folder: Callable[[str], Path], release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(compiler_folder(release) / "bin" / "ptxas") as blob:
        asked = examine("ptxas", blob)
        monkeypatch.setattr(module, "_runs_here", lambda _: False)
        read = examine("ptxas", blob)
    assert (asked.source, read.source) == (Source.ASKED, Source.READ)
    assert asked.targets == read.targets
    assert asked.release == read.release == release
    known = toolkit(release)
    assert {str(t) for t in asked.targets if known.knows(t)} == {str(t) for t in asked.targets}


@pytest.fixture
def ptxas(compiler_folder: Callable[[str], Path]) -> Path:
    """The program itself: a ptxas on PATH can be a script that starts it."""
    return compiler_folder("13.0") / "bin" / "ptxas"


def test_a_program_for_another_processor_is_not_run(
    ptxas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(ptxas.read_bytes())
    data[18:20] = (183 if data[18] == 62 else 62).to_bytes(2, "little")
    monkeypatch.setattr(module, "_ask", lambda _: pytest.fail("it was run"))
    assert examine("ptxas", BytesBlob(bytes(data))).source is Source.READ


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\necho sm_121a", os.urandom(4096)])
def test_what_is_no_assembler_tells_nothing(content: bytes) -> None:
    found = examine("ptxas", BytesBlob(content))
    assert found.targets == frozenset()


def confined(script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell as the confined program."""
    with Path("/bin/sh").open("rb") as program:
        arguments = [str(program.fileno()), "20", str(2 << 30), "-c", script]
        return subprocess.run(
            [sys.executable, "-I", "-S", landlock.__file__, *arguments],
            pass_fds=(program.fileno(),),
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def confinement() -> None:
    """Skip where the kernel cannot confine: nothing is run there, which other tests show."""
    if confined("true").returncode == landlock.NOT_CONFINED:
        pytest.skip("this kernel has no Landlock")


@pytest.mark.usefixtures("confinement")
def test_a_confined_program_can_neither_write_nor_read_what_is_the_users(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    assert confined("echo runs").stdout == "runs\n"
    for script in (
        f"echo x > {tmp_path}/new",
        f"echo x > {secret}",
        f"cat {secret}",
        f"ls {tmp_path}",
        f"rm -f {secret}",
        f"mkdir {tmp_path}/folder",
    ):
        result = confined(script)
        assert result.returncode != 0, script
        assert "denied" in result.stderr, script
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert secret.read_text() == "x"


@pytest.mark.usefixtures("confinement")
def test_a_confined_program_gets_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMFORGE_SECRET", "x")
    assert "SMFORGE_SECRET" not in confined("export").stdout


def test_where_the_kernel_cannot_confine_tables_are_read(
    ptxas: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    launcher = tmp_path / "confine.py"
    launcher.write_text(f"import sys; sys.exit({landlock.NOT_CONFINED})")
    monkeypatch.setattr(module, "_CONFINE", launcher)
    with opened(ptxas) as blob:
        found = examine("ptxas", blob)
    assert found.source is Source.READ
    assert found.targets


def test_a_survey_notes_the_companions_of_a_folder(ptxas: Path, tmp_path: Path) -> None:
    place = tmp_path / "triton" / "backends" / "nvidia" / "bin"
    place.mkdir(parents=True)
    (place / "ptxas").write_bytes(ptxas.read_bytes())
    (place / "ptxas-notes.txt").write_text("no assembler")
    (tmp_path / "libnvrtc.so.13").write_bytes(io.BytesIO(b"\x7fELF" + bytes(100)).read())
    options = ReadOptions()
    with WatchedSubject(open_subject(str(tmp_path), options)) as subject:
        survey(subject, options)
        found = subject.companions()
    (assembler,) = found.assemblers
    assert assembler.path == "triton/backends/nvidia/bin/ptxas"
    assert assembler.targets
    assert found.libraries == ("libnvrtc.so.13",)
