"""The shared output flag: what it reads, what it refuses, and that files are whole or absent."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.cli.output import OutputSpec, OutputType, checked_outputs, emit, write_report
from smforge.cli.plain_text import encodable
from smforge.errors import UsageError

MATRIX = Path(__file__).parents[2] / "versions.json"
FORMS = OutputType(("table", "json"))


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("table", OutputSpec("table")),
        ("json", OutputSpec("json")),
        ("json=-", OutputSpec("json")),
        ("json=a/b.json", OutputSpec("json", Path("a/b.json"))),
        ("json=a=b.json", OutputSpec("json", Path("a=b.json"))),
        ("report.json", OutputSpec("json", Path("report.json"))),
        ("/a/b.C/R.JSON", OutputSpec("json", Path("/a/b.C/R.JSON"))),
        ("table.txt", OutputSpec("table", Path("table.txt"))),
    ],
)
def test_reads_form_and_file(text: str, spec: OutputSpec) -> None:
    assert FORMS.convert(text, None, None) == spec
    assert FORMS.convert(spec, None, None) == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yaml",
        "yaml=x",
        "yaml=x.json",
        "json=",
        "=x",
        "JSON",
        ".json",
        "a/.json",
        "x.html",
        "x.",
    ],
)
def test_refuses_anything_else(text: str) -> None:
    with pytest.raises(click.BadParameter):
        FORMS.convert(text, None, None)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("r.txt", "table"),
        ("r.json", "json"),
        ("r.md", "markdown"),
        ("r.xml", "junit"),
        ("r.sarif", "sarif"),
        ("r.sarif.json", "sarif"),
        ("r.html", "html"),
        ("r.csv", "csv"),
        ("r.jsonl", "jsonl"),
    ],
)
def test_the_format_of_a_file_follows_from_its_name(name: str, form: str) -> None:
    forms = OutputType(("table", "json", "markdown", "junit", "sarif", "html", "csv", "jsonl"))
    assert forms.convert(name, None, None) == OutputSpec(form, Path(name))


def test_two_outputs_to_one_place_are_refused(tmp_path: Path) -> None:
    one = OutputSpec("json", tmp_path / "x")
    assert checked_outputs([one, OutputSpec("table")]) == (one, OutputSpec("table"))
    with pytest.raises(UsageError, match="standard output"):
        checked_outputs([OutputSpec("json"), OutputSpec("table")])
    with pytest.raises(UsageError, match="Two outputs go to"):
        checked_outputs([one, OutputSpec("table", tmp_path / "x")])


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


@pytest.mark.parametrize("name", ["absent/r.json", "folder", "file/r.json"])
def test_an_output_that_cannot_be_written_is_refused_beforehand(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Cannot write"):
        checked_outputs([OutputSpec("json", tmp_path / name)])


def test_a_folder_that_takes_no_files_is_refused_beforehand() -> None:
    with pytest.raises(UsageError, match=r"Cannot write /proc/r\.json: "):
        checked_outputs([OutputSpec("json", Path("/proc/r.json"))])


@pytest.mark.parametrize("name", ["r.json", "/dev/null", "/dev/stdout"])
def test_what_can_be_written_is_accepted(tmp_path: Path, name: str) -> None:
    assert checked_outputs([OutputSpec("json", tmp_path / name)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "plain"), [("● ◐ ✗ …", "* o x ~"), ("中 é", "\\u4e2d \\xe9")])
def test_a_table_for_a_terminal_without_utf_8_is_ascii(text: str, plain: str) -> None:
    assert encodable(text, "table", "ascii") == plain
    assert encodable(text, "table", "no-such-encoding") == plain
    assert encodable(text, "table", "utf-8") == encodable(text, "table", None) == text


@given(st.text(st.characters(exclude_categories=())))
def test_json_says_every_character_in_ascii(text: str) -> None:
    document = json.dumps({"name": text}, ensure_ascii=False)
    written = encodable(document, "json", "ascii")
    assert written.isascii()
    assert json.loads(written) == {"name": text}


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")))
def test_xml_says_every_character_in_ascii(text: str) -> None:
    element = ET.Element("a")
    element.text = text
    written = encodable(ET.tostring(element, encoding="unicode"), "junit", "ascii")
    assert written.isascii()
    assert (ET.fromstring(written).text or "") == text


def plan(output: Path) -> subprocess.CompletedProcess[str]:
    """``smforge plan`` of this checkout's matrix, with its standard output in a file."""
    with output.open("w") as stream:
        return subprocess.run(
            [sys.executable, "-m", "smforge", "--config", MATRIX, "plan"],
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_standard_output_names_the_cause() -> None:
    ran = plan(Path("/dev/full"))
    assert ran.returncode == 4
    assert ran.stderr == (
        "smforge: Cannot write to standard output: No space left on device. Make room, or write to "
        "a file elsewhere: -o json=FILE.\n"
    )


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--require", "9.0"), 1)])
def test_a_reader_that_closes_the_pipe_changes_no_exit_code(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    """click makes it 1, which would say that the audit found something."""
    (tmp_path / "k.ptx").write_text(".version 9.0\n.target sm_120\n.entry k(){ret;}\n")
    command = [sys.executable, "-m", "smforge", "audit", "-q", "k.ptx", *words]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")


def test_an_output_that_would_replace_what_is_read_is_refused(tmp_path: Path) -> None:
    subject = tmp_path / "x.so"
    subject.write_bytes(b"library")
    link = tmp_path / "link.so"
    link.symlink_to(subject)
    for place in (subject, link):
        with pytest.raises(UsageError, match="it is what is read here"):
            checked_outputs([OutputSpec("json", place)], ["image:x.so", str(subject)])
    assert subject.read_bytes() == b"library"
