"""What a build loads before it builds: an unchanged cell is answered without the rest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks.small_site import build_command

Run = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]

PACKAGES = {
    *("annotated_types", "click", "packaging", "pydantic", "pydantic_core", "rich", "smforge"),
    *("typing_extensions", "typing_inspection"),
}
"""What may be loaded beside Python's own; python_on_whales, urllib3 and jsonschema are slow."""
STAGES = {
    *("arch", "bake", "cli", "inventory", "matrix", "oci", "plan", "report", "verdict"),
    "workflow",
}
"""Of smforge; preflight, fetching and publish are for cells that are built."""
BUILDING = {
    *("smforge.inventory.native", "smforge.report.build", "smforge.verdict.audit"),
    *("smforge.verdict.judge", "smforge.workflow.building.making"),
    *("asyncio", "http.client", "tarfile", "xml"),
}


def command(*arguments: str) -> tuple[str, ...]:
    """The command of the small project, which also writes what it imports."""
    python, *others = build_command(*arguments)
    return (python, "-X", "importtime", *others)


def require_little(stderr: str) -> None:
    lines = [line for line in stderr.splitlines() if line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip() for line in lines[1:]}
    assert "smforge.workflow.building.freshness" in loaded
    # Python itself tries to import org.python.core, which is Jython's.
    own = {*sys.stdlib_module_names, "org", "sitecustomize", "usercustomize"}
    packages = {one.partition(".")[0] for one in loaded} - own
    assert {one for one in packages if not one.startswith("_")} <= PACKAGES
    folders = {one.split(".")[1] for one in loaded if one.count(".") > 1 and "smforge." in one[:8]}
    assert folders <= STAGES
    assert not loaded & BUILDING


def test_what_an_explanation_does_not_load(run: Run) -> None:
    done = run(command("--explain", "one"))
    assert done.returncode == 0
    assert "one linux/amd64: would be built" in done.stdout
    require_little(done.stderr)


@pytest.mark.engine
@pytest.mark.slow
def test_what_the_answer_to_an_unchanged_cell_does_not_load(
    run: Run, engine: str, site: Path
) -> None:
    assert engine
    assert run(build_command("one")).returncode == 0
    # Whatever would be asked of docker would fail.
    (site / "bin").mkdir()
    (site / "bin" / "docker").symlink_to("/bin/false")
    done = run(("env", f"PATH={site / 'bin'}", *command("one")))
    assert done.returncode == 0
    assert "up to date: one linux/amd64" in done.stdout
    require_little(done.stderr)
