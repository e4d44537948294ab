"""Whatever is done to a valid matrix, it loads or is refused in words; nothing else happens."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from smforge.errors import ConfigurationError
from smforge.matrix.load import Matrix, parse
from smforge.plan.document import plan_document
from smforge.plan.resolve import resolve

VERSIONS = Path(__file__).parents[2] / "versions.json"
TEXT = VERSIONS.read_bytes()
DOCUMENT: dict[str, Any] = json.loads(TEXT)

ARCHS = ["11.0", "11.0a", "12.0", "12.0f", "12.1", "12.1a", "12.1f", "12.0+PTX", "9.0a", "Hopper"]
WORDS = st.sampled_from([*ARCHS, "sm_120", "compute_90", "99.9", "f"])
NAMES = st.sampled_from(
    ["x", "12.9", "13.0", "linux/arm64", "linux/amd64", "12", "13", "nixl", "vllm", "packages"]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), WORDS, NAMES
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | NAMES, inner, max_size=3)
    ),
    max_leaves=6,
)


def places(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a document."""
    items = list(node.items()) if isinstance(node, dict) else []
    items += list(enumerate(node)) if isinstance(node, list) else []
    return [path, *(inner for key, value in items for inner in places(value, (*path, key)))]


def loads_or_is_refused(data: bytes) -> None:
    try:
        document = parse(data)
    except ConfigurationError as error:
        refusal: ConfigurationError | None = error
    else:
        refusal = None
    if refusal is not None:
        assert refusal.lines
        assert all(line.strip() for line in refusal.lines)
        return
    # What is accepted can be planned, every cell of it.
    plan = resolve(Matrix(Path("m.json"), "0" * 64, document.model_copy(update={"variable": {}})))
    json.dumps(plan_document(plan), allow_nan=False)
    assert plan.cells
    assert all(cell.targets for cell in plan.cells)


@given(st.sampled_from(places(DOCUMENT)[1:]), VALUES, st.booleans())
@example(
    ("variants", "demo", "components", "flashinfer", "archs", "linux/amd64", 0), "Hopper", False
)
def test_a_value_replaced_or_taken_out(
    place: tuple[str | int, ...], value: Any, remove: bool
) -> None:
    document = copy.deepcopy(DOCUMENT)
    node: Any = document
    for step in place[:-1]:
        node = node[step]
    if remove:
        del node[place[-1]]
    else:
        node[place[-1]] = value
    loads_or_is_refused(json.dumps(document).encode())


@given(st.sampled_from(places(DOCUMENT)), st.text(max_size=8) | NAMES, VALUES)
def test_a_key_added(place: tuple[str | int, ...], key: str, value: Any) -> None:
    document = copy.deepcopy(DOCUMENT)
    node: Any = document
    for step in place:
        node = node[step]
    if isinstance(node, dict):
        node[key] = value
    elif isinstance(node, list):
        node.append(value)
    loads_or_is_refused(json.dumps(document).encode())


@given(st.data())
def test_bytes_cut_and_changed(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(TEXT)))
    length = data.draw(st.integers(0, 40))
    loads_or_is_refused(TEXT[:start] + data.draw(st.binary(max_size=8)) + TEXT[start + length :])


@given(st.lists(WORDS, max_size=4), st.lists(WORDS, max_size=4), st.sampled_from(["12.9", "13.0"]))
def test_any_lists_with_any_toolkit(archs: list[str], require: list[str], toolkit: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["variants"]["demo"] = {
        "toolkit": toolkit,
        "base": "registry",
        "require": {"linux/amd64": require},
        "components": {"vllm": {"archs": {"linux/amd64": archs}}},
    }
    loads_or_is_refused(json.dumps(document).encode())


@given(VALUES)
def test_any_json(value: Any) -> None:
    loads_or_is_refused(json.dumps(value).encode())
