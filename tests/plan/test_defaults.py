"""The `variable` block of versions.json says what the default variant resolves to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from smforge.errors import ConfigurationError
from smforge.matrix.load import Matrix, load
from smforge.plan.block import render_block, renew_block
from smforge.plan.resolve import default_variables, resolve

ROOT = Path(__file__).parents[2]
VERSIONS = ROOT / "versions.json"


def test_the_block_is_the_default_variant_s(matrix: Matrix) -> None:
    text = VERSIONS.read_text()
    assert renew_block(text, default_variables(matrix)) == text, (
        "run python -m smforge.plan.defaults"
    )
    assert json.loads(text)["variable"]


def test_a_stale_block_is_refused_and_renewed(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    text = VERSIONS.read_text()
    file.write_text(text.replace('"VARIANT": {"default": "demo"}', '"VARIANT": {"default": "y"}'))
    with pytest.raises(ConfigurationError, match=r"\$\.variable\.VARIANT: 'y' is there") as caught:
        resolve(load(file), ["cu130"])
    assert caught.value.remedy == "Run python -m smforge.plan.defaults."
    subprocess.run([sys.executable, "-m", "smforge.plan.defaults", file], check=True, cwd=ROOT)
    assert file.read_text() == text


@pytest.mark.parametrize("extra", [True, False])
def test_a_variable_too_many_or_too_few_is_stale(tmp_path: Path, extra: bool) -> None:
    file = tmp_path / "m.json"
    content = json.loads(VERSIONS.read_text())
    if extra:
        content["variable"]["MORE"] = {"default": "1"}
    else:
        del content["variable"]["CUDA_TAG"]
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match="nothing"):
        resolve(load(file))


def test_a_matrix_may_do_without_the_block(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    content = json.loads(VERSIONS.read_text())
    del content["variable"]
    file.write_text(json.dumps(content))
    assert resolve(load(file)).cells


def test_a_block_is_json_whatever_it_says() -> None:
    block = render_block({"A": 'x"y\\1', "B": ""})
    assert json.loads("{" + block + "}") == {
        "variable": {"A": {"default": 'x"y\\1'}, "B": {"default": ""}}
    }
    text = '{\n  "variable": {\n    "A": {}\n  },\n  "z": 1\n}\n'
    assert json.loads(renew_block(text, {"A": "\\1"}))["variable"] == {"A": {"default": "\\1"}}


def test_a_block_that_is_not_found_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    content = json.loads(VERSIONS.read_text())
    content["variable"]["VARIANT"] = {"default": "y"}
    file.write_text(before := json.dumps(content, indent=1))
    done = subprocess.run(
        [sys.executable, "-m", "smforge.plan.defaults", file],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("smforge: The block `variable` is not indented by two spaces")
    assert "Traceback" not in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["m.json"]
    assert file.read_text() == before
