"""An index on disk, and real installers that install from it."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from smforge.bake.artefacts import artefacts_in
from smforge.bake.record import RunRecord

CUDA = "cu130"
BIN = Path(sys.executable).parent
REPORT = b'{"schema_version": 1, "verdict": "pass"}'
"""What an index reads of an audit's report."""


def write_wheel(folder: Path, project: str, version: str, tag: str, **more: str) -> Path:
    """A wheel that installers take: a package with `content`, and the files that describe it."""
    name = project.replace("-", "_")
    info = f"{name}-{version}.dist-info"
    fields = {"Metadata-Version": "2.1", "Name": project, "Version": version}
    fields |= {key.replace("_", "-"): value for key, value in more.items() if key != "content"}
    pure = "true" if tag.endswith("-any") else "false"
    files = {
        f"{name}.py": f"CONTENT = {more.get('content', tag)!r}\n",
        f"{info}/METADATA": "".join(f"{key}: {value}\n" for key, value in fields.items()) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
    }
    record = "".join(
        f"{path},sha256={_record_hash(text)},{len(text)}\n" for path, text in files.items()
    )
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, text in files.items():
            archive.writestr(zipfile.ZipInfo(inside), text)
    return path


def _record_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def write_record(folder: Path, variant: str, result: str = "passed", tag: str = CUDA) -> None:
    """Make a cell of what lies in a folder, as a build does."""
    record = RunRecord.model_validate(
        {
            "tool": {"name": "smforge", "version": "0"},
            "result": result,
            "exit_code": 0,
            "started": "2026-11-21T13:00:00Z",
            "finished": "2026-11-21T13:00:01Z",
            "seconds": 1.0,
            "inputs_sha256": "0" * 64,
            "plan": {"variant": variant, "platform": "linux/amd64", "toolkit": {"tag": tag}},
            "variables": {},
            "command": ("docker",),
            "tools": {},
            "artefacts": [one.model_dump() for one in artefacts_in(folder)],
            "audit": {
                "verdict": "pass",
                "exit_code": 0,
                "findings": 0,
                "report": "audit.json",
                "report_sha256": hashlib.sha256(REPORT).hexdigest(),
            },
        }
    )
    (folder / "audit.json").write_bytes(REPORT)
    (folder / "record.json").write_text(record.text)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """What a build of FlashInfer for two devices and two platforms leaves."""
    out = tmp_path / "out"
    for platform, machine in (("linux-amd64", "x86_64"), ("linux-arm64", "aarch64")):
        folder = out / CUDA / platform
        for device in ("sm120f", "sm121a"):
            name, tag = f"flashinfer-jit-cache-{device}", f"py3-none-manylinux_2_17_{machine}"
            more = {"Requires_Python": ">=3.8, <4", "content": f"{device} {machine}"}
            write_wheel(folder / device, name, "0.7.2+cu130", tag, **more)
        needs = {"Requires_Dist": "flashinfer-jit-cache-sm120f==0.7.2+cu130", "content": "shim"}
        write_wheel(folder / "shim", "flashinfer-jit-cache", "0.7.2+cu130", tag, **needs)
        write_wheel(folder / "plain", "plain", "1.0", "py3-none-any")
        write_record(folder, CUDA)
    (out / CUDA / "logs" / "linux-amd64").mkdir(parents=True)
    text = (out / CUDA / "linux-amd64" / "record.json").read_text()
    (out / CUDA / "logs" / "linux-amd64" / "record.json").write_text(text)
    rejected = out / CUDA / "rejected" / "linux-amd64"
    write_wheel(rejected, "flashinfer-jit-cache", "0.7.3+cu130", "py3-none-any")
    write_record(rejected, CUDA, "rejected")
    return out


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def index(out: Path, tmp_path: Path) -> Run:
    """Runs ``smforge index``."""

    def run(*arguments: str) -> tuple[int, str, str]:
        command: list[str | Path] = [sys.executable, "-m", "smforge", "index", *arguments]
        command += ["--to", tmp_path / "whl"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


class Links(html.parser.HTMLParser):
    """The links of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_pages_say_what_the_wheels_say(index: Run, out: Path, tmp_path: Path) -> None:
    assert index(str(out))[0] == 0
    whl = tmp_path / "whl" / CUDA
    devices = ("flashinfer-jit-cache-sm120f", "flashinfer-jit-cache-sm121a")
    projects = ["flashinfer-jit-cache", *devices, "plain"]
    root = Links((whl / "index.html").read_text()).found
    assert [link["href"] for link in root] == [f"{name}/" for name in projects]
    assert [
        one["name"] for one in json.loads((whl / "index.json").read_text())["projects"]
    ] == projects
    folder = whl / projects[1]
    links = Links((folder / "index.html").read_text()).found
    document = json.loads((folder / "index.json").read_text())
    wheels = sorted(folder.glob("*.whl"))
    assert [wheel.name.rpartition("-")[2] for wheel in wheels] == [
        "manylinux_2_17_aarch64.whl",
        "manylinux_2_17_x86_64.whl",
    ]
    for wheel, link, file in zip(wheels, links, document["files"], strict=True):
        metadata = folder / f"{wheel.name}.metadata"
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
            assert metadata.read_bytes() == archive.read(name)
        assert link == {
            "href": f"{wheel.name.replace('+', '%2B')}#sha256={sha256(wheel)}",
            "data-requires-python": ">=3.8, <4",
            "data-core-metadata": f"sha256={sha256(metadata)}",
            "data-dist-info-metadata": f"sha256={sha256(metadata)}",
        }
        assert file["hashes"]["sha256"] == sha256(wheel)
        assert file["size"] == wheel.stat().st_size
        # A link, not a second copy of gigabytes.
        assert wheel.stat().st_nlink == 2


def test_one_input_gives_one_index(index: Run, out: Path, tmp_path: Path) -> None:
    def content() -> dict[str, bytes]:
        files = (path for path in (tmp_path / "whl").rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files}

    assert index(str(out))[0] == 0
    first = content()
    assert index(str(out / CUDA / "linux-arm64"), str(out / CUDA / "linux-amd64"))[0] == 0
    assert content() == first
    assert index(str(out / CUDA / "linux-arm64"))[0] == 0
    assert len(content()) < len(first)
    assert [path.name for path in (tmp_path / "whl").iterdir()] == [CUDA]


def test_what_was_rejected_or_changed_stays_out(index: Run, out: Path, tmp_path: Path) -> None:
    assert index(str(out / CUDA / "rejected"))[0] == 2
    assert index(str(out))[0] == 0
    assert not list((tmp_path / "whl").rglob("*0.7.3*"))
    before = sorted((tmp_path / "whl").rglob("*"))
    wheel = next((out / CUDA / "linux-amd64").rglob("*sm121a*.whl"))
    wheel.unlink()
    assert "is gone" in index(str(out))[2]
    write_wheel(
        wheel.parent, "flashinfer-jit-cache-sm121a", "0.7.2+cu130", "py3-none-manylinux_2_17_x86_64"
    )
    code, _, said = index(str(out))
    assert code == 4
    assert "is not the file that passed the audit" in said
    assert sorted((tmp_path / "whl").rglob("*")) == before


def test_limits_are_gates(index: Run, out: Path, tmp_path: Path) -> None:
    code, _, said = index(str(out), "--max-wheel-mb", "0.0005")
    assert code == 1
    assert "over the limit of 0.0005 MB for a file" in said
    code, _, said = index(str(out), "--max-index-mb", "0.001")
    assert code == 1
    assert re.search(r"The index cu130 has 0\.0 MB, over the limit of 0\.001 MB", said)
    assert not (tmp_path / "whl").exists()
    assert index(str(out), "--max-wheel-mb", "1", "--max-index-mb", "1")[0] == 0


def test_variants_that_make_different_files_of_one_name(
    index: Run, out: Path, tmp_path: Path
) -> None:
    for variant in ("cu130-spark", "cu130-thor"):
        folder = out / variant / "linux-amd64"
        tag = "py3-none-manylinux_2_17_x86_64"
        write_wheel(folder, "flashinfer-jit-cache", "0.7.2+cu130", tag, content=variant)
        write_record(folder, variant)
    code, said, _ = index(str(out))
    assert code == 0
    assert said.count("left out, since cu130 has another of this name") == 2
    shim = next((tmp_path / "whl/cu130/flashinfer-jit-cache").glob("*x86_64.whl"))
    assert sha256(shim) == sha256(next((out / CUDA / "linux-amd64").rglob("shim/*.whl")))
    code, _, said = index(str(out / "cu130-spark"), str(out / "cu130-thor"))
    assert code == 1
    assert "differ under one name" in said
    assert index(str(out), "--per", "variant")[0] == 0
    assert sorted(path.name for path in (tmp_path / "whl").iterdir()) == [
        "cu130",
        "cu130-spark",
        "cu130-thor",
    ]


def test_platforms_of_one_variant_share_no_file_that_differs(
    index: Run, out: Path, tmp_path: Path
) -> None:
    folder = out / CUDA / "linux-arm64"
    write_wheel(folder / "plain", "plain", "1.0", "py3-none-any", content="arm")
    write_record(folder, CUDA)
    code, _, said = index(str(out))
    assert code == 1
    assert "differ under one name" in said
    assert not (tmp_path / "whl").exists()


def test_a_wheel_of_another_cuda_is_refused(index: Run, out: Path) -> None:
    folder = out / "odd" / "linux-amd64"
    write_wheel(folder, "vllm", "0.33.0+cu129", "py3-none-any")
    write_record(folder, "odd")
    code, _, said = index(str(out))
    assert code == 1
    assert "is made for cu129 and does not belong into the index cu130" in said


@pytest.mark.parametrize("damage", ["no archive", "another name", "no metadata"])
def test_a_wheel_that_installers_would_refuse_is_refused(
    damage: str, index: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "bad" / "v" / "linux-amd64"
    wheel = write_wheel(folder, "thing", "1.0", "py3-none-any")
    if damage == "no archive":
        wheel.write_bytes(wheel.read_bytes()[:-30])
    elif damage == "another name":
        wheel.rename(folder / "other-1.0-py3-none-any.whl")
    else:
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("thing.py", "")
    write_record(folder, "v")
    code, _, said = index(str(folder))
    assert code == 4
    assert "smforge: " in said


# Records that somebody else wrote.

CELL = "linux-amd64"


def edited(out: Path, **changes: Any) -> Path:
    """Change values of a cell's record, by their dotted place; the result is the cell's folder."""
    folder = out / CUDA / CELL
    document = json.loads((folder / "record.json").read_text())
    for place, value in changes.items():
        *above, last = place.split("__")
        found = document
        for step in above:
            found = found[int(step) if step.isdecimal() else step]
        found[last] = value
    (folder / "record.json").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("plan__toolkit__tag", "/../x", "at plan.toolkit.tag"),
        ("plan__toolkit__tag", "../x", "at plan.toolkit.tag"),
        ("plan__toolkit__tag", "cu130\n", "at plan.toolkit.tag"),
        ("plan__variant", "../../x", "at plan.variant"),
        ("plan__variant", ".", "at plan.variant"),
        ("plan__platform", "linux/../x", "at plan.platform"),
        ("plan", {}, "at plan.variant"),
        ("audit__verdict", "fail", "its audit says 'fail'"),
        ("audit__exit_code", 1, "its audit says 'pass' with exit code 1"),
        ("audit__report", "../../x.json", "at audit.report"),
        ("audit__report", None, "names no report"),
        ("audit__report_sha256", "0" * 64, "is not the report that record.json names"),
        ("audit", None, "it names no audit"),
        (
            "image_audit",
            {"verdict": "undetermined", "exit_code": 4, "findings": 0},
            "its audit of the image says 'undetermined'",
        ),
        ("exit_code", 1, "its exit code is 1"),
        ("artefacts__0__path", "../../../secret.whl", "at artefacts[0].path"),
        ("artefacts__0__path", "/etc/secret.whl", "at artefacts[0].path"),
        ("artefacts__0__path", "a/./b.whl", "at artefacts[0].path"),
        ("artefacts__0__sha256", "0", "at artefacts[0].sha256"),
        ("schema_version", 2, "at schema_version"),
    ],
)
@pytest.mark.parametrize("per", ["cuda", "variant"])
def test_a_hostile_record_writes_nothing_and_deletes_nothing(  # noqa: PLR0917
    place: str, value: Any, said: str, per: str, index: Run, out: Path, tmp_path: Path
) -> None:
    edited(out, **{place: value})
    victim = tmp_path / "x"
    victim.mkdir()
    (victim / "kept").touch()
    before = sorted(tmp_path.rglob("*"))
    code, _, told = index(str(out), "--per", per)
    assert code == 4
    assert said in told
    assert sorted(tmp_path.rglob("*")) == before


def test_a_report_that_is_gone_or_says_fail_is_no_pass(index: Run, out: Path) -> None:
    report = edited(out, audit__report_sha256=None) / "audit.json"
    assert index(str(out))[0] == 0
    report.write_text('{"schema_version": 1, "verdict": "fail"}')
    code, _, said = index(str(out))
    assert code == 4
    assert "is no report of an audit that passed: at verdict" in said
    report.unlink()
    code, _, said = index(str(out))
    assert code == 4
    assert "audit.json is gone" in said


def test_an_artefact_that_a_link_leads_to_is_refused(index: Run, out: Path, tmp_path: Path) -> None:
    wheel = next((out / CUDA / CELL).rglob("plain*.whl"))
    wheel.rename(tmp_path / wheel.name)
    wheel.symlink_to(tmp_path / wheel.name)
    code, _, said = index(str(out))
    assert code == 4
    assert "is a link, not a file of the build" in said


def test_a_record_that_is_no_regular_file_is_refused(index: Run, out: Path) -> None:
    record = out / CUDA / CELL / "record.json"
    record.unlink()
    os.mkfifo(record)
    code, _, said = index(str(out))
    assert code == 4
    assert "it is not a regular file" in said
    record.unlink()
    record.symlink_to("/dev/zero")
    assert index(str(out))[0] == 4


def test_only_an_index_is_replaced(index: Run, out: Path, tmp_path: Path) -> None:
    (tmp_path / "whl" / CUDA).mkdir(parents=True)
    assert index(str(out))[0] == 0
    # What a build has put there is no index.
    shutil.rmtree(tmp_path / "whl")
    shutil.copytree(out, tmp_path / "whl")
    before = sorted((tmp_path / "whl").rglob("*"))
    code, _, said = index(str(out))
    assert code == 2
    assert "is no index that smforge wrote" in said
    assert sorted((tmp_path / "whl").rglob("*")) == before


# Real installers.


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def log_message(self, *args: Any) -> None:  # noqa: ARG002
        self.server.seen.append(self.path.rpartition("/")[2].replace("%2B", "+"))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    seen: list[str]


@pytest.fixture
def served(index: Run, out: Path, tmp_path: Path) -> Iterator[Server]:
    assert index(str(out))[0] == 0

    def handler(*arguments: Any) -> Handler:
        return Handler(*arguments, directory=str(tmp_path))

    with Server(("127.0.0.1", 0), handler) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A clean environment, without pip in it."""
    place = tmp_path / "environment"
    subprocess.run((BIN / "uv", "venv", "--quiet", "--python", sys.executable, place), check=True)
    return place


def installer(name: str, environment: Path, server: Server) -> tuple[str, ...]:
    url = f"http://127.0.0.1:{server.server_address[1]}/whl/{CUDA}/"
    python = str(environment / "bin/python")
    if name == "uv":
        return (
            str(BIN / "uv"),
            "pip",
            "install",
            "--no-cache",
            "--python",
            python,
            "--index-url",
            url,
        )
    quiet = ("--disable-pip-version-check", "--no-cache-dir", "--no-input")
    return (str(BIN / "pip"), "--python", python, "install", *quiet, "--index-url", url)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run an installer with nothing of this machine's settings."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    alone = {**ours, "NO_PROXY": "127.0.0.1", "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=alone)


def content(environment: Path, module: str) -> str:
    command = (environment / "bin/python", "-c", f"import {module}; print({module}.CONTENT)")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_the_wheel_for_the_device_and_machine_is_chosen(
    tool: str, served: Server, environment: Path
) -> None:
    install = installer(tool, environment, served)
    done = run(*install, "--no-deps", "flashinfer-jit-cache-sm121a")
    assert done.returncode == 0, done.stderr
    machine = os.uname().machine
    assert content(environment, "flashinfer_jit_cache_sm121a") == f"sm121a {machine}"
    wheels = [name for name in served.seen if name.endswith(".whl")]
    assert wheels == [
        f"flashinfer_jit_cache_sm121a-0.7.2+cu130-py3-none-manylinux_2_17_{machine}.whl"
    ]


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_dependencies_come_from_the_metadata_files(
    tool: str, served: Server, environment: Path
) -> None:
    install = installer(tool, environment, served)
    done = run(*install, "flashinfer-jit-cache==0.7.2")
    assert done.returncode == 0, done.stderr
    assert content(environment, "flashinfer_jit_cache") == "shim"
    assert content(environment, "flashinfer_jit_cache_sm120f").startswith("sm120f")
    assert content(environment, "flashinfer_jit_cache_sm121a") == ""
    names = [name for name in served.seen if ".whl" in name]
    # Resolved before anything was fetched.
    assert names.index(next(name for name in names if name.endswith(".whl"))) == 2
    assert all(name.endswith(".whl.metadata") for name in names[:2])


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_changed_wheel_is_not_installed(
    tool: str, served: Server, environment: Path, tmp_path: Path
) -> None:
    for wheel in (tmp_path / "whl").rglob("*sm121a*.whl"):
        _, _, tag = wheel.stem.partition("+cu130-")
        wheel.unlink()
        write_wheel(wheel.parent, "flashinfer-jit-cache-sm121a", "0.7.2+cu130", tag, content="bad")
    done = run(*installer(tool, environment, served), "flashinfer-jit-cache-sm121a")
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert content(environment, "flashinfer_jit_cache_sm121a") == ""


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_project_that_is_not_there_is_told(tool: str, served: Server, environment: Path) -> None:
    done = run(*installer(tool, environment, served), "flashinfer-jit-cache-sm110a")
    assert done.returncode != 0
    assert "flashinfer-jit-cache-sm110a" in done.stderr
