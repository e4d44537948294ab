"""The shared output flag: what it reads, what it refuses, and that files are whole or absent."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import click
import pytest

from smforge.cli.output import OutputSpec, OutputType, emit, require_distinct, write_report
from smforge.errors import UsageError

FORMS = OutputType(("table", "json"))


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("table", OutputSpec("table")),
        ("json", OutputSpec("json")),
        ("json=-", OutputSpec("json")),
        ("json=a/b.json", OutputSpec("json", Path("a/b.json"))),
        ("json=a=b.json", OutputSpec("json", Path("a=b.json"))),
    ],
)
def test_reads_form_and_file(text: str, spec: OutputSpec) -> None:
    assert FORMS.convert(text, None, None) == spec
    assert FORMS.convert(spec, None, None) == spec


@pytest.mark.parametrize("text", ["", "yaml", "yaml=x", "json=", "=x", "JSON"])
def test_refuses_anything_else(text: str) -> None:
    with pytest.raises(click.BadParameter):
        FORMS.convert(text, None, None)


def test_two_outputs_to_one_place_are_refused(tmp_path: Path) -> None:
    one = OutputSpec("json", tmp_path / "x")
    assert require_distinct([one, OutputSpec("table")]) == (one, OutputSpec("table"))
    with pytest.raises(UsageError, match="standard output"):
        require_distinct([OutputSpec("json"), OutputSpec("table")])
    with pytest.raises(UsageError, match="Two outputs go to"):
        require_distinct([one, OutputSpec("table", tmp_path / "x")])


def test_emits_to_standard_output_and_to_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emit({OutputSpec("table"): "rows", OutputSpec("json", tmp_path / "r.json"): "{}\n"})
    assert capsys.readouterr().out == "rows\n"
    assert (tmp_path / "r.json").read_text() == "{}\n"


def test_a_file_has_ordinary_permissions_and_no_companion(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text("old")
    write_report(path, "new")
    umask = os.umask(0)
    os.umask(umask)
    assert path.read_text() == "new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Cannot write"):
        write_report(tmp_path / "absent" / "r.json", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="Cannot write"):
        write_report(tmp_path / "folder", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
