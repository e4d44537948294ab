"""compile.sh with a cache that machines share: a real Redis with a password, real ccache and g++.

The script that it drives in the image is replaced by one that compiles a single file, so that
neither torch nor vLLM is needed.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from smforge.bake.host import own_engine

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
OPTIONS = ("--allow=network.host", "--allow=fs.read=/", "--progress=plain", "shared")

# The steps of docker/vllm/Dockerfile, on the base alone.
BAKE = """
target "shared" {{
  inherits = ["_common"]
  context  = "{context}"
  contexts = {{
    base   = "target:base"
    script = "docker/vllm"
  }}
  secret   = ["id=ccache-remote,env=SMFORGE_CCACHE_REMOTE"]
  no-cache = true
  output   = ["type=cacheonly"]
  dockerfile-inline = <<-DOCKERFILE
    FROM base
    RUN mkdir -p /opt/tools /src/csrc && ln -s /usr/bin/python3 /usr/local/bin/python
    COPY --from=script compile.sh /opt/tools/
    COPY build_wheel.py /opt/tools/
    COPY x.cc /src/
    ARG MACHINE
    ENV VLLM_FROM=sdist VLLM_SHA256={run} VLLM_VERSION=1 VLLM_ARCHS=12.1a VLLM_EXTENSIONS= \\
        CUDA_TAG=cu130 MAX_JOBS=1 NVCC_THREADS=1
    RUN --mount=type=secret,id=ccache-remote,required=true \\
        --mount=type=cache,id=smforge-test-{run}-{machine},target=/var/cache/ccache \\
        CCACHE_REMOTE_STORAGE="$(cat /run/secrets/ccache-remote)" sh /opt/tools/compile.sh
  DOCKERFILE
}}
"""
COMPILES_ONE_FILE = """
import subprocess
command = ("ccache", "g++", "-MD", "-c", "/src/x.cc", "-o", "/tmp/x.o")
subprocess.run(command, cwd="/src", check=True)
"""


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
    server = tmp_path / "redis-server"  # the program is told by its name what it is
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


@pytest.fixture
def compile_on(demo_variables: dict[str, str], redis: str, tmp_path: Path) -> Callable[[str], str]:
    """Compile on a machine with an empty cache of its own; gives everything that was printed."""
    run = uuid.uuid4().hex
    context = tmp_path / "context"
    context.mkdir()
    (context / "build_wheel.py").write_text(COMPILES_ONE_FILE)
    (context / "x.cc").write_text(f"int x{run}() {{ return 1; }}\n")

    def compiled(machine: str) -> str:
        definition = tmp_path / f"{machine}.hcl"
        definition.write_text(BAKE.format(context=context, run=run, machine=machine))
        done = subprocess.run(
            ["docker", "buildx", "bake", "-f", "docker-bake.hcl", "-f", definition, *OPTIONS],
            cwd=ROOT,
            env={
                **os.environ,
                **own_engine.settings(os.environ),
                **demo_variables,
                "BUILD_NETWORK": "host",  # Redis listens on loopback
                "SMFORGE_CCACHE_REMOTE": redis,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stderr

    return compiled


def remote_hits(log: str) -> int:
    """ccache's count, the figure after the words ``Remote storage:``."""
    found = re.search(r"Remote storage:.*?Hits:\s+(\d+)", log, re.DOTALL)
    assert found, log[-3000:]
    return int(found[1])


def test_a_second_machine_takes_from_the_shared_cache_what_the_first_compiled(
    compile_on: Callable[[str], str], redis: str
) -> None:
    first, second = compile_on("first"), compile_on("second")
    assert remote_hits(first) == 0
    assert remote_hits(second) > 0
    password = urlsplit(redis).password
    assert password is not None
    assert password not in first + second
