"""The target `vllm` through the compile cache: real sccache, nvcc, engine, S3 server and Redis.

Only torch and vLLM are replaced: by an empty environment and by a checkout of vLLM's shape whose
CMake compiles two files, so that neither gigabytes nor minutes are needed.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.canary import Canary
from smforge.bake.compilations import CacheCount, Compilations, compilations_of
from smforge.bake.host import own_engine
from tests.locked_tools import installed

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "tests" / "toolchains" / "s3-server.txt"
EMPTY = "SCCACHE_DIR=/tmp/empty\n"
"""Makes each step a machine that has compiled nothing: the directory is asked before the store."""
OPTIONS = ("--allow=network.host", "--allow=fs=/", "--progress=plain")

OVERRIDE = """
target "environment" {
  inherits = ["_common"]
  contexts = { base = "target:base" }
  dockerfile-inline = <<-DOCKERFILE
    FROM base
    ENV PATH=/opt/venv/bin:$PATH
    RUN python3 -m venv /opt/venv
  DOCKERFILE
}
target "vllm" {
  contexts = { torch = "target:environment" }
  attest   = ["type=provenance,mode=max"]
}
target "compiled" {
  inherits = ["vllm"]
  target   = "compiled"
}
# Looks for the secret where a step can have left it, and then for one that is really there.
target "searched" {
  inherits = ["_common"]
  contexts = { compiled = "target:compiled" }
  secret   = secret("sccache", SMFORGE_SCCACHE)
  output   = ["type=cacheonly"]
  dockerfile-inline = <<-DOCKERFILE
    FROM compiled
    RUN --mount=type=secret,id=sccache,required=true <<SH
        set -eu
        sed -n s/^AWS_SECRET_ACCESS_KEY=//p /run/secrets/sccache >/dev/shm/secret
        found() { grep -rlFf /dev/shm/secret /etc /home /opt /root /src /tmp /var /wheel; }
        ! found
        cp /dev/shm/secret /tmp/planted
        found
        rm /tmp/planted
    SH
  DOCKERFILE
}
"""

SETUP = """
import os, pathlib, shutil, subprocess
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

class cmake_build_ext(build_ext):
    def build_extension(self, extension):
        launcher = shutil.which("sccache")
        place = pathlib.Path(self.build_temp)
        library = pathlib.Path(self.get_ext_fullpath(extension.name)).resolve()
        assert launcher, "the build has no compile cache"
        settings = [f"-DCMAKE_{one}_COMPILER_LAUNCHER={launcher}" for one in ("CXX", "CUDA")]
        threads = f"-DNVCC_THREADS={os.environ['NVCC_THREADS']}"
        configure = ["cmake", "-G", "Ninja", "-S", ".", "-B", place, threads, *settings]
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", place, "-j", os.environ["MAX_JOBS"]], check=True)
        library.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(place / "_C.so", library)

setup(
    version=os.environ["VLLM_VERSION_OVERRIDE"],
    ext_modules=[Extension("vllm._C", sources=[], py_limited_api=True)],
    rust_extensions=[],
    cmdclass={"build_ext": cmake_build_ext},
)
"""
CHECKOUT = {
    "setup.py": SETUP,
    "pyproject.toml": """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "vllm"
dynamic = ["version"]
[tool.setuptools]
packages = ["vllm"]
""",
    "vllm/__init__.py": "",
    "CMakeLists.txt": """
cmake_minimum_required(VERSION 3.26)
set(CMAKE_CUDA_ARCHITECTURES OFF)
project(small LANGUAGES CXX CUDA)
add_library(_C MODULE csrc/kernels.cu csrc/host.cc)
target_compile_options(_C PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--threads=${NVCC_THREADS}
    -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_120f,code=sm_120f>)
set_target_properties(_C PROPERTIES PREFIX "")
""",
    "csrc/kernels.cu": """
#ifdef __CUDA_ARCH__
#include "device_only.h"
#else
#define AMOUNT 0
#endif
namespace { __global__ void add(int* to) { to[threadIdx.x] += AMOUNT; } }
int start(int* to) { add<<<1, 32>>>(to); return AMOUNT; }
""",
    "csrc/host.cc": "int start(int*);\nint both(int* to) { return start(to) + 1; }\n",
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """An empty bucket and who may use it."""

    endpoint: str
    name: str
    key: str
    secret: str

    def settings(self, secret: str | None = None) -> str:
        """The file of SMFORGE_SCCACHE."""
        return (
            "# the cache of the tests\n"
            f"{EMPTY}"
            f"SCCACHE_BUCKET={self.name}\nSCCACHE_ENDPOINT={self.endpoint}\n"
            f"SCCACHE_REGION=us-east-1\nSCCACHE_S3_KEY_PREFIX=vllm\n"
            f"AWS_ACCESS_KEY_ID={self.key}\nAWS_SECRET_ACCESS_KEY={secret or self.secret}\n"
        )


@pytest.fixture(scope="module")
def libraries() -> Path:
    """The S3 server and its client, which the project itself has no use for."""
    return installed(LOCK, "s3-server")


# The server lets these four pass, so that somebody exists, and checks every signature from then on.
MAKE_BUCKET = """
import boto3, json, sys
endpoint, bucket = sys.argv[1:]
anybody = dict(endpoint_url=endpoint, region_name="us-east-1",
               aws_access_key_id="anybody", aws_secret_access_key="anybody")
