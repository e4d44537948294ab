"""Which cells are meant, and how they are divided among machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.errors import UsageError
from smforge.matrix.load import load
from smforge.plan.records import Cell
from smforge.plan.resolve import resolve
from smforge.workflow.farm.choice import Choice, Shard, chosen, parse_shard, shares
from smforge.workflow.farm.weights import weight_of

ROOT = Path(__file__).parents[3]
CELLS = resolve(load(ROOT / "versions.json")).cells


def names(cells: Sequence[Cell]) -> list[str]:
    return [cell.name for cell in cells]


def test_a_cell_is_meant_by_its_name_and_all_of_a_variant_by_the_variants() -> None:
    assert names(chosen(CELLS, Choice(only=("cu130-linux-arm64",)))) == ["cu130-linux-arm64"]
    both = ["cu130-linux-amd64", "cu130-linux-arm64"]
    assert names(chosen(CELLS, Choice(only=("cu130",)))) == both
    found = chosen(CELLS, Choice(only=("cu130", "demo"), platforms=("linux/amd64",)))
    assert names(found) == ["demo-linux-amd64", "cu130-linux-amd64"]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(only=("cu130-linux-arm",)), "such as cu130-linux-arm64"),
        (Choice(platforms=("linux/s390x",)), "They are built for linux/amd64, linux/arm64"),
        (Choice(only=("demo",), shard=Shard(2, 3)), "Share 2/3 is empty: there are 1 cells"),
    ],
)
def test_what_means_no_cell_is_refused_with_what_there_is(choice: Choice, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        chosen(CELLS, choice)


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1/٣"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_shard(text)


def test_a_share_is_read_and_written_alike() -> None:
    assert str(parse_shard("2/3")) == "2/3"


@given(st.integers(1, 20), st.permutations(range(len(CELLS))))
def test_shares_hold_every_cell_once_in_whatever_order_they_come(
    count: int, order: list[int]
) -> None:
    divided = shares(CELLS, count)
    assert sorted(name for share in divided for name in names(share)) == sorted(names(CELLS))
    other = shares([CELLS[index] for index in order], count)
    assert [sorted(names(share)) for share in divided] == [sorted(names(share)) for share in other]


def test_shares_are_divided_by_weight() -> None:
    weights = {cell.name: weight_of(cell) for cell in CELLS}
    heaviest, *others = sorted(weights, key=lambda name: -(weights[name] or 0))
    first, second = shares(CELLS, 2)
    alone = first if heaviest in names(first) else second
    loads = sorted(sum(weights[name] or 0 for name in names(share)) for share in (first, second))
    assert heaviest in names(alone)
    # No share is heavier than the other by more than the last cell that it got.
    assert loads[1] - loads[0] <= max(weights[name] or 0 for name in (heaviest, *others))
    assert loads[0] > 0


def test_where_one_cost_is_not_known_all_count_the_same() -> None:
    compiled = (cell.component("vllm") for cell in CELLS)
    vllm = next(one for one in compiled if one is not None and one.archs)
    odd = replace(CELLS[0], components=(replace(vllm, name="somebody"),))
    assert weight_of(odd) is None
    sizes = [len(share) for share in shares((odd, *CELLS[1:]), 3)]
    assert max(sizes) - min(sizes) <= 1


def smforge(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "builder")}
    command = (sys.executable, "-m", "smforge", *arguments)
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )


def test_the_pipelines_of_all_shares_hold_every_cell_once() -> None:
    built = []
    for share in ("1/2", "2/2"):
        done = smforge("matrix", "--shard", share)
        assert done.returncode == 0, done.stderr
        built += [job["key"] for job in json.loads(done.stdout)["jobs"] if job["variant"]]
    assert sorted(built) == sorted(names(CELLS))
    done = smforge("matrix", "--only", "demo")
    assert [job["key"] for job in json.loads(done.stdout)["jobs"]] == ["plan", "demo-linux-amd64"]
