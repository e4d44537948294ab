"""Every model is examined, whatever the others do, and the reasons of failures are told apart."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.inventory.probing.reading import read_output
from smforge.inventory.probing.records import How, Models, Probed
from smforge.inventory.probing.running import PROBES

TOUCHING = """
    import torch.cuda

    CAPABILITY = torch.cuda.get_device_capability()
"""
CAUGHT = """
    import torch.cuda
    try:
        torch.cuda.get_device_capability()
    except RuntimeError:
        pass
"""


@pytest.fixture
def examine(probe: Callable[..., Probed]) -> Callable[..., Models]:
    def run(*arguments: str) -> Models:
        document = probe("models", *arguments).models
        assert document is not None
        return document

    return run


def test_a_module_that_touches_cuda_is_named_with_its_line(
    models: Callable[..., Path], examine: Callable[..., Models]
) -> None:
    models(touching=TOUCHING)
    found = examine().by_item()
    assert found["Model_Well"][How.TOGETHER].is_well
    assert How.ALONE not in found["Model_Well"]
    for how in How:
        failure = found["Model_Touching"][how].failure
        assert failure is not None
        assert "Found no NVIDIA driver" in failure[0].message
        places = [(frame.file, frame.line) for frame in failure[0].frames]
        assert ("vllm/model_executor/models/model_touching.py", 4) in places
        (stack,) = found["Model_Touching"][how].notes.cuda
        assert stack[-1].function == "get_device_capability"


def test_a_touch_that_is_caught_is_noted(
    models: Callable[..., Path], examine: Callable[..., Models]
) -> None:
    models(caught=CAUGHT)
    item = examine().by_item()["Model_Caught"][How.TOGETHER]
    assert item.is_well
    assert [frame.line for frame in item.notes.cuda[0]][-2:] == [4, 5]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "ended"),
    [
        ("import os; os.abort()", "SIGABRT"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os._exit(0)", "exit status 0"),
        ("import time; time.sleep(60)", "time limit of 2 s"),
    ],
)
def test_one_that_ends_the_interpreter_does_not_take_the_rest_with_it(
    models: Callable[..., Path], examine: Callable[..., Models], source: str, ended: str
) -> None:
    models(ending=source, zebra="", aardvark="")
    document = examine("--item-seconds", "2")
    found = document.by_item()
    assert {item for item, hows in found.items() if hows[How.TOGETHER].is_well} == {
        "Model_Aardvark",
        "Model_Well",
        "Model_Zebra",
    }
    assert found["Model_Ending"][How.ALONE].ended == ended
    assert document.ended is None
    assert document.not_examined == ()


def test_what_a_module_leaves_running_holds_nothing_up(
    models: Callable[..., Path], examine: Callable[..., Models]
) -> None:
    models(
        leaving="""
        import os, time
        if os.fork() == 0:
            os.setsid()
            time.sleep(30)
            os._exit(0)
        """
    )
    document = examine("--seconds", "25")
    assert document.ended is None
    assert document.by_item()["Model_Leaving"][How.TOGETHER].is_well


def test_raising_what_programs_exit_with_ends_nothing(
    models: Callable[..., Path], examine: Callable[..., Models]
) -> None:
    models(exiting="raise SystemExit(3)")
    failure = examine().by_item()["Model_Exiting"][How.ALONE].failure
    assert failure is not None
    assert failure[0].type == "SystemExit"


def test_what_fails_only_after_another_one_is_well_alone(
    models: Callable[..., Path], examine: Callable[..., Models]
) -> None:
    models(
        first="import builtins; builtins.spoilt = True",
        second="import builtins\nif hasattr(builtins, 'spoilt'): raise ValueError('after first')",
    )
    found = examine().by_item()["Model_Second"]
    assert not found[How.TOGETHER].is_well
    assert found[How.ALONE].is_well


def test_a_name_that_needs_a_gpu_is_there_beside_a_stand_in(
    models: Callable[..., Path], examine: Callable[..., Models]
) -> None:
    models(
        gpu="""
        import ctypes
        from vllm.platforms import current_platform
        if current_platform.is_cuda():
            ctypes.CDLL("libcuda.so.1")
            name = current_platform.get_device_capability()
            assert name == (12, 1)
        print(name)
        """
    )
    found = examine("--devices", "12.1 9.0").by_item()["Model_Gpu"]
    assert (found[How.ALONE].failure or ())[0].type == "NameError"
    assert found[How.ASSUMING].is_well


def test_a_vllm_that_cannot_be_imported_is_a_failure_of_the_probe(
    models: Callable[..., Path], examine: Callable[..., Models], site: Path
) -> None:
    models()
    (site / "vllm/plugins.py").write_text("raise ImportError('broken')")
    document = examine()
    assert document.there is None
    assert document.failure is not None
    assert document.failure[0].message == "broken"


def test_without_vllm_there_is_nothing(examine: Callable[..., Models]) -> None:
    document = examine()
    assert document.there is False
    assert document.items == ()


def test_packages_of_a_user_are_seen_although_the_home_is_hidden(tmp_path: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    package = tmp_path / f".local/lib/python{version}/site-packages/vllm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    environment = {"HOME": str(tmp_path), "PATH": os.defpath}
    python = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run(
        [python, str(PROBES / "run.py"), "--only", "models", "-"],
        env=environment,
        capture_output=True,
        check=True,
    )
    models = read_output(done.stdout, "").models
    assert models is not None
    assert models.there is None
    assert (models.failure or ())[0].name == "vllm.plugins"


@pytest.mark.slow
def test_time_that_runs_out_leaves_what_was_found_and_names_the_rest(
    models: Callable[..., Path], examine: Callable[..., Models]
) -> None:
    models(zzz="import time; time.sleep(600)")
    document = examine("--seconds", "8")
    assert document.ended == "time limit of 8 s"
    assert document.not_examined == ("Model_Zzz",)
    assert document.by_item()["Model_Well"][How.TOGETHER].is_well
