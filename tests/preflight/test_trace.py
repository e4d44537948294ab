"""CMake's trace: messages, refusals, external projects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.preflight.probe import trace as module
from smforge.preflight.probe.trace import Trace, read_trace

_MESSAGES = json.loads((Path(module.__file__).parent / "data" / "messages.json").read_text())


def _trace(tmp_path: Path, *calls: tuple[str, list[str]]) -> Trace:
    lines: list[dict[str, Any]] = [{"version": {"major": 1, "minor": 2}}]
    lines += [
        {"file": "/tree/CMakeLists.txt", "line": number, "cmd": command, "args": arguments}
        for number, (command, arguments) in enumerate(calls, start=1)
    ]
    file = tmp_path / "trace.json"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return read_trace(file, Path("/tree"))


@pytest.mark.parametrize("row", _MESSAGES["skips"], ids=lambda row: row["example"][:30])
def test_every_pattern_knows_its_example(row: dict[str, str], tmp_path: Path) -> None:
    found = _trace(tmp_path, ("message", ["STATUS", row["example"]]))
    assert [skip.message for skip in found.skips()] == [row["example"]]


def test_where_the_list_is_read_is_the_last_call_that_fills_it(tmp_path: Path) -> None:
    reader = _MESSAGES["list"]
    found = _trace(
        tmp_path,
        (reader["command"], ["MARLIN_ARCHS", "8.0", "12.0"]),
        (reader["command"], [reader["into"], "8.0;12.0", "12.0"]),
        (reader["command"], []),
    )
    assert str(found.list_read) == "CMakeLists.txt:2"
    assert _trace(tmp_path, (reader["command"], ["MARLIN_ARCHS"])).list_read is None


def test_what_is_taken_from_the_list_is_kept_in_order(tmp_path: Path) -> None:
    reader = _MESSAGES["list"]
    found = _trace(
        tmp_path,
        (reader["command"], [reader["into"], "8.0;12.0", "12.0"]),
        (reader["command"].upper(), ["MARLIN_ARCHS", "8.0+PTX;12.0f", "12.0"]),
        ("cuda_archs_sm90plus", ["ROUTER_ARCHS", "12.0"]),
        (reader["command"], ["CUT_SHORT"]),
        ("set", ["OTHER_ARCHS", "9.0", "12.0"]),
    )
    assert [(one.variable, one.supported, one.location.line) for one in found.choices] == [
        (reader["into"], "8.0;12.0", 1),
        ("MARLIN_ARCHS", "8.0+PTX;12.0f", 2),
        ("ROUTER_ARCHS", "", 3),
    ]


def test_parts_are_joined_and_blanks_folded(tmp_path: Path) -> None:
    found = _trace(tmp_path, ("MESSAGE", ["STATUS", "Not building X as no ", "archs\n   found"]))
    (skip,) = found.skips()
    assert skip.message == "Not building X as no archs found"
    assert str(skip.location) == "CMakeLists.txt:1"


def test_what_is_built_is_not_a_skip(tmp_path: Path) -> None:
    assert _trace(tmp_path, ("message", ["STATUS", "Building X for archs: 12.0f"])).skips() == ()


def test_warnings_are_kept_whatever_they_say(tmp_path: Path) -> None:
    (skip,) = _trace(tmp_path, ("message", ["WARNING", "selecting SM100"])).skips()
    assert skip.message == "selecting SM100"


def test_the_first_stop_is_the_refusal(tmp_path: Path) -> None:
    found = _trace(
        tmp_path,
        ("message", ["STATUS", "fine"]),
        ("message", ["SEND_ERROR", "first"]),
        ("message", ["FATAL_ERROR", "second"]),
    )
    stop = found.refusal()
    assert stop is not None
    assert stop.text == "first"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["Mla", "GIT_REPOSITORY", "https://x.invalid/m.git", "GIT_TAG", "v1"], ("mla", "v1")),
        (["mla", "URL", "https://x.invalid/m.tar.gz"], ("mla", None)),
        (["mla", "SOURCE_DIR", "/checkout"], None),
        (["mla"], None),
    ],
)
def test_projects_that_would_be_fetched(
    arguments: list[str], expected: tuple[str, str | None] | None, tmp_path: Path
) -> None:
    found = _trace(tmp_path, ("FetchContent_Declare", arguments)).externals
    assert [(one.name, one.revision) for one in found] == ([] if expected is None else [expected])


def test_a_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    call: dict[str, Any] = {"file": "/tree/x", "line": 1, "cmd": "message", "args": ["STATUS", "a"]}
    whole = json.dumps(call)
    file.write_text(f"{whole}\n{whole[:-9]}")
    assert len(read_trace(file, Path("/tree")).messages) == 1


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.mktemp("trace") / "trace.json"
    file.write_bytes(b'{"cmd":"message","file":"/tree/x","line":1,"args":["a"]}\n' + content)
    try:
        found = read_trace(file, Path("/tree"))
    except (ValueError, KeyError, TypeError):
        return
    assert found.messages[0].text == "a"


@given(st.lists(st.text(), max_size=5))
def test_any_message_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    found = _trace(tmp_path_factory.mktemp("trace"), ("message", words))
    assert len(found.messages) <= 1
