"""Runs configurations: each in a private workspace, several at a time, with their results in the
cache.

Nothing outside the temporary directories is written but the cache; an interrupt ends the programs
and all they started, and takes the directories with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from smforge.preflight import flashinfer, vllm
from smforge.preflight.cache import Cache
from smforge.preflight.probe.workspace import Workspace
from smforge.preflight.records import Configuration
from smforge.preflight.request import Request
from smforge.preflight.sources.tree import Project, Source, copy_inputs, require_project

_AT_ONCE = min(8, max(2, os.cpu_count() or 2))
"""The programs are single-threaded: as many as there are cores, and no more, for the memory."""
_WAYS = {Project.VLLM: vllm, Project.FLASHINFER: flashinfer}


def configure(requests: Sequence[Request], cache: Cache) -> tuple[Configuration, ...]:
    """Run every request that the cache has no answer for.

    Raises `ToolError` when a program is missing or fails for a reason that is not the sources'
    own refusal, and `UsageError` when an archive does not hold what its name says.
    """
    found = {request.list: cache.load(request) for request in requests}
    waiting = list({one.list: one for one in requests if found[one.list] is None}.values())
    for start in range(0, len(waiting), _AT_ONCE):
        for request, configuration in _run_together(waiting[start : start + _AT_ONCE], cache):
            cache.store(request, configuration)
            found[request.list] = configuration
    return tuple(one for request in requests if (one := found[request.list]) is not None)


def source_root(source: Source, cache: Cache) -> Path:
    """A directory with the build inputs, to be read only.

    It is the tree itself, or an archive unpacked in the cache.
    """
    return _kept_copy(source, cache) if source.archive else source.path


def _kept_copy(source: Source, cache: Cache) -> Path:
    root = cache.unpacked(source, lambda into: copy_inputs(source, into))
    require_project(root, source.project, source.path)
    return root


def _run_together(
    requests: Sequence[Request], cache: Cache
) -> Iterator[tuple[Request, Configuration]]:
    with contextlib.ExitStack() as stack:
        running = [
            (request, *stack.enter_context(_running(request, cache))) for request in requests
        ]
        for request, workspace, process in running:
            code = None if process is None else process.wait()
            yield request, _WAYS[request.source.project].result(request, workspace, code)


@contextlib.contextmanager
def _running(
    request: Request, cache: Cache
) -> Iterator[tuple[Workspace, subprocess.Popen[bytes] | None]]:
    """A running program in a separate directory; both end with the context."""
    with tempfile.TemporaryDirectory(prefix="smforge-preflight-") as name:
        workspace = Workspace(Path(name).resolve(), request.externals)
        _provide_tree(request.source, workspace, cache)
        launch = _WAYS[request.source.project].launch(request, workspace, cache)
        if launch is None:
            yield workspace, None
            return
        with workspace.log.open("wb") as log:
            process = subprocess.Popen(
                launch.arguments,
                env=dict(launch.environment),
                cwd=workspace.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield workspace, process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and everything it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _provide_tree(source: Source, workspace: Workspace, cache: Cache) -> None:
    """Put a private copy of the build inputs where the workspace has its tree.

    vLLM's generators write among the sources, so every run has its own. FlashInfer's write into
    a build directory only, and its sources are large: its runs share one copy in the cache.
    """
    if source.project is Project.FLASHINFER:
        workspace.tree.symlink_to(_kept_copy(source, cache), target_is_directory=True)
    elif source.archive:
        shutil.copytree(_kept_copy(source, cache), workspace.tree)
    else:
        workspace.tree.mkdir()
        copy_inputs(source, workspace.tree)
