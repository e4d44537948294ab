"""`smforge plan` as users run it: a process, its streams and its exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def smforge(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "builder"), "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [sys.executable, "-m", "smforge", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        check=False,
    )


def test_the_table_fits_100_columns_and_says_everything() -> None:
    done = smforge("plan", "demo", "cu130")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert all(len(line) <= 100 and line == line.rstrip() for line in lines)
    assert "\x1b" not in done.stdout
    for words in [
        "demo  linux/amd64",
        "CUDA 13.0.2 (cu130, PTX ISA 9.0, driver from 580.65.06), torch 2.14.0",
        "11.0 12.0 12.1",
        "0.7.2.post1, selection core, for 11.0a 12.0f 12.1a",
        "base flashinfer-sm110a flashinfer-sm120f flashinfer-sm121a flashinfer-shim",
        "FLASHINFER_ARCHS=11.0a 12.0f 12.1a",
        "cu130  linux/arm64",
        "docker/connectors/policy.toml",
        "flashinfer 12.0 is compiled as 12.0f",
    ]:
        assert words in done.stdout


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("overview", ()),
        ("variant", ("cu130-thor",)),
        ("rewritten", ("cu130",)),
        ("hashes", ("demo-full", "--hashes")),
    ],
)
def test_the_table_is_the_recorded_one(name: str, arguments: tuple[str, ...]) -> None:
    """RENEW_GOLDEN=1 records it anew; look at the difference before you commit it."""
    golden = Path(__file__).parent / "golden" / f"{name}.txt"
    matrix = Path(__file__).parent / "golden" / "versions.json"
    done = smforge("--config", str(matrix), "plan", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    if os.environ.get("RENEW_GOLDEN"):
        golden.write_text(done.stdout)
    assert done.stdout == golden.read_text()


def test_without_a_name_each_variant_has_one_line_and_with_one_everything_about_it() -> None:
    variants = list(json.loads((ROOT / "versions.json").read_text())["variants"])
    lines = smforge("plan").stdout.splitlines()
    assert [line.split()[0] for line in lines[1 : len(variants) + 1]] == variants
    assert all(len(line) <= 100 for line in lines)
    assert "smforge plan VARIANT" in lines[-1]
    assert smforge("plan", "demo").stdout.startswith("demo  linux/amd64\n  toolkit ")


def test_hashes_are_shown_only_where_they_are_asked_for() -> None:
    plain, whole = (smforge("plan", "demo-full", *more).stdout for more in ((), ("--hashes",)))
    hash_of_anything = re.compile(r"[0-9a-f]{64}")
    assert not hash_of_anything.search(plain)
    assert hash_of_anything.search(whole)
    assert "CONNECTORS=nixl-cu13==" in plain


def test_a_word_that_is_compiled_as_another_target_is_not_called_dropped() -> None:
    text = smforge("plan", "cu130").stdout
    assert "rewritten" in text
    assert "dropped" not in text
    (cell, *_) = json.loads(smforge("plan", "cu130", "-o", "json").stdout)["cells"]
    assert cell["dropped"] == []
    assert {
        "component": "flashinfer",
        "asked": "12.0",
        "compiled_as": ["12.0f"],
        "by": "list",
    } in cell["rewritten"]


def test_json_to_a_file_and_the_table_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    done = smforge("plan", "cu130-rtx", "-o", "table", "-o", f"json={file}")
    assert done.returncode == 0
    assert done.stdout.startswith("cu130-rtx  linux/amd64\n")
    (cell,) = json.loads(file.read_text())["cells"]
    assert cell["require"] == {"devices": ["12.0"], "targets": ["12.0f"]}


def test_all_variants_as_json() -> None:
    done = smforge("plan", "-o", "json")
    variants = json.loads((ROOT / "versions.json").read_text())["variants"]
    assert list(dict.fromkeys(c["variant"] for c in json.loads(done.stdout)["cells"])) == list(
        variants
    )


@pytest.mark.parametrize("where", ["before", "after"])
def test_another_matrix_may_be_named_before_or_after_the_command(
    tmp_path: Path, where: str
) -> None:
    file = tmp_path / "m.json"
    file.write_bytes((ROOT / "versions.json").read_bytes())
    option = ("--config", str(file))
    words = (*option, "plan", "demo") if where == "before" else ("plan", "demo", *option)
    assert smforge(*words, cwd=tmp_path).stdout.startswith("demo ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan", "dmeo"), "smforge: versions.json has no variant 'dmeo'. Did you mean demo?\n"),
        (("plan", "-o", "yaml"), "'yaml' is not one of table, json."),
        (("plan", "-o", "json", "-o", "table"), "smforge: Two outputs go to standard output."),
        (("plan", "--config", "no.json"), "smforge: There is no no.json."),
        (("plan", "-o", "json=/nowhere/x.json"), "smforge: Cannot write /nowhere/x.json:"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    done = smforge(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_every_problem_of_a_matrix_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    content = json.loads((ROOT / "versions.json").read_text())
    for name in ("cu130-thor", "cu130-spark"):
        content["variants"][name] |= {"toolkit": "12.9", "base": "registry"}
        del content["variants"][name]["image"]
    file.write_text(json.dumps(content))
    done = smforge("plan", "--config", str(file))
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    thor = [line for line in lines if ".cu130-thor." in line]
    assert len(thor) == 3
    assert all(line.startswith(f"smforge: {file}: $.variants.cu130-thor.") for line in thor)
    assert all("sm_101" in line for line in thor)


def test_the_plan_does_not_import_what_it_does_not_need() -> None:
    """Half a second for the process is kept by importing little."""
    code = (
        "import sys; from smforge.cli.main import _exit_code; _exit_code(['plan', '-o', 'json']);"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    imported = set(done.stderr.split())
    assert "pydantic" in imported
    assert not imported & {"python_on_whales", "jsonschema", "rich.table", "smforge.inventory"}
