"""What is a loss and what is not: comparisons of configurations made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.coverage import cubin_runs_on
from smforge.arch.target import ComputeCapability, Target
from smforge.arch.toolkits import toolkit
from smforge.findings import Finding, Level, Location, Tally
from smforge.policy.excuses import Excuse
from smforge.preflight.compare.losses import Comparison, Reach, compare, reach
from smforge.preflight.records import Configuration, External, Refusal, Unit

_CUDA_13 = toolkit("13.0")
_HERE = Location("CMakeLists.txt", 33)


def _unit(source: str, targets: str = "", ptx: str = "") -> Unit:
    binary, text = (tuple(map(Target.parse, one.split())) for one in (targets, ptx))
    flags = (*(f"arch={one.compute},code={one.sm}" for one in binary),
             *(f"arch={one.compute},code={one.compute}" for one in text))  # fmt: skip
    return Unit("_C", source, flags, binary, text, _HERE)


def _configuration(*units: Unit, archs: str = "12.1a") -> Configuration:
    return Configuration(archs, "13.0", "2.14.0", units, (), ())


def _findings(
    ours: Configuration,
    requested: str,
    baseline: Configuration | None = None,
    stands_in: str = "12.0f",
    excuses: Sequence[Excuse] = (),
) -> dict[str, Finding]:
    target = Target.parse(requested)
    comparisons = (
        [] if baseline is None else [Comparison(baseline, ((target, Target.parse(stands_in)),))]
    )
    found, _ = compare(ours, (target,), comparisons, _CUDA_13, excuses)
    assert len({one.rule for one in found}) == len(found), "each rule once in these cases"
    return {one.rule: one for one in found}


def test_a_source_that_the_sibling_gets_is_lost() -> None:
    ours = _configuration(_unit("a.cu", "12.1a"))
    sibling = _configuration(_unit("a.cu", "12.0f"), _unit("fp4.cu", "12.0f"))
    lost = _findings(ours, "12.1a", sibling)["source-lost"]
    assert lost.level is Level.ERROR
    assert lost.sources == ("fp4.cu",)
    assert lost.location == _HERE
    assert lost.remedy is not None
    assert "Ask for 12.0f in place of 12.1a" in lost.remedy


def test_the_remedy_does_not_promise_code_that_would_not_run() -> None:
    ours = _configuration(_unit("a.cu", "12.1a"))
    sibling = _configuration(_unit("a.cu", "12.0f"), _unit("fp4.cu", "12.0a"))
    lost = _findings(ours, "12.1a", sibling)["source-lost"]
    assert lost.remedy is not None
    assert "Ask for" not in lost.remedy


def test_a_source_compiled_for_the_sibling_alone_is_lost_and_said_so() -> None:
    ours = _configuration(_unit("a.cu", "12.0"), _unit("fp4.cu", "9.0a 12.0a"))
    sibling = _configuration(_unit("a.cu", "12.0"), _unit("fp4.cu", "9.0a 12.0a"))
    lost = _findings(ours, "12.1a", sibling)["source-lost"]
    assert "compiled for 12.0a instead of 12.1a, which 12.1 cannot run" in lost.message


def test_a_source_made_for_other_devices_is_not_lost() -> None:
    ours = _configuration(_unit("a.cu", "9.0a 12.1a"), _unit("machete.cu", "9.0a"))
    sibling = _configuration(_unit("a.cu", "9.0a 12.0f"), _unit("machete.cu", "9.0a"))
    found = _findings(ours, "12.1a", sibling)
    assert "source-lost" not in found
    assert found["source-foreign"].level is Level.NOTE


def test_machine_code_that_becomes_ptx_is_lost() -> None:
    ours = _configuration(_unit("a.cu", "12.1a"), _unit("m.cu", "8.0", "8.0"))
    sibling = _configuration(_unit("a.cu", "12.0f"), _unit("m.cu", "12.0f"))
    assert _findings(ours, "12.1a", sibling)["source-ptx-only"].level is Level.ERROR


def test_ptx_for_the_sibling_as_well_is_a_warning() -> None:
    ours = _configuration(_unit("a.cu", "12.1a"), _unit("m.cu", "8.0", "8.0"))
    sibling = _configuration(_unit("a.cu", "12.0f"), _unit("m.cu", "8.0", "8.0"))
    assert _findings(ours, "12.1a", sibling)["source-ptx-only"].level is Level.WARNING


def test_an_excuse_turns_a_loss_into_a_note_that_gives_the_reason() -> None:
    ours = _configuration(_unit("a.cu", "12.1a"))
    sibling = _configuration(_unit("a.cu", "12.0f"), _unit("x/fp4.cu", "12.0f"))
    excuse = Excuse("not used here", "p", source="x/*")
    lost = _findings(ours, "12.1a", sibling, excuses=[excuse])["source-lost"]
    assert (lost.level, lost.excused) == (Level.NOTE, "not used here")


def test_a_requested_target_that_is_compiled_as_another_is_said() -> None:
    ours = _configuration(_unit("a.cu", "12.0f"), _unit("b.cu", "12.0"))
    collapsed = _findings(ours, "12.1a")["arch-collapsed"]
    assert collapsed.level is Level.NOTE
    assert "12.0f in 1 source" in collapsed.message


def test_a_requested_target_that_nothing_serves_is_dropped() -> None:
    ours = _configuration(_unit("a.cu", "9.0a"), _unit("m.cu", "8.0", "8.0"))
    assert _findings(ours, "12.1a")["arch-dropped"].level is Level.ERROR


def test_a_family_request_that_serves_one_device_is_narrowed() -> None:
    ours = _configuration(_unit("a.cu", "12.0f"), _unit("q.cu", "12.0a"))
    narrowed = _findings(ours, "12.0f")["family-narrowed"]
    assert (narrowed.level, narrowed.sources) == (Level.WARNING, ("q.cu",))
    assert narrowed.device == ComputeCapability(12, 1)


def test_narrowed_sources_are_told_in_an_order_of_their_own() -> None:
    names = [f"{letter}.cu" for letter in "hgfedcba"]
    excuses = [Excuse(f"Reason of {name}", "p", source=name) for name in names]
    ours = _configuration(*(_unit(name, "12.0a") for name in names))
    found, _ = compare(ours, (Target.parse("12.0f"),), [], _CUDA_13, excuses)
    narrowed = [one.sources for one in found if one.rule == "family-narrowed"]
    assert narrowed == [(name,) for name in sorted(names)]


def test_a_target_that_the_toolkit_lacks_is_an_error() -> None:
    old = toolkit("12.9")
    target = Target.parse("11.0")
    found, _ = compare(_configuration(_unit("a.cu", "11.0")), (target,), [], old)
    rules = {one.rule: one for one in found}
    assert rules["toolkit-lacks-target"].level is Level.ERROR
    assert rules["compiler-refuses-target"].sources == ("a.cu",)


def test_a_refused_build_says_why_and_tells_nothing_else() -> None:
    refusal = Refusal("No supported CUDA architectures.", _HERE, "sources")
    ours = Configuration("11.0", "13.0", "2.14.0", (), (), (), refusal)
    found, tallies = compare(ours, (Target.parse("11.0"),), [], _CUDA_13)
    assert [one.rule for one in found] == ["build-refused"]
    assert tallies == {}


def test_a_baseline_that_is_refused_compares_nothing_and_says_so() -> None:
    refusal = Refusal("No.", None, "torch")
    baseline = Configuration("12.0f", "13.0", "2.8.0", (), (), (), refusal)
    found = _findings(_configuration(_unit("a.cu", "12.1a")), "12.1a", baseline)
    assert found["baseline-refused"].level is Level.NOTE
    assert found["not-compared"].level is Level.WARNING


def test_external_projects_are_not_passed_over() -> None:
    external = External("mla", "https://example.invalid", "1", _HERE, named_sources=2)
    ours = Configuration("12.1a", "13.0", "2.14.0", (_unit("a.cu", "12.1a"),), (), (external,))
    assert (
        "2 sources that the tree itself names" in _findings(ours, "12.1a")["not-examined"].message
    )


def test_a_source_without_flags_is_said() -> None:
    unit = Unit("_C", "a.cu", (), (Target.parse("7.5"),), (Target.parse("7.5"),))
    ours = _configuration(unit, _unit("b.cu", "12.1a"))
    assert _findings(ours, "12.1a")["arch-by-default"].sources == ("a.cu",)


def test_tallies_count_units_per_device() -> None:
    ours = _configuration(
        _unit("a.cu", "12.1a 9.0a"), _unit("h.cu", "9.0a"), _unit("m.cu", "8.0", "8.0")
    )
    sibling = _configuration(_unit("a.cu", "12.0f"), _unit("fp4.cu", "12.0f"))
    target = Target.parse("12.1a")
    comparison = Comparison(sibling, ((target, Target.parse("12.0f")),))
    _, tallies = compare(ours, (target,), [comparison], _CUDA_13)
    assert tallies[target.capability] == Tally(native=1, ptx=1, foreign=1, missing=1)


_TARGETS = st.sampled_from(sorted(_CUDA_13.targets))
_UNITS = st.builds(
    lambda name, targets, ptx: Unit("_C", name, ("x",), tuple(sorted(targets)), tuple(sorted(ptx))),
    st.sampled_from([f"{letter}.cu" for letter in "abcdef"]),
    st.sets(_TARGETS, max_size=3),
    st.sets(_TARGETS, max_size=2),
)
_CONFIGURATIONS = st.lists(_UNITS, max_size=6, unique_by=lambda unit: unit.source).map(
    lambda units: _configuration(*units)
)


@given(_CONFIGURATIONS, _TARGETS)
def test_a_list_loses_nothing_against_itself(ours: Configuration, target: Target) -> None:
    found, _ = compare(ours, (target,), [Comparison(ours, ((target, target),))], _CUDA_13)
    assert "source-lost" not in {one.rule for one in found}


@given(_CONFIGURATIONS, _CONFIGURATIONS, _TARGETS, _TARGETS)
def test_every_unit_is_in_one_state(
    ours: Configuration, theirs: Configuration, target: Target, other: Target
) -> None:
    _, tallies = compare(ours, (target,), [Comparison(theirs, ((target, other),))], _CUDA_13)
    tally = tallies[target.capability]
    assert tally.native + tally.ptx + tally.foreign <= len(ours.units)
    sources = {unit.source for unit in ours.units} | {unit.source for unit in theirs.units}
    assert tally.native + tally.ptx + tally.foreign + tally.missing <= len(sources)


@pytest.mark.parametrize("targets", ["12.0f", "12.0", "9.0a", "8.0"])
def test_reach_is_the_rule_of_coverage(targets: str) -> None:
    device = ComputeCapability(12, 1)
    expected = Reach.NATIVE if cubin_runs_on(Target.parse(targets), device) else Reach.NONE
    assert reach(_unit("a.cu", targets), device) is expected
    assert reach(_unit("a.cu", "8.0", "8.0"), device) is Reach.PTX
