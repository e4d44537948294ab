"""The action: every command of action.yml with a real bash, in a folder without a checkout."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ci.conftest import ACTION, ROOT, check_schema, zizmor
from tests.ci.github_steps import EXPRESSION, Steps, with_commands

STEPS = ACTION["runs"]["steps"]
COMMANDS = with_commands(STEPS)
PINS = re.findall(r"@([0-9a-f]{40})", (ROOT / "action.yml").read_text())

needs_packages = pytest.mark.network


@pytest.fixture
def act(
    runner: Path, checkout: Path, dist: Path, tmp_path: Path
) -> Callable[..., tuple[int, Steps]]:
    """``act(require="12.0")`` uses the action; the result is the exit code and the steps."""

    def act(workspace: Path = dist, **inputs: str) -> tuple[int, Steps]:
        given = {name: str(one.get("default", "")) for name, one in ACTION["inputs"].items()}
        given |= {"subjects": "dist/*.whl"} | inputs
        home = tmp_path / "home"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        (home / "temp").symlink_to(runner / "temp")
        values = {f"inputs.{name}": text for name, text in given.items()}
        steps = Steps(home, workspace, {**values, "github.action_path": str(checkout)})
        codes = [steps.run(step) for step in COMMANDS]
        assert codes[0] == 0, steps.said
        assert len(codes) == 2
        return codes[1], steps

    return act


def output(steps: Steps, name: str) -> str:
    return steps.value(ACTION["outputs"][name]["value"])


@needs_packages
@pytest.mark.toolchain
def test_a_wheel_that_covers_the_device_passes(act: Callable[..., tuple[int, Steps]]) -> None:
    code, steps = act(require="12.0")
    assert code == 0, steps.said
    assert (output(steps, "verdict"), output(steps, "missing")) == ("pass", "")
    report = Path(output(steps, "report"))
    assert json.loads(report.read_text())["verdict"] == "pass"
    kept = sorted(path.name for path in report.parent.iterdir())
    assert kept == ["audit.html", "audit.json", "audit.sarif", "audit.xml", "summary.md"]
    assert steps.summary.read_text() == (report.parent / "summary.md").read_text()
    assert steps.summary.read_text().startswith("## ✅ norm-1.0-")


@needs_packages
@pytest.mark.toolchain
def test_a_wheel_that_lacks_a_device_fails_and_names_it(
    act: Callable[..., tuple[int, Steps]],
) -> None:
    code, steps = act(require="12.0 9.0 h200")
    assert code == 1, steps.said
    assert (output(steps, "verdict"), output(steps, "missing")) == ("fail", "9.0")
    assert "Does not cover" in steps.summary.read_text()
    assert Path(output(steps, "report")).is_file()


@needs_packages
@pytest.mark.toolchain
def test_nothing_required_is_no_pass(act: Callable[..., tuple[int, Steps]]) -> None:
    code, steps = act(require="")
    assert code == 2
    assert (output(steps, "verdict"), output(steps, "missing")) == ("nothing-required", "unknown")
    assert "::error::Nothing was required" in steps.said[-1]


@needs_packages
@pytest.mark.toolchain
@pytest.mark.parametrize("subjects", ["dist/*.zip", "gone.whl", "dist/*.whl\ngone.whl", "--help"])
def test_a_subject_that_is_not_there_is_no_pass(
    act: Callable[..., tuple[int, Steps]], subjects: str
) -> None:
    code, steps = act(require="12.0", subjects=subjects)
    assert code not in {0, 1}, steps.said
    assert (output(steps, "verdict"), output(steps, "missing")) == ("undetermined", "unknown")


@needs_packages
@pytest.mark.toolchain
def test_a_file_that_is_no_wheel_is_undetermined(
    act: Callable[..., tuple[int, Steps]], dist: Path, tmp_path: Path
) -> None:
    (tmp_path / "dist").mkdir()
    (whole,) = dist.glob("dist/*.whl")
    (tmp_path / "dist" / "torn.whl").write_bytes(whole.read_bytes()[:2000])
    code, steps = act(require="12.0", subjects="dist/torn.whl", workspace=tmp_path)
    assert code == 4, steps.said
    assert (output(steps, "verdict"), output(steps, "missing")) == ("undetermined", "unknown")


@needs_packages
@pytest.mark.toolchain
def test_policies_and_arguments_come_one_a_line(
    act: Callable[..., tuple[int, Steps]], tmp_path: Path, dist: Path
) -> None:
    shutil.copytree(dist / "dist", tmp_path / "dist")
    (tmp_path / "our gate.toml").write_text('schema_version = 1\nrequire = ["9.0"]\n')
    lines = "\n  our gate.toml  \n\n"
    code, steps = act(policy=lines, args="--native\n--driver=580.65.06", workspace=tmp_path)
    report = json.loads(Path(output(steps, "report")).read_text())
    question = {"requirements": ["9.0"], "driver": "580.65.06", "native_only": True}
    assert (code, report["question"]) == (1, question)


@needs_packages
@pytest.mark.toolchain
def test_inputs_are_text_and_no_commands(
    act: Callable[..., tuple[int, Steps]], dist: Path, tmp_path: Path
) -> None:
    shutil.copytree(dist / "dist", tmp_path / "dist")
    wild = "$(touch stolen) `touch stolen` ; touch stolen & \"'"
    for inputs in (
        {"require": wild},
        {"subjects": f"dist/*.whl\n{wild}"},
        {"policy": wild},
        {"args": wild},
    ):
        code, _ = act(**{"require": "12.0", "workspace": tmp_path, **inputs})
        assert code != 0
        assert not (tmp_path / "stolen").exists()


@needs_packages
@pytest.mark.toolchain
def test_names_in_a_subject_are_no_commands_to_the_runner(
    act: Callable[..., tuple[int, Steps]], dist: Path, tmp_path: Path
) -> None:
    (wheel,) = dist.glob("dist/*.whl")
    (tmp_path / "dist").mkdir()
    with (
        zipfile.ZipFile(wheel) as before,
        zipfile.ZipFile(tmp_path / "dist" / wheel.name, "w") as after,
    ):
        after.writestr("::error::spoofed.so", before.read("norm/norm.so"))
    code, steps = act(require="12.0 9.0", workspace=tmp_path)
    assert code == 1
    lines = steps.said[-1].splitlines()
    (start,) = (line for line in lines if line.startswith("::stop-commands::"))
    token = start.removeprefix("::stop-commands::")
    assert len(token) > len("smforge-audit-")
    inside = lines[lines.index(start) + 1 : lines.index(f"::{token}::")]
    assert any(line.startswith("::error::spoofed.so") for line in inside)
    outside = set(lines) - set(inside) - {start, f"::{token}::"}
    assert not any(line.startswith("::") for line in outside)


@needs_packages
@pytest.mark.toolchain
def test_a_folder_of_the_workspace_is_no_part_of_the_tool(
    act: Callable[..., tuple[int, Steps]], dist: Path, tmp_path: Path
) -> None:
    """A pull request may bring folders of any name."""
    shutil.copytree(dist / "dist", tmp_path / "dist")
    for name in ("smforge", "click", "json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(0)")
    code, steps = act(require="9.0", workspace=tmp_path)
    assert (code, output(steps, "verdict")) == (1, "fail")


def test_no_expression_stands_in_a_command() -> None:
    for step in COMMANDS:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]
        assert all(EXPRESSION.fullmatch(text) for text in step["env"].values())


def test_every_output_and_input_is_used() -> None:
    text = (ROOT / "action.yml").read_text()
    for name in ACTION["inputs"]:
        assert re.search(rf"inputs\.{name}\b", text), name
    ids = {step["id"] for step in STEPS if "id" in step}
    assert set(re.findall(r"steps\.([\w-]+)\.outputs", text)) <= ids


def test_every_action_is_pinned_to_a_commit() -> None:
    for step in STEPS:
        if "uses" in step:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]), step["uses"]


def test_reports_are_uploaded_after_a_failed_audit_too() -> None:
    for step in STEPS:
        if step["name"] in {"Upload SARIF", "Keep the reports"}:
            assert step["if"].startswith("!cancelled() && inputs.")


def test_the_schema_accepts_the_action(tmp_path: Path) -> None:
    done = check_schema("github-actions", ROOT / "action.yml")
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "action.yml"
    wrong.write_text((ROOT / "action.yml").read_text().replace("shell: bash", "shel: bash"))
    assert check_schema("github-actions", wrong).returncode != 0


def test_the_linter_finds_nothing_unsafe_in_the_action(tmp_path: Path) -> None:
    done = zizmor(ROOT / "action.yml")
    assert done.returncode == 0, done.stdout
    assert "No findings to report" in done.stdout
    text = (ROOT / "action.yml").read_text()
    for old, new in (('"$REQUIRE"', '"${{ inputs.require }}"'), (f"@{PINS[0]}", "@v7")):
        assert old in text
        (tmp_path / "action.yml").write_text(text.replace(old, new))
        assert zizmor(tmp_path / "action.yml").returncode != 0


@needs_packages
def test_shellcheck_finds_nothing_in_the_commands(shellcheck: Callable[[str], str]) -> None:
    for step in COMMANDS:
        assert shellcheck(step["run"]) == ""
    assert "SC2086" in shellcheck("rm $1\n")
