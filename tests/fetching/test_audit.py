"""``smforge audit`` of releases and addresses, as a process."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.report.saved import report_from_json
from tests.fetching.conftest import Index

MakeWheel = Callable[..., Path]
PTX = ".version 8.0\n.target {target}\n.address_size 64\n.visible .entry k()\n{{\nret;\n}}\n"


def audit(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smforge", "audit", "-q", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def kernels(index: Index, make_wheel: MakeWheel) -> Index:
    """A release whose wheel for arm64 is for 9.0 and newer, and whose other one is for 8.0."""
    for cpu, target in (("x86_64", "sm_80"), ("aarch64", "sm_90")):
        name = f"kernels-1.0-py3-none-manylinux_2_28_{cpu}.whl"
        index.release(make_wheel(name, {"kernels/k.ptx": PTX.format(target=target)}))
    index.release(make_wheel("kernels-0.9-py3-none-any.whl"), yanked="it has no kernels")
    return index


def test_a_release_is_called_by_its_version_with_file_and_digest(kernels: Index) -> None:
    done = audit("pypi:kernels", "--platform", "linux/arm64", "--require", "9.0", "-o", "json")
    assert done.returncode == 0, done.stderr
    subject = report_from_json(done.stdout).subject
    assert subject.name == "pypi:kernels==1.0"
    assert subject.file == "kernels-1.0-py3-none-manylinux_2_28_aarch64.whl"
    assert subject.platform == "linux/arm64"
    data = kernels.files[f"/files/{subject.file}"]
    assert subject.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("pypi:kernels==1.0", "--platform", "linux/amd64", "--require", "8.0"), 0),
        (("pypi:kernels==1.0", "--platform", "linux/arm64", "--require", "8.0"), 1),
        (("pypi:kernels==0.9", "--require", "8.0"), 3),
        (("pypi:kernels==2.0", "--require", "8.0"), 4),
        (("pypi:kernels[x]", "--require", "8.0"), 2),
        (("pypi:kernels", "--python", "py3"), 2),
        ((".", "--python", "3.12"), 2),
        ((".", "--index-url", "http://localhost/simple"), 2),
        ((".", "--platform", "linux/arm64"), 2),
    ],
)
def test_exit_codes(arguments: tuple[str, ...], code: int) -> None:
    assert audit(*arguments).returncode == code


@pytest.mark.usefixtures("kernels")
def test_several_of_them_and_a_yanked_one() -> None:
    done = audit("pypi:kernels==1.0", "pypi:kernels==0.9", "pypi:kernels==7", "-o", "json")
    names = {one["subject"]["name"]: one["verdict"] for one in json.loads(done.stdout)}
    assert names == {
        "pypi:kernels==1.0": "pass",
        "pypi:kernels==0.9 (withdrawn from the index: it has no kernels)": "nothing",
        "pypi:kernels==7": "undetermined",
    }
    assert done.returncode == 4


def test_an_address_is_read_as_the_file_would_be(index: Index, make_wheel: MakeWheel) -> None:
    name = "kernels-1.0-py3-none-any.whl"
    wheel = make_wheel(name, {"kernels/k.ptx": PTX.format(target="sm_80")})
    index.files[f"/{name}"] = wheel.read_bytes()
    index.files["/k.ptx"] = PTX.format(target="sm_80").encode()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    address = f"{index.url}/{name}"
    done = audit(f"{address}#sha256={digest}", "--require", "8.0", "-o", "json")
    report = report_from_json(done.stdout)
    assert (report.verdict, report.subject.name, report.subject.file) == ("pass", address, name)
    assert audit(f"{index.url}/k.ptx", "--require", "8.0").returncode == 0
    assert audit(f"{index.url}/k.ptx", "--require", "7.5").returncode == 1
    assert audit(f"{address}#sha256={'0' * 64}", "--require", "8.0").returncode == 4
    assert audit("http://example.com/x.whl", "--require", "8.0").returncode == 2


def test_what_a_requirements_file_installs_is_judged(
    index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    old, new = PTX.format(target="sm_80"), PTX.format(target="sm_90")
    index.release(
        make_wheel("kernels-1.0-py3-none-any.whl", {"kernels/k.ptx": new}, "plain>=1", "more")
    )
    index.release(make_wheel("more-2.0-py3-none-any.whl", {"more/m.ptx": old}))
    index.release(make_wheel("plain-1.0-py3-none-any.whl"))
    index.release(make_wheel("other-1.0-py3-none-any.whl"))
    lock = tmp_path / "requirements.txt"
    lock.write_text("kernels==1.0\n")
    done = audit("-r", lock, "--require", "9.0", "-o", "json")
    reports = json.loads(done.stdout)
    assert {one["subject"]["name"]: one["verdict"] for one in reports} == {
        "pypi:kernels==1.0": "pass",
        "pypi:more==2.0": "pass",
    }
    assert reports[0]["subject"]["file"] == "kernels-1.0-py3-none-any.whl"
    assert done.returncode == 0
    assert "1 more without GPU code, which were not judged: pypi:plain==1.0." in done.stderr
    assert index.fetched("other-1.0-py3-none-any.whl") == 0
    assert audit("-r", lock, "--require", "8.0").returncode == 1
    together = audit("-r", lock, "--require", "9.0", "--together", "-o", "json")
    assert {file["path"] for file in json.loads(together.stdout)["files"]} == {
        "kernels-1.0-py3-none-any.whl/kernels/k.ptx",
        "more-2.0-py3-none-any.whl/more/m.ptx",
    }
    lock.write_text("kernels==1.0\nmore==7\n")
    done = audit("-r", lock, "--require", "9.0")
    assert done.returncode == 4
    assert "cannot resolve" in done.stderr
    assert audit("-r", tmp_path / "none.txt").returncode == 2
    assert audit("--require", "9.0").returncode == 2


def test_conditions_of_another_platform_are_said(
    index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    index.release(make_wheel("kernels-1.0-py3-none-any.whl", {"k.ptx": PTX.format(target="sm_80")}))
    lock = tmp_path / "requirements.txt"
    lock.write_text("kernels\n")
    for platform in ("linux/amd64", "linux/arm64"):
        done = audit("-r", lock, "--platform", platform, "--python", "3.13", "--require", "8.0")
        assert done.returncode == 0
        assert "conditions of the requirements" in done.stderr


def test_no_secret_of_an_address_is_shown(index: Index) -> None:
    index.files["/k.ptx"] = PTX.format(target="sm_80").encode()
    host = index.url.removeprefix("http://")
    for path, code in (("/k.ptx", 0), ("/none.ptx", 4)):
        address = f"http://user:secret@{host}{path}?token=secret#sha256="
        digest = hashlib.sha256(index.files["/k.ptx"]).hexdigest()
        done = audit(address + digest, "--require", "8.0", "-o", "json")
        assert done.returncode == code
        assert json.loads(done.stdout)["subject"]["name"] == f"{index.url}{path}"
        assert "secret" not in done.stdout + done.stderr