iam = boto3.client("iam", **anybody)
iam.create_user(UserName="builder")
key = iam.create_access_key(UserName="builder")["AccessKey"]
everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
iam.put_user_policy(UserName="builder", PolicyName="cache", PolicyDocument=policy)
boto3.client("s3", **anybody).create_bucket(Bucket=bucket)
print(json.dumps([key["AccessKeyId"], key["SecretAccessKey"]]))
"""


@pytest.fixture
def bucket(
    libraries: Path, answers: Callable[[int, subprocess.Popen[bytes]], None], tmp_path: Path
) -> Iterator[Bucket]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    endpoint, name = f"http://127.0.0.1:{port}", f"cache-{uuid.uuid4().hex}"
    environment = {**os.environ, "PYTHONPATH": str(libraries)}
    with (tmp_path / "s3.log").open("wb") as log:
        server = subprocess.Popen(
            (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
            env={**environment, "INITIAL_NO_AUTH_ACTION_COUNT": "4"},
            stdout=log,
            stderr=log,
        )
    try:
        answers(port, server)
        made = subprocess.run(
            (sys.executable, "-c", MAKE_BUCKET, endpoint, name),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        yield Bucket(endpoint, name, *json.loads(made.stdout))
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def redis(
    debian_package: Callable[[str], Path],
    answers: Callable[[int, subprocess.Popen[bytes]], None],
    tmp_path: Path,
) -> Iterator[str]:
    """A Redis on loopback that asks for a password; gives its URL with the password in it."""
    needed = ("libjemalloc2", "liblzf1")
    libraries = {
        str(file.parent) for name in needed for file in debian_package(name).rglob("*.so*")
    }
    (program,) = debian_package("redis-tools").rglob("redis-check-rdb")
    server = tmp_path / "redis-server"  # its name decides what the program is
    server.symlink_to(program)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    password = f"canary{uuid.uuid4().hex}"
    settings = ("--port", str(port), "--bind", "127.0.0.1", "--requirepass", password)
    process = subprocess.Popen(
        [server, *settings, "--save", "", "--daemonize", "no", "--dir", tmp_path],
        env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)},
        stdout=subprocess.DEVNULL,
    )
    try:
        answers(port, process)
        yield f"redis://default:{password}@127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True, slots=True)
class Build:
    """What one build left on the host."""

    status: int
    log: str
    out: Path

    @property
    def wheel(self) -> bytes:
        (found,) = self.out.rglob("*.whl")
        return found.read_bytes()

    @property
    def compilations(self) -> Compilations:
        """What the step says that it compiled, per target."""
        lines = (line.partition(" ")[2].partition(" ")[2] for line in self.log.splitlines())
        found = compilations_of(lines)
        assert found is not None, self.log[-3000:]
        return found

    def count(self, words: str) -> int:
        """A figure of sccache's own statistics."""
        found = re.search(rf" {words}\s+(\d+)$", self.log, re.MULTILINE)
        assert found, self.log[-3000:]
        return int(found[1])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    place = tmp_path / "checkout"
    # The number makes what this run compiles unknown to every other run.
    texts = {**CHECKOUT, "csrc/device_only.h": f"#define AMOUNT {uuid.uuid4().int >> 98}\n"}
    for name, text in texts.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    git = ("git", "-C", place, "-c", "user.name=x", "-c", "user.email=x@example.invalid")
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-qm", "x"), ("tag", "v1.0.0")):
        subprocess.run((*git, *arguments), check=True)
    return place


