"""Runs of several cells as a user starts them: who fails, who goes on, who waits."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks.kills import campaign
from benchmarks.small_site import build_command, environment, renew_nonce, resume_command

pytestmark = [pytest.mark.engine, pytest.mark.slow]

Run = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _engine_answers(engine: str) -> None:
    """Every test here needs it."""


def cells_of(site: Path) -> dict[str, str]:
    document = json.loads((site / "out" / "manifest.json").read_text())
    return {one["cell"].removesuffix("-linux-amd64"): one["result"] for one in document["cells"]}


def break_cell(site: Path, name: str) -> None:
    """Let the step of one cell fail."""
    dockerfile = site / "context" / "Dockerfile"
    step = f"RUN busybox test $VARIANT != {name}\nRUN busybox echo"
    dockerfile.write_text(dockerfile.read_text().replace("RUN busybox echo", step))


def test_one_failing_cell_stops_the_others_only_where_that_is_asked(site: Path, run: Run) -> None:
    break_cell(site, "two")
    done = run(build_command("one", "two", "three"))
    assert done.returncode == 5
    assert "3 cells: 2 passed, 1 did not (two linux/amd64)" in done.stdout
    assert cells_of(site) == {"one": "passed", "two": "failed", "three": "passed"}
    stopped = run(build_command("one", "two", "three", "--stop-at-failure", "-o", "json"))
    assert stopped.returncode == 5
    assert cells_of(site) == {"one": "passed", "two": "failed", "three": "not-begun"}
    document = json.loads(stopped.stdout)
    assert [one["result"] for one in document["builds"]] == ["up-to-date", "failed"]
    assert document["not_begun"] == [{"variant": "three", "platform": "linux/amd64"}]


def test_what_changed_since_the_last_result_is_named(site: Path, run: Run) -> None:
    assert run(build_command("one")).returncode == 0
    up_to_date = run(build_command("--explain", "one", "--explain", "two-linux-amd64"))
    assert up_to_date.returncode == 0
    assert "one linux/amd64: up to date, last verified result of" in up_to_date.stdout
    assert "two linux/amd64: would be built\n  There is no result in" in up_to_date.stdout
    (site / "docker" / "notes").write_text("Another input.\n")
    (site / "docker" / "more").write_text("")
    matrix = site / "versions.json"
    document = json.loads(matrix.read_text())
    document["source_date_epoch"] += 1
    matrix.write_text(json.dumps(document, indent=2))
    changed = run(build_command("--explain", "one", "-o", "json"))
    (cell,) = json.loads(changed.stdout)["cells"]
    assert cell["up_to_date"] is False
    assert "docker/notes changed." in cell["reasons"]
    assert "docker/more is new." in cell["reasons"]
    assert "matrix changed." in cell["reasons"]
    epoch = "The plan's variables.SOURCE_DATE_EPOCH is"
    assert any(one.startswith(epoch) for one in cell["reasons"])
    assert cell["inputs"].keys() - cell["inputs_before"].keys() == {"docker/more"}
    (site / "out/one/linux-amd64/added").touch()
    # Nothing was built by asking.
    assert not (site / "out/one/linux-amd64/docker").exists()
    built = run([word for word in build_command("one") if word != "--quiet"])
    assert built.returncode == 0
    assert "one linux/amd64 is built again: " in built.stderr
    (site / "out/one/linux-amd64/added").touch()
    spoilt = run(build_command("--explain", "one"))
    assert "added is there and not in the record." in spoilt.stdout


def test_a_second_run_says_who_holds_the_directory_or_waits(site: Path, run: Run) -> None:
    dockerfile = site / "context" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("sleep $SECONDS", "sleep 8"))
    first = subprocess.Popen(
        build_command("one"),
        cwd=site,
        env=environment(site),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with first:
        log = site / "out/one/logs/linux-amd64/flashinfer-sm120f.log"
        deadline = time.monotonic() + 60
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        second = run(build_command("two"))
        assert second.returncode == 5
        assert f"is held by another run (process {first.pid} on " in second.stderr
        assert "--wait" in second.stderr
        patient = run(build_command("one", "--wait"))
        assert patient.returncode == 0
        assert first.wait() == 0
    assert "up to date: one linux/amd64" in patient.stdout


def test_a_resumed_run_has_its_arguments_from_its_journal(site: Path, run: Run) -> None:
    break_cell(site, "two")
    assert run(build_command("one", "two", "--force")).returncode == 5
    one = site / "out/one/linux-amd64/record.json"
    before = one.read_bytes()
    (site / "context" / "Dockerfile").write_text(
        (site / "context" / "Dockerfile")
        .read_text()
        .replace("busybox test $VARIANT != two", "true")
    )
    done = run(resume_command())
    assert done.returncode == 0, done.stderr
    assert cells_of(site) == {"one": "passed", "two": "passed"}
    # With --force it would have been built again; it had passed in this run already.
    assert one.read_bytes() == before
    assert run(resume_command("--force")).returncode == 2
    elsewhere = subprocess.run(
        resume_command("--out", str(site / "out")),
        cwd=site / "docker",
        env=environment(site),
        capture_output=True,
        text=True,
        check=False,
    )
    assert elsewhere.returncode == 2
    assert f"was started in {site}" in elsewhere.stderr


def test_killed_and_resumed_runs_end_as_if_nothing_had_happened(
    tmp_path: Path, busybox: Path
) -> None:
    _, tally = campaign(tmp_path, busybox, kills=3, seed=int(time.time()))
    assert tally.kills >= 3
    assert tally.problems == []


def test_what_was_built_elsewhere_from_the_same_inputs_is_taken_and_verified(
    site: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(build_command("one", "two", "--out", "there")).returncode == 0
    reuse = build_command("one", "two", "--out", "here", "--reuse", "there")
    loud = [word for word in reuse if word != "--quiet"]
    with monkeypatch.context() as patch:
        # Taking asks no engine.
        patch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        done = run(loud)
    assert done.returncode == 0, done.stderr
    assert "one linux/amd64 is taken from there/one/linux-amd64" in done.stderr
    here, there = site / "here", site / "there"
    assert (here / "manifest.json").read_bytes() == (there / "manifest.json").read_bytes()
    shutil.rmtree(here)
    report = there / "one/linux-amd64/audit.json"
    report.write_text(report.read_text().replace('"pass"', '"fail"'))
    next((there / "two").rglob("*.whl")).unlink()
    done = run(loud)
    assert done.returncode == 0, done.stderr
    # What is not as recorded is built.
    assert "one linux/amd64 is not taken: " in done.stderr
    assert "audit.json is not the report that was recorded" in done.stderr
    assert done.stdout.count("built: ") == 2


def merge_command(*folders: str, out: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "smforge", "merge", *folders, "-o", out)


def names_below(folder: Path) -> set[str]:
    """All names but those of one machine's run: its journal and its locks."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {name for name in names if not name.endswith((".lock", "journal.jsonl"))}


