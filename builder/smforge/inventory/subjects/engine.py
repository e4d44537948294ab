"""``image:REF``: an image of the Docker Engine, streamed out of ``docker image save``.

The command line is used rather than the engine's API because it alone knows where the engine is:
contexts, DOCKER_HOST over ssh, TLS. Nothing is written to disk and no container is created.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO

from smforge.errors import ToolError, UsageError
from smforge.inventory.formats.limits import Limits
from smforge.inventory.images.streamed import StreamedSource
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects.image import ImageSubject
from smforge.oci.parts import PART_BYTES

_INSPECT_SECONDS = 60
_EXIT_SECONDS = 30


class EngineSource(StreamedSource):
    """The archive that ``docker image save`` writes to a pipe."""

    def __init__(self, reference: str, limits: Limits, *, platform: str | None) -> None:
        """Start the command. `close` ends it."""
        # One image is asked for, so whatever name the archive gives it is the right one.
        self._errors: IO[bytes] = tempfile.TemporaryFile(prefix="smforge-")  # noqa: SIM115
        self._process = subprocess.Popen(
            ["docker", "image", "save", reference],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        where = f"The image {reference}"
        super().__init__(self._archive(), where, limits, reference=None, platform=platform)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _archive(self) -> Iterator[bytes]:
        pipe = self._process.stdout
        if pipe is None:
            raise ValueError("the process was started without a pipe")
        # The default of 64 KiB makes both sides wait for one another.
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PART_BYTES)
        while part := os.read(pipe.fileno(), PART_BYTES):
            yield part
        if self._process.wait(_EXIT_SECONDS) != 0:
            self._errors.seek(0)
            said = self._errors.read(4096).decode(errors="replace").strip()
            raise ToolError(f"docker image save failed: {said or 'it gave no reason'}.")


def open_subject(argument: str, options: ReadOptions) -> ImageSubject:
    """Open the image `argument`, a name or an identifier as the engine takes it.

    Raises `UsageError` when the engine does not have it and `ToolError` when no engine answers.
    """
    _require_image(argument)
    source = EngineSource(argument, options.limits, platform=options.platform)
    return ImageSubject(source, argument, options.limits)


def _require_image(reference: str) -> None:
    if reference.startswith("-") or not reference:
        raise UsageError(f"{reference!r} is not the name of an image.")
    try:
        found = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", reference],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSPECT_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise ToolError(
            "The command docker is not installed, so images of an engine cannot be read.",
            remedy="Install Docker's command line, or save the image elsewhere and audit "
            "archive:FILE.tar.",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"The Docker Engine did not answer within {_INSPECT_SECONDS} seconds.",
            remedy="Check it with docker info.",
        ) from error
    if found.returncode == 0:
        return
    said = found.stderr.strip()
    if "No such image" in said or "invalid reference" in said:
        raise UsageError(
            f"The engine has no image {reference}.",
            remedy="Pull it, or read it from its registry: registry:HOST/NAME:TAG.",
        )
    raise ToolError(
        f"The Docker Engine cannot be asked for images: {said or 'docker gave no reason'}.",
        remedy="Start the engine, or set DOCKER_HOST or docker context to one.",
    )
