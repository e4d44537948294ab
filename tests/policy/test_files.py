"""Policy files: what is accepted, what is refused and where."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from smforge.errors import ConfigurationError
from smforge.policy.files import FOLDER, load_policy, shipped_for_kernels, shipped_policies

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
    plain.write_text(json.dumps(tomllib.loads(GOOD), default=str))
    assert load_policy(plain) == policy
    assert str(policy.requirements) == "11.0 12.0f"
    (excuse,) = policy.kernels
    assert excuse.policy == "release gate"
    assert excuse.pattern == "*marlin::Marlin<* in vllm/_C*.so"
    assert [str(target) for target in excuse.targets] == ["7.5", "10.0?", "12.0f"]
    assert excuse.states == ("missing",)
    assert str(excuse.expires) == "2027-01-31"


def test_an_allowance_of_a_source_is_for_preflight(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(
        '[[allow]]\nsource = "fp4_120/*"\ndevices = ["12.1"]\nreason = "made for 12.0 itself"\n'
        '[[allow]]\nkernel = "x"\nreason = "long enough"\n'
    )
    policy = load_policy(file)
    assert [one.kernel for one in policy.kernels] == ["x"]
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
        assert not policy.requirements
        for excuse in policy.excuses:
            assert excuse.reference, f"{policy.name}: {excuse.pattern}"
    checked = [replace(one, shipped=True) for each in policies for one in each.excuses]
    assert [one for each in shipped_policies() for one in each.excuses] == checked
    assert shipped_for_kernels() == tuple(one for one in checked if one.for_kernels)


@pytest.mark.parametrize("require", ['[""]', "[]", '[","]', '["12.1", " "]'])
def test_a_gate_that_requires_nothing_is_refused(tmp_path: Path, require: str) -> None:
    """An empty variable in a pipeline must not turn a gate into one that passes everything."""
    path = tmp_path / "gate.toml"
    path.write_text(f'name = "gate"\nrequire = {require}\n')
    with pytest.raises(ConfigurationError, match=r"\$\.require: .*names no device and no target"):
        load_policy(path)


def test_a_word_that_is_no_requirement_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    path.write_text('require = ["12.1", "blackwell"]')
    with pytest.raises(ConfigurationError, match=r"\$\.require: 'blackwell' is neither"):
        load_policy(path)


def test_a_policy_without_requirements_requires_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    path.write_text("native = true")
    assert not load_policy(path).requirements


def test_a_named_pipe_is_no_policy(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "policy.toml")
    with pytest.raises(ConfigurationError, match="not a regular file"):
        load_policy(tmp_path / "policy.toml")