@pytest.fixture
def build(
    demo_variables: dict[str, str], checkout: Path, tmp_path: Path
) -> Callable[[str, str], Build]:
    """``build(settings, target)``, on a machine that has compiled nothing yet.

    Another number of jobs each time makes the engine carry the step out again. Without its cache
    BuildKit would give the step an empty mount and keep that one: all that the builder has
    compiled would be lost.
    """
    (tmp_path / "externals").mkdir()
    (tmp_path / "override.hcl").write_text(OVERRIDE)
    numbers = iter(range(9))

    def bake(settings: str, target: str = "vllm") -> Build:
        number = next(numbers)
        out = tmp_path / f"out-{number}"
        file = tmp_path / "sccache.env"
        file.write_text(settings)
        files = ("-f", "docker-bake.hcl", "-f", str(tmp_path / "override.hcl"))
        done = subprocess.run(
            ("docker", "buildx", "bake", *files, *OPTIONS, target),
            cwd=ROOT,
            env={
                **os.environ,
                **own_engine.settings(os.environ),
                **demo_variables,
                "BUILD_NETWORK": "host",  # the S3 server listens on loopback
                "EXTERNALS_DIR": str(tmp_path / "externals"),
                "NVCC_THREADS": "2",
                "OUT_DIR": str(out),
                "SMFORGE_SCCACHE": str(file) if settings else "",
                "MAX_JOBS": str(1 + number),
                "VLLM_ARCHS": "8.0 12.0f",
                "VLLM_SOURCE": str(checkout),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return Build(done.returncode, done.stderr, out)

    return bake


def test_a_second_machine_takes_from_the_bucket_what_the_first_compiled(
    build: Callable[..., Build], bucket: Bucket, tmp_path: Path
) -> None:
    first, second = build(bucket.settings()), build(bucket.settings())
    assert (first.status, second.status) == (0, 0), (first.log + second.log)[-6000:]
    assert first.count("Cache hits") == 0
    # The host compiler twice, nvcc's front end once, and a PTX and a cubin for each target.
    assert first.count("Cache misses") == second.count("Cache hits") == 7
    assert second.count("Cache misses") == 0
    assert first.wheel == second.wheel
    (tmp_path / "build.log").write_text(first.log + second.log)
    assert [*first.out.rglob("provenance.json")]
    canary = Canary(bucket.secret.encode())
    assert [*canary.places(tmp_path)] == [str(tmp_path / "sccache.env")]


def test_a_header_that_only_device_code_includes_is_part_of_the_key(
    build: Callable[..., Build], bucket: Bucket, checkout: Path
) -> None:
    first = build(bucket.settings())
    (checkout / "csrc" / "device_only.h").write_text("#define AMOUNT 5\n")
    second = build(bucket.settings())
    assert (first.status, second.status) == (0, 0), (first.log + second.log)[-6000:]
    assert second.count(r"Cache misses \(PTX\)") == 2
    assert first.wheel != second.wheel


def test_no_layer_holds_the_buckets_secret(build: Callable[..., Build], bucket: Bucket) -> None:
    searched = build(bucket.settings(), "searched")
    assert searched.status == 0, searched.log[-3000:]
    assert "/tmp/planted" in searched.log


def test_a_second_machine_takes_from_redis_what_the_first_compiled(
    build: Callable[..., Build], redis: str
) -> None:
    address = urlsplit(redis)
    settings = (
        f"{EMPTY}SCCACHE_REDIS_ENDPOINT=tcp://{address.hostname}:{address.port}\n"
        f"SCCACHE_REDIS_PASSWORD={address.password}\n"
    )
    first, second = build(settings), build(settings)
    assert (first.status, second.status) == (0, 0), (first.log + second.log)[-6000:]
    assert first.count("Cache hits") == second.count("Cache misses") == 0
    assert first.wheel == second.wheel
    assert address.password is not None
    assert address.password not in first.log + second.log


def test_without_a_store_the_builders_own_cache_serves(build: Callable[..., Build]) -> None:
    """What a cached build makes is byte for byte what the first made from nothing."""
    first, second = build(""), build("")
    assert (first.status, second.status) == (0, 0), (first.log + second.log)[-6000:]
    machine_code = {"sm_80", "sm_120f"}
    assert machine_code <= set(first.compilations.targets)
    assert {name: first.compilations.targets[name] for name in machine_code} == dict.fromkeys(
        machine_code, CacheCount(hits=0, misses=1)
    )
    assert {name: second.compilations.targets[name] for name in machine_code} == dict.fromkeys(
        machine_code, CacheCount(hits=1, misses=0)
    )
    # What the compilers took is measured in the container.
    assert {one.unit for one in first.compilations.hungriest} >= {"/src/csrc/kernels.cu"}
    assert not any(one.misses for one in second.compilations.targets.values())
    assert (second.compilations.not_cached, second.compilations.errors) == ({}, 0)
    assert first.wheel == second.wheel
    # The control group of the step says it, and not that of the machine.
    assert first.compilations.cpu_seconds is not None
    assert 0 < first.compilations.cpu_seconds < 600
    assert first.compilations.wall_seconds is not None
    assert 0 < first.compilations.wall_seconds < 600


def test_a_store_that_does_not_answer_stops_no_build(build: Callable[..., Build]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    away = build(f"SCCACHE_WEBDAV_ENDPOINT=http://127.0.0.1:{port}\n")
    assert away.status == 0, away.log[-3000:]
    assert "warning: the shared compile cache does not answer" in away.log
    assert away.compilations.targets["sm_80"] == CacheCount(hits=0, misses=1)


def test_credentials_that_the_bucket_refuses_end_the_build_with_its_reason(
    build: Callable[..., Build], bucket: Bucket
) -> None:
    wrong = f"canary{uuid.uuid4().hex}"
    refused = build(bucket.settings(wrong))
    assert refused.status == 1
    assert "sccache: error: cache storage failed to read: PermissionDenied" in refused.log
    assert "SignatureDoesNotMatch" in refused.log
    assert wrong not in refused.log
