"""What findings weigh for the devices that a variant requires, and which targets give way."""

from __future__ import annotations

from smforge.arch.requirement import parse_requirements
from smforge.arch.target import Target
from smforge.findings import Outcome
from smforge.preflight.compare.required import (
    required_devices,
    required_instead,
    with_devices_instead,
)
from smforge.preflight.records import Collapse, Configuration, Preflight, SourceIdentity


def _preflight(requested: str, collapsed: str = "") -> Preflight:
    targets = tuple(map(Target.parse, requested.split()))
    return Preflight(
        source=SourceIdentity("vllm", "0", f"sha256:{'0' * 64}"),
        configuration=Configuration(requested, "13.0", "2.14.0", (), (), ()),
        builds=(),
        requested=targets,
        collapsed=tuple(
            Collapse(one, (Target.parse("12.0f"),)) for one in targets if str(one) in collapsed
        ),
        baselines=(),
        devices={},
        upstream_lists=(),
        findings=(),
        outcome=Outcome.PASS,
    )


def test_a_target_that_all_sources_collapse_gives_way_to_its_device() -> None:
    requirements = parse_requirements(["12.0 12.1a"])
    preflight = _preflight("12.1a", collapsed="12.1a")
    instead = required_instead(requirements, [preflight.requested], [preflight])
    assert {str(one): str(device) for one, device in instead.items()} == {"12.1a": "12.1"}
    assert str(with_devices_instead(requirements, instead)) == "12.0 12.1"


def test_a_target_stays_required_as_long_as_one_component_compiles_it() -> None:
    requirements = parse_requirements(["12.1", "12.1a"])
    collapsing, compiling = _preflight("12.1a", collapsed="12.1a"), _preflight("12.1a")
    found = [collapsing, compiling]
    assert required_instead(requirements, [one.requested for one in found], found) == {}
    assert with_devices_instead(requirements, {}) == requirements


def test_a_target_stays_required_where_a_component_was_not_examined() -> None:
    requirements = parse_requirements(["12.1a"])
    collapsing = _preflight("12.1a", collapsed="12.1a")
    unexamined = (Target.parse("12.1a"),)
    assert required_instead(requirements, [collapsing.requested, unexamined], [collapsing]) == {}
    assert required_instead(requirements, [unexamined], []) == {}


def test_required_ptx_never_gives_way_to_machine_code() -> None:
    """Nothing is compiled as 12.0, whose device 12.0f serves; the audit still looks for the PTX."""
    preflight = _preflight("12.0", collapsed="12.0")
    requirements = parse_requirements(["compute_120"])
    assert required_instead(requirements, [preflight.requested], [preflight]) == {}


def test_the_devices_of_required_machine_code_must_lose_nothing_either() -> None:
    found = required_devices(parse_requirements(["9.0 12.1a compute_100"]))
    assert found is not None
    assert [str(one) for one in found] == ["9.0", "12.1"]
    assert required_devices(None) is None