def test_merged_shares_are_what_one_run_makes_and_nothing_less(site: Path, run: Run) -> None:
    assert run(build_command("one", "two", "three", "--out", "whole")).returncode == 0
    timeline = run((sys.executable, "-m", "smforge", "timeline", "whole", "-o", "json"))
    cells = json.loads(timeline.stdout)["cells"]
    assert [one["result"] for one in cells] == ["passed"] * 3
    for cell in cells:
        (wheel_bar,) = (one for one in cell["targets"] if one["target"] == "flashinfer-sm120f")
        assert cell["begin"] <= wheel_bar["begin"] <= wheel_bar["end"] <= cell["end"]
        assert wheel_bar["critical"]
    renew_nonce(site)
    for share in ("1/2", "2/2"):
        done = run(build_command("--shard", share, "--out", f"share{share[0]}"))
        assert done.returncode == 0
    done = run(merge_command("share1", "share2", out="joined"))
    assert done.returncode == 0, done.stderr
    assert "joined: 3 cells, all verified" in done.stdout
    whole, joined = site / "whole", site / "joined"
    assert (joined / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()
    assert names_below(joined) == names_below(whole)
    for name in names_below(whole):
        # Records and logs hold times and paths of their machine.
        if (whole / name).is_file() and "/logs/" not in name and not name.endswith("record.json"):
            assert (joined / name).read_bytes() == (whole / name).read_bytes(), name
    assert run((sys.executable, "-m", "smforge", "index", "joined")).returncode == 0

    assert run(merge_command("share1", "share2", out="joined")).returncode == 2
    missing = run(merge_command("share1", out="other"))
    assert (missing.returncode, "The shares 2/2 are missing" in missing.stderr) == (1, True)
    wheel = next((site / "share1").rglob("*.whl"))
    content = wheel.read_bytes()
    wheel.write_bytes(content[:-1] + b"x")
    spoilt = run(merge_command("share1", "share2", out="other"))
    assert spoilt.returncode == 4
    assert f"{wheel.name} is not the file that was recorded" in spoilt.stderr
    wheel.write_bytes(content)
    (site / "docker" / "notes").write_text("Another input.\n")
    assert run(build_command("--shard", "2/2", "--out", "share2")).returncode == 0
    different = run(merge_command("share1", "share2", out="other"))
    assert different.returncode == 4
    assert "different inputs: docker/notes differs" in different.stderr
    (site / "share2" / "manifest.json").unlink()
    unfinished = run(merge_command("share2", out="other"))
    assert unfinished.returncode == 1
    assert "its run has not come to its end" in unfinished.stderr
    assert not (site / "other").exists()
    assert not (site / ".other.partial").exists()
