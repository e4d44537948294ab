"""A list that is divided into builds: what they compile together, and what each compiles."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smforge.arch.target import Target
from smforge.findings import Location
from smforge.preflight.builds import Build, merged, units_by_build
from smforge.preflight.records import Configuration, External, Refusal, Skip, Unit

_HERE = Location("CMakeLists.txt", 1)


def _unit(source: str, *targets: str, ptx: str = "") -> Unit:
    codes = tuple(sorted(map(Target.parse, targets)))
    return Unit("m", source, tuple(targets), codes, tuple(map(Target.parse, ptx.split())))


def _configuration(archs: str, *units: Unit, refusal: Refusal | None = None) -> Configuration:
    external = External("cutlass", None, None, _HERE)
    skip = Skip(f"Not building {archs}", _HERE)
    return Configuration(archs, "13.0", "2.14.0", units, (skip,), (external,), refusal)


def test_one_build_is_what_it_is() -> None:
    alone = _configuration("12.0f", _unit("a.cu", "12.0f"))
    assert merged([alone]) is alone


def test_a_source_has_the_targets_of_all_builds() -> None:
    both = merged(
        [
            _configuration("12.0f", _unit("b.cu", "12.0f", ptx="8.0"), _unit("f.cu", "12.0f")),
            _configuration("12.1a", _unit("a.cu", "12.1a"), _unit("b.cu", "12.1a")),
        ]
    )
    assert both.archs == "12.0f 12.1a"
    assert [(one.source, " ".join(map(str, one.targets))) for one in both.units] == [
        ("a.cu", "12.1a"),
        ("b.cu", "12.0f 12.1a"),
        ("f.cu", "12.0f"),
    ]
    assert [str(one) for one in both.units[1].ptx] == ["8.0"]
    assert both.units[1].gencode == ("12.0f", "12.1a")
    assert len(both.skips) == 2
    assert len(both.not_examined) == 1


def test_a_refusal_of_one_build_is_a_refusal() -> None:
    refusal = Refusal("no", None, by="sources")
    both = merged([_configuration("9.0a"), _configuration("12.0f", refusal=refusal)])
    assert both.refusal == Refusal("for 12.0f, no", None, by="sources")


@given(st.lists(st.sampled_from(["9.0a", "11.0a", "12.0f", "12.1a"]), min_size=1, unique=True))
def test_the_order_of_builds_decides_nothing_about_targets(archs: list[str]) -> None:
    one = merged([_configuration(arch, _unit("a.cu", arch)) for arch in archs])
    other = merged([_configuration(arch, _unit("a.cu", arch)) for arch in reversed(archs)])
    assert [unit.targets for unit in one.units] == [unit.targets for unit in other.units]


def test_units_go_by_the_name_of_their_build() -> None:
    configuration = _configuration("12.0f", _unit("a.cu", "12.0f"))
    (found,) = units_by_build([Build("flashinfer-sm120f", "12.0f")], [configuration])
    assert (found.build, found.units) == ("flashinfer-sm120f", configuration.units)
    assert units_by_build([], [configuration]) == ()
