"""From real texts of failed builds to the sentence that says why."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.bake import diagnosis
from smforge.bake.diagnosis import excerpt, failure
from smforge.bake.progress.events import Log, PlainLine, Vertex, parse_line
from smforge.bake.progress.state import BuildState
from smforge.bake.runner import Outcome
from smforge.errors import EngineUnavailableError, InterruptedBuildError, SmforgeError

DATA = Path(__file__).parent / "data"


def explain(state: BuildState, *, answers: bool = True, by: signal.Signals | None = None) -> str:
    return str(_error(state, answers=answers, by=by))


def _error(
    state: BuildState, *, answers: bool = True, by: signal.Signals | None = None
) -> SmforgeError:
    outcome = Outcome(1, state, 1.0, by)
    return failure(outcome, lambda target: Path(f"{target}.log"), lambda: answers)


def failed_step(
    *lines: str, error: str = "it did not complete successfully: exit code: 1"
) -> BuildState:
    state = BuildState(("wheel",))
    state.apply(Vertex(digest="d", name="[work 2/3] RUN make"))
    state.apply(Log("d", "\n".join((*lines, "")).encode(), None))
    state.apply(Vertex(digest="d", name="[work 2/3] RUN make", error=error))
    return state


def test_a_recorded_failure_names_target_step_code_and_log() -> None:
    state = BuildState(("made", "broken"))
    for line in (DATA / "failed.rawjson").read_bytes().splitlines():
        for event in parse_line(line):
            state.apply(event)
    assert explain(state) == (
        "Building broken, step broken 1/1 failed: exit code 7; log: broken.log."
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "pip._vendor.urllib3.exceptions.NewConnectionError: <HTTPSConnection>: Failed to "
            "establish a new connection: [Errno -3] Temporary failure in name resolution",
            "the network cannot be reached",
        ),
        (
            "Could not fetch URL https://index/: HTTPSConnectionPool: Max retries "
            "exceeded with url (Caused by SSLError(SSLCertVerificationError(1, '[SSL: "
            "CERTIFICATE_VERIFY_FAILED] certificate verify failed')))",
            "TLS certificate is not trusted",
        ),
        (
            "nvcc error   : 'cicc' died due to signal 9 (Kill signal)",
            "the compiler ran out of memory",
        ),
        ("cicc terminated (signal: 9)", "the compiler ran out of memory"),
        ("sccache: Compiler killed by signal 9", "the compiler ran out of memory"),
        (
            "smforge: csrc/qutlass/gemm.cu: the compiler was killed again, alone",
            "the compiler of csrc/qutlass/gemm.cu was killed twice",
        ),
        ("c++: fatal error: Killed signal terminated program cc1plus", "ran out of memory"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("x.cu(3): error: identifier undefined", "exit code 1"),
    ],
)
def test_causes_in_a_steps_output(line: str, sentence: str) -> None:
    assert sentence in explain(failed_step("[1/9] nvcc", line, "ninja: build stopped"))


def test_a_retry_long_before_the_end_is_not_the_cause() -> None:
    noise = [f"[{n}/900] nvcc a.cu" for n in range(200)]
    state = failed_step("WARNING: Retrying after NewConnectionError", *noise, "a.cu(1): error: no")
    assert "exit code 1" in explain(state)


def test_an_engine_that_has_gone_comes_before_what_it_cut_off() -> None:
    state = failed_step("compiling", error="rpc error: connection error: EOF")
    assert isinstance(_error(state, answers=False), EngineUnavailableError)


def test_a_signal_comes_before_everything() -> None:
    error = _error(failed_step("x"), answers=False, by=signal.SIGTERM)
    assert isinstance(error, InterruptedBuildError)
    assert error.exit_code == 130


def test_a_base_image_out_of_reach_is_told_from_a_download_in_a_step() -> None:
    state = BuildState(("base",))
    state.apply(
        PlainLine(
            "ERROR: failed to solve: nvidia/cuda:13.0.2-devel: failed to resolve source metadata "
            'for docker.io/nvidia/cuda: failed to do request: Head "https://host/v2/": dial tcp: '
            "lookup host: no such host"
        )
    )
    assert "the container registry of a base image cannot be reached" in explain(state)


def test_an_export_that_fails_is_said_in_bakes_words() -> None:
    state = BuildState(("wheel",))
    state.apply(PlainLine("ERROR: failed to solve: exporter option dest is required."))
    assert explain(state) == ("The build failed: exporter option dest is required; log: bake.log.")


def test_the_first_error_of_many_jobs_is_shown_with_the_end() -> None:
    before = [f"[{n}/300] nvcc ok" for n in range(100)]
    error = ["FAILED: a.o", "a.cu(7): error: expected a ';'"]
    after = [f"[{n}/300] nvcc ok" for n in range(101, 160)]
    shown = excerpt([*before, *error, *after, "ninja: build stopped: subcommand failed."])
    assert shown[:2] == tuple(error)
    assert shown[-1] == "ninja: build stopped: subcommand failed."
    assert any("more lines" in line for line in shown)
    assert len(shown) <= 21


@given(st.lists(st.text(max_size=20), max_size=60))
def test_an_excerpt_is_short_and_ends_as_the_output_did(lines: list[str]) -> None:
    shown = excerpt(lines)
    told = [line for line in lines if line.strip()]
    assert len(shown) <= 21
    assert shown[-3:] == tuple(told[-3:])


def test_every_cause_has_a_remedy_and_an_id_of_its_own() -> None:
    rows = json.loads((Path(diagnosis.__file__).parent / "data/failures.json").read_text())["rows"]
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(row["sentence"] and row["remedy"] and row["patterns"] for row in rows)
    assert all(set(row["in"]) <= {"step", "bake"} for row in rows)
