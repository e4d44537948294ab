"""What a selection means, and that an empty pattern is never passed over."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

TABLE = {"about": "", "core": ["page", "silu_*"], "more": ["@core", "norm"], "full": ["*"]}
NAMES = ["norm", "page", "silu_and_mul", "silu_and_mul_nvfp4", "rope"]


@pytest.fixture
def selection(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("flashinfer/selection")


def test_patterns_choose_names_in_their_order(selection: ModuleType) -> None:
    assert selection.choose(NAMES, selection.patterns_of("core", TABLE)) == NAMES[1:4]


def test_a_selection_includes_another(selection: ModuleType) -> None:
    assert selection.patterns_of("more", TABLE) == ["page", "silu_*", "norm"]


def test_full_chooses_everything(selection: ModuleType) -> None:
    assert selection.choose(NAMES, selection.patterns_of("full", TABLE)) == NAMES


def test_a_pattern_that_matches_nothing_is_an_error(selection: ModuleType) -> None:
    with pytest.raises(selection.SelectionError, match="called cascade for"):
        selection.choose(NAMES, ["page", "cascade"])


def test_an_unknown_selection_is_an_error_that_names_the_known(selection: ModuleType) -> None:
    with pytest.raises(selection.SelectionError, match=r"'tiny'.* core, more, full"):
        selection.patterns_of("tiny", TABLE)


def test_each_selection_shipped_contains_the_one_before(selection: ModuleType) -> None:
    table = selection.load()
    core, common = (selection.patterns_of(name, table) for name in ("core", "common"))
    assert set(core) < set(common)
    assert selection.patterns_of("full", table) == ["*"]
