"""The targets `lmcache` and `connectors` on a real engine.

A package of one kernel stands for LMCache, and an empty environment for torch: what is fetched,
compiled, tagged and refused goes through the very steps that build LMCache in twenty minutes.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from smforge.bake.compilations import compilations_of
from smforge.bake.host import own_engine
from smforge.bake.inputs.rootfs import Rootfs, default_store, ensure_rootfs

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
TREE = Path(__file__).parent / "connector_tree"
SOURCES = json.loads((ROOT / "versions.json").read_text())["sources"]
VERSION = "0.0.1"
# The target of that name in docker-bake.hcl, without torch.
STAND_IN = """\
FROM base
ENV PATH=/opt/venv/bin:$PATH
RUN python3 -m venv /opt/venv
"""


@dataclass(frozen=True)
class Done:
    """What a bake said, and what it left."""

    code: int
    log: str
    out: Path

    @property
    def wheels(self) -> list[Path]:
        return sorted(self.out.rglob("*.whl"))


Bake = Callable[..., Done]


@pytest.fixture(scope="module")
def mark() -> str:
    """Nobody's cache knows the sources of this run, and nothing else says this."""
    return f"smforge-{uuid.uuid4()}"


@pytest.fixture(scope="module")
def sdist(mark: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in's source archive; its setup.py says the mark when it runs."""
    content = {path.relative_to(TREE): path.read_bytes() for path in TREE.rglob("*.*")}
    content[Path("setup.py")] += f"\nprint({mark!r})\n".encode()
    content[Path("kernel.cu")] += f"// {mark}\n".encode()
    content[Path("PKG-INFO")] = (
        f"Metadata-Version: 2.1\nName: lmcache\nVersion: {VERSION}\n".encode()
    )
    archive = tmp_path_factory.mktemp("index") / f"lmcache-{VERSION}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in sorted(content.items()):
            member = tarfile.TarInfo(f"lmcache-{VERSION}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return archive


@pytest.fixture(scope="module")
def pip_settings(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """This host's pip settings, and a place on the loopback network that has the archive."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(sdist.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        settings = tmp_path_factory.mktemp("pip") / "pip.conf"
        given = os.environ.get("PIP_CONFIG_FILE")
        if given and Path(given).is_file():
            shutil.copy(given, settings)
        link = f"find-links = http://127.0.0.1:{server.server_port}/"
        with settings.open("a") as file:
            file.write(f"\n[download]\n{link}\n")
        yield settings
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def bake(pip_settings: Path, sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """``bake("lmcache", LMCACHE_ARCHS="9.0")`` with the variables of ``demo`` and the stand-in."""
    place = tmp_path_factory.mktemp("bake")
    call = (sys.executable, "-m", "smforge", "build", "demo", f"--out={place / 'plan'}", "--print")
    environment = {**os.environ, **own_engine.settings(os.environ)}
    printed = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, check=True)
    variables = json.loads(printed.stdout)["builds"][0]["variables"]
    epoch = int(variables["SOURCE_DATE_EPOCH"])
    ensure_rootfs(Rootfs(variables["DEBIAN_SUITE"], "amd64", epoch), default_store())
    variables |= {
        "LMCACHE_VERSION": VERSION,
        "LMCACHE_SHA256": hashlib.sha256(sdist.read_bytes()).hexdigest(),
        "PIP_CONFIG": str(pip_settings),
        # The archive is served on this host's loopback network.
        "BUILD_NETWORK": "host",
    }
    stand_in = place / "stand-in.json"
    torch = {"dockerfile-inline": STAND_IN, "args": {}}
    stand_in.write_text(json.dumps({"target": {"torch": torch}}))
    files = ("docker-bake.hcl", "versions.json", str(stand_in))
    command = ("docker", "buildx", "bake", *(part for file in files for part in ("-f", file)))
    allow = ("--allow=network.host", "--allow=fs.read=/", f"--allow=fs.write={place}")

    def run(*arguments: str, **given: str) -> Done:
        out = place / uuid.uuid4().hex
        done = subprocess.run(
            (*command, *allow, "--progress=plain", *arguments),
            cwd=ROOT,
            env={**environment, **variables, "OUT_DIR": str(out), **given},
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout + done.stderr, out)

    return run


@pytest.fixture(scope="module")
def built(bake: Bake) -> Done:
    done = bake("lmcache", LMCACHE_ARCHS="9.0 12.0f")
    assert done.code == 0, done.log[-3000:]
    return done


def pin(distribution: str, version: str, files: dict[str, str]) -> str:
    hashes = " ".join(f"--hash=sha256:{digest}" for digest in files.values())
    return f"{distribution}=={version} {hashes}"


def audited(wheel: Path, words: str) -> int:
    command = (sys.executable, "-m", "smforge", "audit", str(wheel), "--require", words, "--quiet")
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode


def test_the_wheel_has_the_cuda_in_its_version_and_the_platform_that_its_libraries_need(
    built: Done,
) -> None:
    (wheel,) = built.wheels
    name, version, *tags = wheel.name.removesuffix(".whl").split("-")
    assert (name, version) == ("lmcache", f"{VERSION}+cu130")
    assert tags[2].startswith("manylinux_2_")


def test_exactly_what_was_asked_for_is_embedded(built: Done, mark: str) -> None:
    assert mark in built.log
    (wheel,) = built.wheels
    assert audited(wheel, "9.0 12.0 12.1 sm_90 12.0f") == 0
    for word in ("8.0", "10.0", "11.0", "sm_120"):
        assert audited(wheel, word) == 1, word


def test_a_second_build_comes_from_the_compiler_s_cache_and_is_the_same(
    bake: Bake, built: Done
) -> None:
    # Another number of jobs is another step to BuildKit, so that it runs again.
    again = bake("lmcache", LMCACHE_ARCHS="9.0 12.0f", MAX_JOBS="7")
    assert again.code == 0, again.log[-3000:]
    # BuildKit's number of the step and the time stand before each line.
    lines = (line.split(" ", 2)[-1] for line in again.log.splitlines())
    counted = compilations_of(lines)
    assert counted is not None, again.log[-3000:]
    assert {"sm_90", "sm_120f"} <= set(counted.targets)
    assert not any(one.misses for one in counted.targets.values())
    assert [one.read_bytes() for one in again.wheels] == [one.read_bytes() for one in built.wheels]


def test_a_shorter_list_does_not_get_the_longer_one_s_objects(bake: Bake, built: Done) -> None:
    """What reaches nvcc past torch counts for the compiler's cache too."""
    assert built.wheels
    done = bake("lmcache", LMCACHE_ARCHS="9.0")
    assert done.code == 0, done.log[-3000:]
    (wheel,) = done.wheels
    assert audited(wheel, "sm_90") == 0
    assert audited(wheel, "12.0f") == 1


def test_sources_with_another_digest_are_refused_before_they_run(bake: Bake, mark: str) -> None:
    done = bake("lmcache", LMCACHE_ARCHS="9.0", LMCACHE_SHA256="0" * 64)
    assert done.code != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.log
    assert mark not in done.log
    assert not done.wheels


def test_a_connector_of_the_other_cuda_is_refused(bake: Bake) -> None:
    source = SOURCES["nixl"]["12"]
    done = bake("connectors", CONNECTORS=pin("nixl-cu12", source["version"], source["files"]))
    assert done.code != 0
    assert f"error: nixl-cu12 {source['version']} needs libcudart.so.12 (CUDA 12) in " in done.log
    assert "this variant is for CUDA 13 (cu130)." in done.log
    assert not done.wheels


def test_a_wheelhouse_holds_one_cuda_and_a_lock_of_all_that_it_needs(bake: Bake) -> None:
    source = SOURCES["nixl"]["13"]
    version = source["version"]
    done = bake(
        "connectors",
        CONNECTORS=pin("nixl-cu13", version, source["files"]),
        DISPATCHERS=pin("nixl", version, source["dispatcher"]["files"]),
    )
    assert done.code == 0, done.log[-3000:]
    assert [one.name.split("-")[:2] for one in done.wheels] == [
        ["nixl", f"{version}+cu130"],
        ["nixl_cu13", version],
    ]
    lock = (done.out / "connectors" / "requirements.txt").read_text()
    for wheel in done.wheels:
        assert hashlib.sha256(wheel.read_bytes()).hexdigest() in lock
    pins = dict(re.findall(r"^([a-z0-9-]+)==([^ \\]+)", lock, re.MULTILINE))
    assert pins["torch"] == "2.14.0"
    assert pins["nvidia-cuda-runtime"].startswith("13.")
    assert not [name for name in pins if "cu12" in name]


def test_buildkit_finds_nothing_to_warn_of(bake: Bake) -> None:
    done = bake("validate-lmcache", "validate-connectors")
    assert done.code == 0, done.log
    assert done.log.count("Check complete, no warnings found.") == 2
