"""What an assembler knows: read from its tables; nothing of a subject is run for that."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.toolkits import toolkit
from smforge.inventory.formats.blob import Blob, BytesBlob, FileBlob
from smforge.inventory.jit_tools import asking
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
def test_the_tables_are_the_toolkits_targets(
    compiler_folder: Callable[[str], Path], release: str
) -> None:
    with opened(compiler_folder(release) / "bin" / "ptxas") as blob:
        found = examine("ptxas", blob)
    assert (found.source, found.not_asked) == (Source.READ, "")
    assert found.release == release
    assert found.targets == toolkit(release).targets


@pytest.fixture
def ptxas(compiler_folder: Callable[[str], Path]) -> Path:
    """The program itself: a ptxas on PATH can be a script that starts it."""
    return compiler_folder("13.0") / "bin" / "ptxas"


@pytest.mark.network
def test_unless_it_is_wanted_nothing_is_run(ptxas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ask", lambda _: pytest.fail("it was run"))
    with opened(ptxas) as blob:
        assert examine("ptxas", blob).source is Source.READ


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\necho sm_121a", os.urandom(4096)])
def test_what_is_no_assembler_tells_nothing(content: bytes) -> None:
    found = examine("ptxas", BytesBlob(content))
    assert found.targets == frozenset()


@given(st.binary(max_size=200), st.sampled_from(["compute_121a", "lto_90", "compute_9", "sm_90"]))
def test_only_names_that_stand_alone_count(noise: bytes, name: str) -> None:
    data = noise + b"\0" + name.encode() + b"\0" + b"xcompute_75\0compute_75x\0" + noise
    found = {target.sm for target in examine("ptxas", BytesBlob(data)).targets}
    wanted = {"compute_121a": "sm_121a", "lto_90": "sm_90"}.get(name)
    assert ({wanted} if wanted else set()) <= found
    assert "sm_75" not in found


@pytest.mark.network
def test_a_survey_notes_the_host_files_of_a_folder(ptxas: Path, tmp_path: Path) -> None:
    place = tmp_path / "triton" / "backends" / "nvidia" / "bin"
    place.mkdir(parents=True)
    (place / "ptxas").write_bytes(ptxas.read_bytes())
    (place / "ptxas-notes.txt").write_text("no assembler")
    (tmp_path / "ptxas13").write_bytes(ptxas.read_bytes())
    (tmp_path / "libnvrtc.so.13").write_bytes(io.BytesIO(b"\x7fELF" + bytes(100)).read())
    options = ReadOptions()
    with WatchedSubject(open_subject(str(tmp_path), options)) as subject:
        survey(subject, options)
        found = subject.host_files()
    bundled, named = found.assemblers[1], found.assemblers[0]
    assert (named.path, bundled.path) == ("ptxas13", "triton/backends/nvidia/bin/ptxas")
    assert bundled.targets == named.targets != frozenset()
    assert found.libraries == ("libnvrtc.so.13",)
