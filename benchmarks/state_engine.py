"""A Docker Engine of `tools/engine`, with a state directory of its own, that may be killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from smforge.bake.host import own_engine

ROOT = Path(__file__).parents[1]
_TOOL = str(ROOT / "tools" / "engine")
_OF_AN_ENGINE = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "BUILD_NETWORK")
_PROGRAMS = frozenset({"dockerd", "containerd", "containerd-shim"})
_END_SECONDS = 30.0


class StateEngine:
    """A dockerd with its containerd. Everything that it writes is below one directory."""

    def __init__(self, state: Path) -> None:
        self.state = state
        kept = {name: text for name, text in os.environ.items() if name not in _OF_AN_ENGINE}
        self._environment = {**kept, "SMFORGE_STATE": str(state)}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command that uses it, as it is while the engine answers or not."""
        socket = self.state / "run" / "docker.sock"
        leads = {"DOCKER_HOST": f"unix://{socket}", "BUILD_NETWORK": "host"}
        return {**self._environment, **own_engine.settings(self._environment), **leads}

    def take_programs(self, state: Path) -> None:
        """Use the programs that another state directory has unpacked."""
        self.state.mkdir(parents=True)
        (self.state / "root").symlink_to(state / "root")
        plugins = self.state / "client" / "cli-plugins"
        plugins.mkdir(parents=True)
        plugin = state / "root/usr/libexec/docker/cli-plugins/docker-buildx"
        (plugins / "docker-buildx").symlink_to(plugin)

    def start(self) -> None:
        """Start it. Raises `RuntimeError` where it does not answer in a minute."""
        self._tool("start")

    def kill(self, *others: int) -> None:
        """End it as a crash does, together with other processes.

        All are stopped first, so that none sees the end of another.
        """
        own = self.processes()
        for one in (signal.SIGSTOP, signal.SIGKILL):
            for process in (*others, *own):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, one)
        deadline = time.monotonic() + _END_SECONDS
        # An ended process has its number until init has asked for its end.
        while any(Path(f"/proc/{one}").exists() for one in own) and (time.monotonic() < deadline):
            time.sleep(0.02)

    def processes(self) -> tuple[int, ...]:
        """dockerd, its containerd and the shims."""
        return tuple(self._found())

    def remove(self) -> None:
        """Stop it, and remove everything that it wrote."""
        with contextlib.suppress(RuntimeError):
            self._tool("stop")
        for place in reversed(self.mounts()):
            subprocess.run(("umount", "--lazy", place), check=False)
        shutil.rmtree(self.state, ignore_errors=True)

    def mounts(self) -> tuple[str, ...]:
        """What is mounted below its directory."""
        lines = Path("/proc/self/mounts").read_text().splitlines()
        places = (line.split()[1] for line in lines)
        return tuple(place for place in places if place.startswith(f"{self.state}/"))

    def _found(self) -> Iterator[int]:
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = command.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            program = Path(words[0]).name.removesuffix("-runc-v2")
            if program in _PROGRAMS and any(str(self.state) in word for word in words[1:]):
                yield int(command.parent.name)

    def _tool(self, verb: str) -> None:
        # Its dockerd keeps the files that it inherits, so none may be a pipe that is waited for.
        log = self.state / "tool.log"
        with log.open("wb") as stream:
            done = subprocess.run(
                (_TOOL, verb), env=self._environment, stdout=stream, stderr=stream, check=False
            )
        if done.returncode != 0:
            raise RuntimeError(f"tools/engine {verb}: {log.read_text()[-2000:]}")
