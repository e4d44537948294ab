"""The table of what a variant saves holds what records say, and nothing that they do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from smforge.bake.compilations import Compilations
from smforge.bake.record import RunRecord, recorded_cell
from smforge.errors import UsageError
from smforge.publish.outputs import Output
from smforge.workflow.building.savings import render_markdown, savings

SHA256 = "0" * 64


def output(
    variant: str, platform: str, sizes: dict[str, int], seconds: float, *cached: bool
) -> Output:
    targets = [
        {"name": str(number), "seconds": 1, "steps": 1, "completed_steps": 1, "cached": one}
        for number, one in enumerate(cached)
    ]
    record = RunRecord.model_validate(
        {
            "tool": {"name": "smforge", "version": "0"},
            "result": "passed",
            "exit_code": 0,
            "started": "2026-11-21T13:00:00Z",
            "finished": "2026-11-21T13:00:01Z",
            "seconds": seconds,
            "inputs_sha256": SHA256,
            "plan": {"variant": variant, "platform": platform, "toolkit": {"tag": "cu130"}},
            "variables": {},
            "command": ("docker",),
            "tools": {},
            "targets": targets,
            "artefacts": [
                {"path": path, "sha256": SHA256, "size": size} for path, size in sizes.items()
            ],
        }
    )
    return Output(Path("out"), record, recorded_cell(record, Path("out")))


FAT = output("cu130", "linux/amd64", {"a.whl": 3000, "b/c.whl": 1000, "image/x": 8000}, 600, False)


def test_sizes_and_times_stand_beside_those_of_the_whole() -> None:
    rtx = output("cu130-rtx", "linux/amd64", {"a.whl": 1000, "image/x": 6000}, 150, False)
    cached = output("cu130-spark", "linux/amd64", {"a.whl": 1000, "log": 9}, 1, False, True)
    lines = render_markdown(savings((rtx, FAT, cached), "cu130"), "cu130").splitlines()
    differences = "wheels -75 %, image -25 %, build -75 %"
    assert lines[2:] == [
        "| cu130 | linux/amd64 | 4.0 kB | 8.0 kB | 10:00 | |",
        f"| cu130-rtx | linux/amd64 | 1.0 kB | 6.0 kB | 2:30 | {differences} |",
        "| cu130-spark | linux/amd64 | 1.0 kB | not built | from the cache | wheels -75 % |",
    ]


@pytest.mark.parametrize(("hits", "time"), [(2, "2:30"), (10, "from the cache")])
def test_a_build_with_cached_compilations_has_no_time(hits: int, time: str) -> None:
    """A build from nothing finds the few that it made twice; that does not count."""
    one = output("cu130-rtx", "linux/amd64", {"a.whl": 1000}, 150, False)
    counts = {"targets": {"sm_120f": {"hits": hits, "misses": 34}}}
    compiled = one.record.targets[0].model_copy(
        update={"compilations": Compilations.model_validate(counts)}
    )
    record = one.record.model_copy(update={"targets": (compiled,)})
    line = render_markdown(savings((replace(one, record=record), FAT), "cu130"), "cu130")
    assert f"| {time} |" in line.splitlines()[3]


def test_platforms_are_not_compared_with_one_another() -> None:
    arm = output("cu130-thor", "linux/arm64", {"a.whl": 1}, 1)
    assert savings((arm, FAT), "cu130") == ()
    with pytest.raises(UsageError, match="No output of the variant cu129"):
        savings((arm, FAT), "cu129")
