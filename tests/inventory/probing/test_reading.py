"""What probes wrote is foreign data: it is held against the records, and nothing else is raised."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.errors import DamagedInputError, UsageError
from smforge.inventory.probing.reading import read_folder, read_output
from smforge.inventory.probing.records import How

FACTS = Path(__file__).parents[2] / "verdict" / "data" / "probes"
NAMES = ("models", "extensions", "ptxas", "flashinfer")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    """Recorded from vLLM 0.33.0, shortened."""
    return {name: json.loads((FACTS / f"{name}.json").read_text()) for name in NAMES}


def test_a_recorded_folder() -> None:
    found = read_folder(FACTS)
    assert found.models is not None
    assert found.models.packages["vllm"] == "0.33.0"
    assert found.models.by_item()["KananaVForConditionalGeneration"].keys() == set(How)
    assert found.ptxas is not None
    assert {one.notes.status for one in found.ptxas.items} == {0}


def test_a_folder_without_facts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no facts"):
        read_folder(tmp_path)


def test_a_missing_document_stays_missing(tmp_path: Path, documents: dict[str, Any]) -> None:
    (tmp_path / "ptxas.json").write_text(json.dumps(documents["ptxas"]))
    found = read_folder(tmp_path)
    assert found.ptxas is not None
    assert found.models is None


def unknown_key(document: dict[str, Any]) -> None:
    document["more"] = 1


def lacking_key(document: dict[str, Any]) -> None:
    del document["items"]


def newer_schema(document: dict[str, Any]) -> None:
    document["schema_version"] = 2


def wrong_type(document: dict[str, Any]) -> None:
    document["items"][0]["item"] = 7


def unknown_note(document: dict[str, Any]) -> None:
    document["items"][0]["notes"]["verdict"] = "pass"


def other_probe(document: dict[str, Any]) -> None:
    document["probe"] = "another"


@pytest.mark.parametrize(
    "spoil", [unknown_key, lacking_key, newer_schema, wrong_type, unknown_note, other_probe]
)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_as_written_is_refused(
    documents: dict[str, Any], name: str, spoil: Callable[[dict[str, Any]], None]
) -> None:
    spoilt = deepcopy(documents[name])
    spoil(spoilt)
    with pytest.raises(DamagedInputError, match=name):
        read_output(json.dumps({name: spoilt}).encode(), "The facts")


@given(document=JSON)
def test_any_json_is_refused_in_one_way(document: object) -> None:
    try:
        read_output(json.dumps({"models": document}).encode(), "The facts")
    except DamagedInputError:
        return
    pytest.fail("it was taken for facts")


@given(data=st.binary(max_size=60))
def test_any_bytes_are_refused_in_one_way(data: bytes) -> None:
    try:
        found = read_output(data, "The facts")
    except DamagedInputError:
        return
    assert all(document is None for document in found.documents().values())
