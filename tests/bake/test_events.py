"""The parser of buildx's rawjson progress: exact on what buildx prints, harmless on all else."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from smforge.bake.progress.events import BuildWarning, Log, PlainLine, Status, Vertex, parse_line

_VALUES = st.sampled_from(
    [None, True, 0, -1, 10**30, 1.5, "", "x", "2026-11-21T13:11:41Z", "0001", [], [1], {}, {"a": 1}]
)
_KEYS = ("vertexes", "statuses", "logs", "warnings")
_FIELDS = (
    "digest", "name", "inputs", "started", "completed", "cached", "error", "vertex", "id",
    "current", "total", "data", "timestamp", "short",
)  # fmt: skip


def test_a_vertex_line_as_buildx_prints_it() -> None:
    line = (
        b'{"vertexes":[{"digest":"sha256:e5","inputs":["sha256:a2"],"name":"[bad bad 1/1] RUN x",'
        b'"started":"2026-11-21T13:11:41.396859622Z","completed":"2026-11-21T13:11:41.558625024Z",'
        b'"error":"process \\"x\\" did not complete successfully: exit code: 7"}]}\n'
    )
    (vertex,) = parse_line(line)
    assert vertex == Vertex(
        digest="sha256:e5",
        name="[bad bad 1/1] RUN x",
        inputs=("sha256:a2",),
        started=datetime(2026, 11, 21, 13, 11, 41, 396859, UTC),
        completed=datetime(2026, 11, 21, 13, 11, 41, 558625, UTC),
        cached=False,
        error='process "x" did not complete successfully: exit code: 7',
    )


def test_logs_statuses_and_warnings_of_one_line_keep_their_order() -> None:
    line = json.dumps(
        {
            "logs": [{"vertex": "v", "stream": 1, "data": base64.b64encode(b"a\xff\n").decode()}],
            "statuses": [{"vertex": "v", "id": "exporting", "current": 3, "total": 5}],
            "warnings": [{"vertex": "v", "short": base64.b64encode(b"bad case").decode()}],
        }
    )
    assert parse_line(line.encode()) == (
        Status(vertex="v", name="exporting", current=3, total=5, completed=False),
        Log(vertex="v", data=b"a\xff\n", timestamp=None),
        BuildWarning(vertex="v", message="bad case"),
    )


def test_the_zero_time_of_go_is_no_time() -> None:
    (vertex,) = parse_line(b'{"vertexes":[{"name":"n","started":"0001-01-01T00:00:00Z"}]}')
    assert isinstance(vertex, Vertex)
    assert vertex.started is None


def test_an_empty_line_says_nothing() -> None:
    assert parse_line(b"\n") == ()


def test_deep_nesting_is_plain_text() -> None:
    line = b'{"vertexes":' + b"[" * 200_000
    assert parse_line(line) == (PlainLine(line.decode()),)


@given(st.binary())
def test_garbage_is_kept_as_a_plain_line(line: bytes) -> None:
    events = parse_line(line)
    text = line.decode("utf-8", errors="replace").rstrip("\r\n")
    assert events == ((PlainLine(text),) if text.strip() else ())


@given(
    st.dictionaries(
        st.sampled_from(_KEYS),
        _VALUES | st.lists(_VALUES | st.dictionaries(st.sampled_from(_FIELDS), _VALUES)),
    )
)
def test_an_object_of_another_shape_is_never_an_exception(value: object) -> None:
    line = json.dumps(value).encode()
    events = parse_line(line)
    assert all(not isinstance(event, PlainLine) or event.text == line.decode() for event in events)


@given(st.text(), st.binary(), st.booleans())
def test_what_is_printed_is_read_back(name: str, data: bytes, cached: bool) -> None:
    line = json.dumps(
        {
            "vertexes": [{"digest": "sha256:1", "name": name, "cached": cached}],
            "logs": [{"vertex": "sha256:1", "data": base64.b64encode(data).decode()}],
        }
    )
    assert parse_line(line.encode()) == (
        Vertex(digest="sha256:1", name=name, cached=cached),
        Log(vertex="sha256:1", data=data, timestamp=None),
    )
