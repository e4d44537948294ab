"""Policy files: what is accepted, what is refused and where."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from smforge.errors import ConfigurationError
from smforge.policy.files import load_policy
from smforge.policy.shipped import FOLDER, shipped_exemptions

GOOD = """
name = "release gate"
require = ["11.0", "12.0f"]
native = true

[[allow]]
kernel = "*marlin::Marlin<*"
file = "vllm/_C*.so"
devices = ["11.0"]
targets = ["7.5", "10.0?", "12.0f"]
states = ["missing"]
reason = "made for Ampere alone"
reference = "csrc/marlin.cu, line 3"
expires = 2027-01-31
"""


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    toml, plain = tmp_path / "p.toml", tmp_path / "p.json"
    toml.write_text(GOOD)
    policy = load_policy(toml)
    plain.write_text(policy.model_dump_json())
    assert load_policy(plain) == policy
    assert str(policy.requirements()) == "11.0 12.0f"
    (exemption,) = policy.exemptions()
    assert exemption.policy == "release gate"
    assert exemption.pattern == "*marlin::Marlin<* in vllm/_C*.so"
    assert [str(target) for target in exemption.targets] == ["7.5", "10.0?", "12.0f"]
    assert exemption.states == ("missing",)
    assert str(exemption.expires) == "2027-01-31"


def test_an_allowance_of_a_source_is_for_preflight(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(
        '[[allow]]\nsource = "fp4_120/*"\ndevices = ["12.1"]\nreason = "made for 12.0 itself"\n'
        '[[allow]]\nkernel = "x"\nreason = "long enough"\n'
    )
    policy = load_policy(file)
    assert [one.kernel for one in policy.exemptions()] == ["x"]
    assert [one.source for one in policy.sources] == ["fp4_120/*"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[[allow]]\nkernel = "x"', "$.allow[0].reason"),
        ('[[allow]]\nkernel = "x"\nreason = "no"', "$.allow[0].reason"),
        (
            '[[allow]]\nkernel = "x"\nreason = "long enough"\nstates = ["foreign"]',
            "$.allow[0].states[0]",
        ),
        ('[[allow]]\nkernel = "x"\nreason = "long enough"\nstates = []', "$.allow[0].states"),
        ('[[allow]]\nreason = "a reason that names nothing"', "names a kernel, a file or a source"),
        ('[[allow]]\nkernel = "x"\nreason = "long enough"\nspeling = 1', "$.allow[0].speling"),
        (
            '[[allow]]\nkernel = "x"\nreason = "long enough"\ntargets = ["sm_75"]',
            "$.allow[0].targets[0]",
        ),
        ("speling = 1", "$.speling"),
        ("schema_version = 2", "$.schema_version"),
        ('require = "11.0"', "$.require"),
        ("name = ", "not valid TOML"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_policy(path)
    assert place in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_policy(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        load_policy(tmp_path / "bytes.toml")


def test_the_name_of_the_file_is_the_name_of_the_policy(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps({"allow": []}))
    assert load_policy(tmp_path / "mine.json").name == "mine.json"


def test_shipped_policies_are_whole_and_read_as_any_other() -> None:
    policies = [load_policy(path) for path in sorted(FOLDER.glob("*.toml"))]
    for policy in policies:
        assert not policy.require
        for allowance in policy.allow:
            assert allowance.reference, f"{policy.name}: {allowance.kernel or allowance.file}"
    validated = [replace(one, shipped=True) for each in policies for one in each.exemptions()]
    assert shipped_exemptions() == tuple(validated)
