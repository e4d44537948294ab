"""What findings weigh for the devices that a variant requires, and which targets give way."""

from __future__ import annotations

from smforge.arch.requirement import parse_requirements
from smforge.arch.target import ComputeCapability, Target
from smforge.findings import Finding, Level, Outcome
from smforge.preflight.compare.required import required_instead, weighed, with_devices_instead
from smforge.preflight.records import Collapse, Configuration, Preflight, SourceIdentity

LOST = Finding("source-lost", Level.ERROR, "Lost.", device=ComputeCapability(12, 1))
NARROWED = Finding("family-narrowed", Level.WARNING, "Narrow.", device=ComputeCapability(12, 1))
ALLOWED = Finding("family-narrowed", Level.NOTE, "Narrow.", device=ComputeCapability(12, 1))
REFUSED = Finding("build-refused", Level.ERROR, "Refused.")


def _levels(finding: Finding, required: str, requested: str) -> list[Level]:
    devices = [ComputeCapability.parse(one) for one in required.split()]
    targets = [Target.parse(one) for one in requested.split()]
    return [one.level for one in weighed([finding], devices, targets)]


def test_what_only_other_devices_lose_is_a_warning() -> None:
    assert _levels(LOST, "12.1", "12.1a") == [Level.ERROR]
    assert _levels(LOST, "12.0", "12.1a") == [Level.WARNING]
    assert _levels(REFUSED, "12.0", "12.1a") == [Level.ERROR]


def test_what_a_family_does_not_give_a_required_device_is_an_error() -> None:
    assert _levels(NARROWED, "12.0 12.1", "12.0f") == [Level.ERROR]
    assert _levels(NARROWED, "12.0", "12.0f") == [Level.WARNING]
    # The list asks for the device itself, so that its own losses say it.
    assert _levels(NARROWED, "12.0 12.1", "12.0f 12.1a") == [Level.WARNING]
    assert _levels(ALLOWED, "12.0 12.1", "12.0f") == [Level.NOTE]


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
