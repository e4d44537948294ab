"""What is a loss and what is not: judgements of configurations made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.coverage import cubin_runs_on
from smforge.arch.devices import current_devices
from smforge.arch.grammar.torch_list import TorchEntry
from smforge.arch.requirement import Requirements, parse_requirements
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.arch.toolkits import toolkit
from smforge.findings import Finding, Level, Location, Tally
from smforge.policy.excuses import Excuse
from smforge.preflight.compare.baselines import Baseline, Kind, baselines_of
from smforge.preflight.compare.judge import Case, Judgement, judge
from smforge.preflight.compare.losses import (
    Comparison,
    Reach,
    Subject,
    losses_of,
    reach,
    subjects_of,
)
from smforge.preflight.compare.required import required_devices
from smforge.preflight.compare.trials import Archs
from smforge.preflight.probe.torch_flags import parse
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


def _made(archs: str, sources: str) -> Configuration:
    """``a.cu 12.1a; m.cu 8.0 +8.0``: sources with their machine code, and PTX after a plus."""
    units = []
    for text in filter(None, sources.split("; ")):
        name, *codes = text.split()
        binary = " ".join(one for one in codes if not one.startswith("+"))
        ptx = " ".join(one[1:] for one in codes if one.startswith("+"))
        units.append(_unit(name, binary, ptx))
    return _configuration(*units, archs=archs)


def _spell(device: ComputeCapability) -> tuple[Target, ...]:
    both = (Target(device), Target(device, Suffix.ARCH_SPECIFIC))
    return tuple(one for one in both if _CUDA_13.knows(one))


def _judge(
    made: Mapping[str, str | Configuration],
    require: str | None = None,
    excuses: Sequence[Excuse] = (),
    cuda: str = "13.0",
) -> Judgement:
    """Judge the first list; the others are what is known of other lists."""
    known = {
        parse(archs): one if isinstance(one, Configuration) else _made(archs, one)
        for archs, one in made.items()
    }
    archs, ours = next(iter(known.items()))
    required = None if require is None else parse_requirements([require])
    release = toolkit(cuda)
    subjects = subjects_of((one.target for one in archs), required_devices(required))
    comparisons = {
        one.device: [
            Comparison(baseline, known[baseline.archs])
            for baseline in baselines_of(one.device, one.asked, release, _spell)
            if baseline.archs in known
        ]
        for one in subjects
    }

    def configure(lists: Iterable[Archs]) -> dict[Archs, Configuration]:
        return {one: known[one] for one in lists if one in known}

    case = Case(ours, archs, comparisons, release, required=required, excuses=excuses)
    return judge(case, configure)


def _findings(
    made: Mapping[str, str | Configuration],
    require: str | None = None,
    excuses: Sequence[Excuse] = (),
    cuda: str = "13.0",
) -> dict[str, Finding]:
    found = _judge(made, require, excuses, cuda).findings
    assert len({one.rule for one in found}) == len(found), "each rule once in these cases"
    return {one.rule: one for one in found}


def test_a_source_that_the_sibling_gets_is_lost() -> None:
    lost = _findings(
        {
            "12.1a": "a.cu 12.1a",
            "12.0f": "a.cu 12.0f; fp4.cu 12.0f",
        }
    )["source-lost"]
    assert lost.level is Level.ERROR
    assert lost.sources == ("fp4.cu",)
    assert lost.location == _HERE
    assert lost.remedy is not None
    assert "Ask for 12.0f in place of 12.1a: it was tried" in lost.remedy


def test_the_remedy_does_not_promise_code_that_would_not_run() -> None:
    made = {"12.1a": "a.cu 12.1a", "12.0f": "a.cu 12.0f; fp4.cu 12.0a"}
    lost = _findings(made)["source-lost"]
    assert lost.remedy is not None
    assert "Ask for" not in lost.remedy


def test_the_remedy_does_not_take_from_another_device_of_the_list() -> None:
    lost = _findings(
        {
            "9.0a 12.1a": "a.cu 9.0a 12.1a",
            "12.0f": "a.cu 12.0f; fp4.cu 12.0f",
            "9.0a 12.0f": "a.cu 12.0f; fp4.cu 12.0f",
        }
    )["source-lost"]
    assert lost.remedy is not None
    assert "Ask for" not in lost.remedy


def test_a_source_compiled_for_the_sibling_alone_is_lost_and_said_so() -> None:
    both = "a.cu 12.0; fp4.cu 9.0a 12.0a"
    lost = _findings({"12.1a": both, "12.0f": both})["source-lost"]
    assert "compiled for 12.0a instead of 12.1a, which 12.1 cannot run" in lost.message


def test_a_source_made_for_other_devices_is_not_lost() -> None:
    made = {
        "12.1a": "a.cu 9.0a 12.1a; machete.cu 9.0a",
        "12.0f": "a.cu 9.0a 12.0f; machete.cu 9.0a",
    }
    assert "source-lost" not in _findings(made)
    (device,) = _judge(made).devices
    assert (device.tally.foreign, device.lists) == (1, ("12.0f",))


def test_machine_code_that_becomes_ptx_is_lost() -> None:
    made = {"12.1a": "a.cu 12.1a; m.cu 8.0 +8.0", "12.0f": "a.cu 12.0f; m.cu 12.0f"}
    assert _findings(made)["source-ptx-only"].level is Level.ERROR


def test_ptx_for_the_sibling_as_well_is_a_warning() -> None:
    made = {"12.1a": "a.cu 12.1a; m.cu 8.0 +8.0", "12.0f": "a.cu 12.0f; m.cu 8.0 +8.0"}
    assert _findings(made)["source-ptx-only"].level is Level.WARNING


def test_an_excuse_turns_a_loss_into_a_note_that_gives_the_reason() -> None:
    made = {"12.1a": "a.cu 12.1a", "12.0f": "a.cu 12.0f; x/fp4.cu 12.0f"}
    excuse = Excuse("not used here", "test", source="x/*")
    lost = _findings(made, excuses=[excuse])["source-lost"]
    assert (lost.level, lost.excused) == (Level.NOTE, "not used here")


def test_a_requested_target_that_is_compiled_as_another_is_said() -> None:
    collapsed = _findings({"12.1a": "a.cu 12.0f; b.cu 12.0"})["arch-collapsed"]
    assert collapsed.level is Level.NOTE
    assert "12.0f in 1 source" in collapsed.message


def test_a_requested_target_that_nothing_serves_is_dropped() -> None:
    found = _findings({"12.1a": "a.cu 9.0a; m.cu 8.0 +8.0"})
    assert found["arch-dropped"].level is Level.ERROR


def test_a_required_device_that_gets_nothing_is_one_error() -> None:
    """vLLM 0.26.0, `10.0 10.0a` with 10.3 required: everything is 10.0a."""
    sources = "; ".join(f"s{number}.cu 10.0a" for number in range(20))
    made = {
        "10.0 10.0a": sources,
        "10.3": sources.replace("10.0a", "10.3"),
        "10.0f": sources.replace("10.0a", "10.0f"),
    }
    found = _judge(made, require="10.3").findings
    errors = [one for one in found if one.level is Level.ERROR]
    assert [(one.rule, str(one.device)) for one in errors] == [("arch-dropped", "10.3")]
    assert "20 sources that it could have are compiled for 10.0a" in errors[0].message
    assert not any(one.level is Level.ERROR for one in _judge(made, require="10.0").findings)


def test_a_device_without_code_is_excused_only_where_all_that_it_loses_is() -> None:
    made = {"10.0a": "a.cu 10.0a; b.cu 10.0a", "10.3": "a.cu 10.3; b.cu 10.3"}

    def dropped(*sources: str) -> Finding:
        excuses = [Excuse("not used there", "test", source=one) for one in sources]
        return _findings(made, require="10.3", excuses=excuses)["arch-dropped"]

    assert dropped("a.cu").level is Level.ERROR
    assert dropped("a.cu", "b.cu").level is Level.NOTE
    assert dropped("a.cu", "b.cu").excused == "not used there"


def test_a_required_device_that_the_list_leaves_to_ptx_is_not_an_error() -> None:
    """As the audit has it: PTX that the driver can assemble is code that runs."""
    made = {"8.0+PTX": "a.cu 8.0 +8.0", "9.0": "a.cu 9.0"}
    found = _findings(made, require="8.0 9.0")
    assert found["source-ptx-only"].level is Level.WARNING
    assert str(found["source-ptx-only"].device) == "9.0"


def test_a_required_device_of_the_family_is_judged_by_itself() -> None:
    made = {"12.0f": "a.cu 12.0f", "12.1a": "a.cu 12.1a; own.cu 12.1a"}
    lost = _findings(made, require="12.0 12.1")["source-lost"]
    assert (lost.level, str(lost.device)) == (Level.ERROR, "12.1")
    assert "source-lost" not in _findings(made, require="12.0")


def test_what_only_a_device_that_is_not_required_loses_is_a_warning() -> None:
    made = {"9.0a 12.1a": "a.cu 9.0a 12.1a", "12.0f": "a.cu 12.0f; fp4.cu 12.0f"}
    lost = _findings(made, require="9.0")["source-lost"]
    assert lost.level is Level.WARNING
    assert lost.message.endswith("12.1 is not required.")


@pytest.mark.parametrize("device", ["8.7", "8.9"])
def test_a_device_without_a_family_is_compared_with_the_earlier_ones(device: str) -> None:
    """vLLM 0.33.0 for 8.7 compiles one source for 8.6, whose code is not promised to run there."""
    made = {
        device: f"a.cu {device}; gdn.cu 9.0a; own.cu 9.0a",
        "8.0": "a.cu 8.0; gdn.cu 8.0; own.cu 9.0a",
        "8.6": "a.cu 8.6; gdn.cu 8.6; own.cu 9.0a",
    }
    judgement = _judge(made)
    (lost,) = [one for one in judgement.findings if one.level is Level.ERROR]
    assert (lost.rule, lost.sources) == ("source-lost", ("gdn.cu",))
    assert judgement.devices[0].lists == ("8.0", "8.6")


def test_ptx_in_place_of_an_earlier_devices_machine_code_is_a_warning() -> None:
    found = _findings({"8.7": "a.cu 8.7; m.cu 8.0 +8.0", "8.0": "a.cu 8.0; m.cu 8.0"})
    assert found["source-ptx-only"].level is Level.WARNING


def test_what_another_member_of_the_list_takes_away_is_lost() -> None:
    """vLLM 0.32.0: with 10.0f in the list QuTLASS is not compiled for 12.0."""
    made = {
        "10.0f 12.0f": "a.cu 10.0f 12.0f; q.cu 10.0f",
        "12.0f": "a.cu 12.0f; q.cu 12.0f",
        "10.0f": "a.cu 10.0f; q.cu 10.0f",
    }
    lost = _findings(made)["source-lost"]
    assert (lost.level, str(lost.device), lost.sources) == (Level.ERROR, "12.0", ("q.cu",))
    assert "that 12.0f gets alone is not compiled for 12.0f beside 10.0f" in lost.message
    assert lost.remedy == "Build 12.0f apart from 10.0f, or excuse the loss."


def test_one_target_in_place_of_another_is_one_cause_however_many_lines_it_has() -> None:
    sources = [f"s{number}.cu 10.0a" for number in range(16)]
    units = [
        Unit("_C", f"s{number}.cu", (), (Target.parse("10.0a"),), (), Location("CMakeLists.txt", n))
        for number, n in enumerate(range(100, 116))
    ]
    ours = _configuration(*units, _unit("own.cu", "10.3a"), archs="10.0a 10.3a")
    alone = "; ".join(sources).replace("10.0a", "10.3a")
    found = _findings({"10.0a 10.3a": ours, "10.3a": f"{alone}; own.cu 10.3a"})
    assert len(found["source-lost"].sources) == 16


def test_the_same_cause_on_two_devices_is_one_finding() -> None:
    made = {
        "9.0a 10.0a 12.0a": "a.cu 9.0a 10.0a 12.0a; q.cu 9.0a",
        "10.0f": "a.cu 10.0f; q.cu 10.0f",
        "12.0f": "a.cu 12.0f; q.cu 12.0f",
    }
    lost = _findings(made)["source-lost"]
    assert [str(one) for one in lost.devices] == ["10.0", "12.0"]
    assert lost.message.endswith("The same holds for 12.0.")


def test_ptx_that_the_list_asks_for_and_no_source_gets_is_said() -> None:
    made = {"12.0+PTX": "a.cu 12.0; m.cu 8.0 +8.0"}
    assert _findings(made)["ptx-dropped"].level is Level.ERROR
    assert _findings(made, require="12.0")["ptx-dropped"].level is Level.WARNING
    assert "ptx-dropped" not in _findings({"12.0+PTX": "a.cu 12.0 +12.0"})


@pytest.mark.parametrize(
    ("required", "compiled", "missing"),
    [
        ("compute_120", "a.cu 12.0", True),
        ("compute_120", "a.cu 12.0; b.cu 12.0 +12.0", False),
        ("sm_120", "a.cu 12.0", False),
        ("sm_120", "a.cu 12.0f", True),
        ("12.0f", "a.cu 12.0f", False),
        ("12.1a", "a.cu 12.0f", True),
    ],
)
def test_required_targets_are_held_to_the_words_of_the_audit(
    required: str, compiled: str, missing: bool
) -> None:
    found = _judge({"12.0": compiled}, require=f"12.0 {required}").findings
    errors = {one.rule for one in found if one.level is Level.ERROR}
    assert ("target-missing" in errors) is missing


def test_a_family_request_that_serves_one_device_is_narrowed() -> None:
    narrowed = _findings({"12.0f": "a.cu 12.0f; q.cu 12.0a"})["family-narrowed"]
    assert (narrowed.level, narrowed.sources) == (Level.WARNING, ("q.cu",))
    assert narrowed.device == ComputeCapability(12, 1)


def test_narrowed_sources_are_told_in_an_order_of_their_own() -> None:
    names = [f"{letter}.cu" for letter in "hgfedcba"]
    excuses = [Excuse(f"Reason of {name}", "test", source=name) for name in names]
    made = {"12.0f": "; ".join(f"{name} 12.0a" for name in names)}
    found = _judge(made, excuses=excuses).findings
    narrowed = [one.sources for one in found if one.rule == "family-narrowed"]
    assert narrowed == [(name,) for name in sorted(names)]


def test_a_target_that_the_toolkit_lacks_is_an_error_and_the_only_one_about_it() -> None:
    found = _findings({"9.0 11.0": "a.cu 9.0"}, cuda="12.9")
    assert found["toolkit-lacks-target"].level is Level.ERROR
    assert "arch-dropped" not in found
    found = _findings({"11.0": "a.cu 11.0"}, cuda="12.9")
    assert found["compiler-refuses-target"].sources == ("a.cu",)


def test_a_refused_build_says_why_and_tells_nothing_else() -> None:
    refusal = Refusal("No supported CUDA architectures.", _HERE, "sources")
    refused = Configuration("11.0", "13.0", "2.14.0", (), (), (), refusal)
    judgement = _judge({"11.0": refused})
    assert [one.rule for one in judgement.findings] == ["build-refused"]
    assert judgement.devices == ()


def test_a_baseline_that_is_refused_compares_nothing_and_says_so() -> None:
    refusal = Refusal("No.", None, "torch")
    refused = Configuration("12.0f", "13.0", "2.8.0", (), (), (), refusal)
    ours = _made("12.1a", "a.cu 12.1a")
    subject = Subject(ComputeCapability(12, 1), (Target.parse("12.1a"),), required=True)
    baseline = Baseline(parse("12.0f"), Target.parse("12.0f"), Kind.FAMILY)
    comparisons = {subject.device: [Comparison(baseline, refused)]}
    found = judge(Case(ours, parse("12.1a"), comparisons, _CUDA_13), lambda _lists: {}).findings
    levels = {one.rule: one.level for one in found}
    assert levels["baseline-refused"] is Level.NOTE
    assert levels["not-compared"] is Level.WARNING


def test_external_projects_are_not_passed_over_and_are_one_finding() -> None:
    externals = tuple(
        External(name, "https://example.invalid", "1", _HERE, named_sources=number)
        for name, number in (("mla", 2), ("cutlass", 0))
    )
    ours = Configuration("12.1a", "13.0", "2.14.0", (_unit("a.cu", "12.1a"),), (), externals)
    message = _findings({"12.1a": ours})["not-examined"].message
    assert "mla and cutlass were not examined" in message
    assert "2 sources of mla are among the units" in message


def test_a_source_without_flags_is_said() -> None:
    unit = Unit("_C", "a.cu", (), (Target.parse("7.5"),), (Target.parse("7.5"),))
    ours = _configuration(unit, _unit("b.cu", "12.1a"))
    assert _findings({"12.1a": ours})["arch-by-default"].sources == ("a.cu",)


def test_tallies_count_units_per_device() -> None:
    (device,) = _judge(
        {
            "12.1a": "a.cu 9.0a 12.1a; h.cu 9.0a; m.cu 8.0 +8.0",
            "12.0f": "a.cu 12.0f; fp4.cu 12.0f",
        }
    ).devices
    assert device.tally == Tally(native=1, ptx=1, foreign=1, missing=1)


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
    subject = Subject(target.capability, (target,), required=True)
    itself = Comparison(Baseline((), target, Kind.ALONE), ours)
    assert losses_of(ours, subject, [itself]).losses == {}


@given(_CONFIGURATIONS, _CONFIGURATIONS, _TARGETS, _TARGETS)
def test_every_unit_is_in_one_state(
    ours: Configuration, theirs: Configuration, target: Target, other: Target
) -> None:
    subject = Subject(target.capability, (target,), required=True)
    tally = losses_of(ours, subject, [Comparison(Baseline((), other, Kind.NAMED), theirs)]).tally
    assert tally.native + tally.ptx + tally.foreign <= len(ours.units)
    sources = {unit.source for unit in ours.units} | {unit.source for unit in theirs.units}
    assert tally.native + tally.ptx + tally.foreign + tally.missing <= len(sources)


@given(
    st.lists(_TARGETS, min_size=1, max_size=4, unique=True),
    st.none() | st.lists(st.sampled_from(current_devices()), min_size=1, max_size=3, unique=True),
    st.lists(_CONFIGURATIONS, min_size=2, max_size=5),
)
def test_whatever_the_sources_make_no_required_device_without_code_passes(
    targets: list[Target],
    devices: list[ComputeCapability] | None,
    pool: list[Configuration],
) -> None:
    """Any list, with sources that do as they like for every other list that is tried."""
    archs = tuple(TorchEntry(one) for one in targets)
    required = None if devices is None else Requirements(tuple(devices))

    def make(lists: Iterable[Archs]) -> dict[Archs, Configuration]:
        return {one: pool[len(str(one)) % len(pool)] for one in lists}

    ours = pool[0]
    subjects = subjects_of(targets, devices)
    comparisons = {
        one.device: [
            Comparison(baseline, make([baseline.archs])[baseline.archs])
            for baseline in baselines_of(one.device, one.asked, _CUDA_13, _spell)
        ]
        for one in subjects
    }
    found = judge(Case(ours, archs, comparisons, _CUDA_13, required=required), make)
    errors = [one for one in found.findings if one.level is Level.ERROR]
    for one in found.devices:
        device = one.subject.device
        about = [each for each in errors if device in {each.device, *each.devices}]
        reached = any(reach(unit, device) is not Reach.NONE for unit in ours.units)
        if one.subject.required and not reached:
            assert about
        if one.subject.required and any(loss.now is Reach.NONE for loss in one.losses.values()):
            assert about
        if not one.subject.required:
            assert all(each.rule in {"toolkit-lacks-target", "ptx-dropped"} for each in about)
    for finding in found.findings:
        said = finding.remedy or ""
        assert not any(f"{one} in place of {one}:" in said for one in targets)


@pytest.mark.parametrize("targets", ["12.0f", "12.0", "9.0a", "8.0"])
def test_reach_is_the_rule_of_coverage(targets: str) -> None:
    device = ComputeCapability(12, 1)
    expected = Reach.NATIVE if cubin_runs_on(Target.parse(targets), device) else Reach.NONE
    assert reach(_unit("a.cu", targets), device) is expected
    assert reach(_unit("a.cu", "8.0", "8.0"), device) is Reach.PTX
