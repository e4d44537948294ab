"""What steps say of the compile cache, and to which target it belongs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from smforge.bake.cell_paths import CellPaths
from smforge.bake.compilations import MARK, CacheCount, UnitMemory, compilations_of
from smforge.bake.progress.events import Log, Vertex
from smforge.bake.progress.state import BuildState
from smforge.bake.targets import target_records

SAID = {"targets": {"sm_120f": {"hits": 3, "misses": 1}, "compute_120f": {"hits": 4, "misses": 0}}}
WHEN = datetime(2026, 11, 28, tzinfo=UTC)


def test_the_last_line_counts_and_other_output_does_not() -> None:
    found = compilations_of(["[1/2] sccache nvcc", MARK + json.dumps(SAID), "done"])
    assert found is not None
    assert found.targets["sm_120f"] == CacheCount(hits=3, misses=1)
    assert found.lines == ("sm_120f 3 of 4",)
    assert (
        compilations_of(["nothing", MARK + "{", MARK + '{"targets": {"x": {"hits": -1}}}']) is None
    )


def test_the_units_that_took_most_are_in_the_record() -> None:
    units = [{"unit": f"/src/{one}.cu", "target": "sm_120f", "gib": 9.1 - one} for one in range(9)]
    found = compilations_of([MARK + json.dumps({**SAID, "hungriest": units})])
    assert found is not None
    assert found.hungriest[0] == UnitMemory(unit="/src/0.cu", target="sm_120f", gib=9.1)
    assert compilations_of([MARK + json.dumps({**SAID, "hungriest": units * 2})]) is None


@given(st.lists(st.text()))
def test_no_output_is_an_exception(lines: list[str]) -> None:
    assert compilations_of([*lines, *(MARK + line for line in lines)]) is None


def test_a_step_counts_for_the_target_that_it_is_of_and_not_for_those_that_need_it(
    tmp_path: Path,
) -> None:
    state = BuildState(("wheel", "image"))
    line = (MARK + json.dumps(SAID) + "\n").encode()
    for target in ("wheel", "image"):
        state.apply(Vertex("sha256:a", f"[{target} compiled 1/1] RUN compile", started=WHEN))
    state.apply(Log("sha256:a", line, WHEN))
    paths = CellPaths(tmp_path, "one", "linux/amd64")
    wheel, image = target_records(state, paths, {}, {"image": ("wheel", "of-another-call")})
    assert wheel.compilations is not None
    assert image.compilations is None
    (alone,) = [one for one in target_records(state, paths, {}, {}) if one.name == "image"]
    assert alone.compilations is not None
