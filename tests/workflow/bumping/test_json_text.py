"""Changes in the text of a JSON file keep what they do not concern."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smforge.workflow.bumping.json_text import rewritten

MATRIX = Path(__file__).parents[3] / "versions.json"

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)
LAYOUTS = st.sampled_from(
    [{}, {"indent": 2}, {"indent": "\t"}, {"separators": (" ,\n ", " : ")}, {"ensure_ascii": False}]
)


def in_order(value: Any) -> str:
    """A value as text, in which the order of keys and the kinds of numbers count."""
    return json.dumps(value)


@given(VALUES, VALUES, LAYOUTS, st.sampled_from(["", " \n"]))
def test_the_new_text_holds_the_new_value(
    old: Any, new: Any, layout: dict[str, Any], around: str
) -> None:
    text = around + json.dumps(old, **layout) + around
    assert in_order(json.loads(rewritten(text, new))) == in_order(new)


@given(VALUES, LAYOUTS)
def test_nothing_changes_where_the_value_is_the_same(value: Any, layout: dict[str, Any]) -> None:
    text = json.dumps(value, **layout)
    assert rewritten(text, json.loads(text)) == text


@settings(max_examples=40)
@given(
    st.dictionaries(st.text(max_size=6), VALUES, min_size=1),
    st.data(),
    VALUES,
)
def test_a_change_and_its_undoing_keep_the_other_members(
    old: dict[str, Any], data: st.DataObject, value: Any
) -> None:
    key = data.draw(st.sampled_from(sorted(old)))
    text = json.dumps(old, indent=2)
    changed = rewritten(text, old | {key: value})
    for other, one in old.items():
        if other != key:
            member = json.dumps({other: one}, indent=2)[1:-2]
            assert member in changed


def changed_lines(old: str, new: str) -> list[str]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[0] in "+-" and line[:3] not in {"---", "+++"}]


def test_one_value_of_the_matrix_changes_one_line() -> None:
    text = MATRIX.read_text(encoding="utf-8")
    document = json.loads(text)
    document["toolkits"]["13.0"]["torch"] = "2.99.0"
    assert changed_lines(text, rewritten(text, document)) == [
        '-      "torch": "2.14.0",',
        '+      "torch": "2.99.0",',
    ]


def test_a_file_of_a_source_gets_another_name_in_its_line() -> None:
    text = MATRIX.read_text(encoding="utf-8")
    document = json.loads(text)
    source = document["sources"]["lmcache"]
    (digest,) = source["files"].values()
    source["files"] = {"lmcache-9.9.9.tar.gz": digest}
    assert changed_lines(text, rewritten(text, document)) == [
        f'-        "lmcache-0.5.6.tar.gz": "{digest}"',
        f'+        "lmcache-9.9.9.tar.gz": "{digest}"',
    ]


def test_what_is_taken_out_and_put_back_is_as_it_was() -> None:
    """New objects are laid out as the matrix lays them out: one line where that fits."""
    text = MATRIX.read_text(encoding="utf-8")
    document = json.loads(text)
    for path in (("toolkits", "13.0"), ("sources", "nixl"), ("sources", "vllm", "externals")):
        without = json.loads(text)
        inner = without
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]
        shorter = rewritten(text, without)
        assert len(shorter) < len(text)
        assert rewritten(shorter, document) == text


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_and_indentation_are_those_of_the_text(newline: str) -> None:
    text = f'{{{newline}\t"a": {{{newline}\t\t"b": 1{newline}\t}}{newline}}}{newline}'
    long = {"long": "x" * 60, "longer": "y" * 60}
    assert rewritten(text, {"a": {"b": 1, "c": long}}) == newline.join(
        [
            "{",
            '\t"a": {',
            '\t\t"b": 1,',
            '\t\t"c": {',
            f'\t\t\t"long": "{"x" * 60}",',
            f'\t\t\t"longer": "{"y" * 60}"',
            "\t\t}",
            "\t}",
            "}",
            "",
        ]
    )
