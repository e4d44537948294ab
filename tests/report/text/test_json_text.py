"""The writer of reports writes what the standard library would, and leaves out what it may."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from smforge.report.published import LEFT_OUT
from smforge.report.text.json_text import json_text


@dataclass(frozen=True, slots=True)
class Record:
    text: str
    number: int | None
    sure: bool
    words: tuple[str, ...]
    counts: dict[str, int]
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class Brief:
    always: int = 0
    sometimes: tuple[str, ...] = field(default=(), metadata=LEFT_OUT)


def records(inner: st.SearchStrategy[Record] | None) -> st.SearchStrategy[Record]:
    return st.builds(
        Record,
        st.text(),
        st.none() | st.integers(),
        st.booleans(),
        st.lists(st.text(), max_size=3).map(tuple),
        st.dictionaries(st.text(), st.integers(), max_size=3),
        st.just(()) if inner is None else st.lists(inner, max_size=3).map(tuple),
    )


@given(st.recursive(records(None), records, max_leaves=5))
def test_records_are_written_as_the_standard_library_would(record: Record) -> None:
    assert json_text(record) == json.dumps(asdict(record), indent=2, ensure_ascii=False)


def test_what_may_be_left_out_is_written_only_where_it_says_something() -> None:
    assert json.loads(json_text(Brief())) == {"always": 0}
    assert json.loads(json_text(Brief(1, ("a",)))) == {"always": 1, "sometimes": ["a"]}
