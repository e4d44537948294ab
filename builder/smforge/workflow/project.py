"""Lays out a project: a folder in which ``smforge plan`` and ``smforge build`` work."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from smforge.errors import UsageError
from smforge.matrix.load import DEFAULT_FILE, load
from smforge.matrix.place import BAKE_FILE, shipped_project
from smforge.matrix.schema import SCHEMA_FILE
from smforge.matrix.starter import SCHEMA_NAME, starter
from smforge.plan.defaults import renew
from smforge.plan.resolve import resolve
from smforge.version import __version__

PIPELINES = {
    "github": Path(".github", "workflows", "release.yml"),
    "buildkite": Path(".buildkite", "pipeline.yml"),
}
"""The kinds of CI pipeline, each with the file in which its service looks for it."""
_COPIED = (Path(BAKE_FILE), Path("docker"), Path("tools", "engine"))
_MAKEFILE = Path(__file__).parent / "data" / "project.mk"
_NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")


def lay_out(
    folder: Path, variants: Sequence[str] = (), pipelines: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Make `folder` a project with these variants of the shipped matrix; the default one if none.

    Returns what was written, below `folder`. `pipelines` are keys of `PIPELINES`. Nothing that is
    there is changed. Raises `UsageError` where one of these paths exists or cannot be written, and
    for a variant that the shipped matrix lacks; then nothing is written.
    """
    folder = folder.resolve()
    try:
        # On the file system of the folder, so that each move is a rename. Only a folder that is
        # there is sure to be one that the user may write to.
        folder.parent.mkdir(parents=True, exist_ok=True)
        near = folder if folder.is_dir() else folder.parent
        with tempfile.TemporaryDirectory(dir=near, prefix=".smforge-init-") as work:
            made = Path(work)
            written = tuple(_make(made, variants, pipelines))
            if taken := [str(one) for one in written if os.path.lexists(folder / one)]:
                raise UsageError(
                    f"{folder} already has {', '.join(taken)}.",
                    remedy="Name a folder without them; nothing was written.",
                )
            # What can fail comes before the first move.
            for one in written:
                (folder / one).parent.mkdir(parents=True, exist_ok=True)
            for one in written:
                (made / one).replace(folder / one)
    except OSError as error:
        raise UsageError(
            f"Cannot lay out a project in {folder}: {error.strerror or error}.",
            remedy="Name a folder that you may write to.",
        ) from error
    return written


def _make(made: Path, variants: Sequence[str], pipelines: Sequence[str]) -> Iterator[Path]:
    """Write the project's files and folders, and give the path of each."""
    shipped = shipped_project()
    for one in _COPIED:
        _copy(shipped / one, made / one)
        yield one
    text = starter((shipped / DEFAULT_FILE).read_text(encoding="utf-8"), variants)
    matrix = made / DEFAULT_FILE
    matrix.write_text(text, encoding="utf-8")
    renew(matrix)
    yield DEFAULT_FILE
    shutil.copyfile(SCHEMA_FILE, made / SCHEMA_NAME)
    yield Path(SCHEMA_NAME)
    if pipelines:
        makefile = _MAKEFILE.read_text(encoding="utf-8").replace("{version}", __version__)
        (made / "Makefile").write_text(makefile, encoding="utf-8")
        yield Path("Makefile")
        yield from _make_pipelines(made, pipelines)


def _make_pipelines(made: Path, pipelines: Sequence[str]) -> Iterator[Path]:
    from smforge.plan.pipelines import buildkite, github  # noqa: PLC0415  # defers pipelines

    plan = resolve(load(made / DEFAULT_FILE))
    for kind in dict.fromkeys(pipelines):
        file = made / PIPELINES[kind]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((github if kind == "github" else buildkite)(plan), encoding="utf-8")
        yield PIPELINES[kind]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=_NOT_SHIPPED)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
