"""One commit of a git repository with its submodules, fetched without history.

With a mirror nothing but the mirror is asked: repositories stand in it where their URL says,
``MIRROR/github.com/nvidia/cutlass.git``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smforge.bake.inputs.origin import Origin, last_line, unreachable
from smforge.errors import BuildFailedError
from smforge.plan.records import PlannedExternal

_OBJECT = r"(?P<object>[0-9a-f]{40})"
_LACKS_OBJECT = tuple(
    re.compile(pattern)
    for pattern in (
        rf"Fetched in submodule path '(?P<submodule>[^']+)', but it did not contain {_OBJECT}",
        rf"not our ref {_OBJECT}",
        rf"(?:unable to read|bad object|bad tree object|missing \w+|Could not read) {_OBJECT}",
    )
)
"""git's words (2.39 to 2.51) for an object that a repository does not have, the plainest first."""
_NO_REPOSITORY = re.compile(
    r"'(?P<repository>[^']+)' does not appear to be a git repository"
    r"|repository '(?P<url>[^']+)' (?:not found|does not exist)"
)


def check_out(external: PlannedExternal, commit: str, origin: Origin, into: Path) -> None:
    """Lay a commit and its submodules out in `into`, and leave no repository behind.

    Raises `BuildFailedError`, which names the object or the repository that is not there.
    """
    git = _Git(external, origin)
    with _made_whole(into) as work:
        git("init", "--quiet", str(work))
        git("-C", str(work), "remote", "add", "origin", external.location)
        git("-C", str(work), "fetch", "--quiet", "--depth=1", "--no-tags", "origin", commit)
        _require_tag(external, commit, git("-C", str(work), "ls-remote", "--tags", "origin"))
        git("-C", str(work), "checkout", "--quiet", "--detach", commit)
        paths = external.submodules
        if paths is None or paths:
            update = ("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
            git("-C", str(work), *update, "--", *(paths or ()))
        for repository in [*work.rglob(".git")]:
            shutil.rmtree(repository) if repository.is_dir() else repository.unlink()


def _require_tag(external: PlannedExternal, commit: str, listed: str) -> None:
    """Raise `BuildFailedError` where the repository has the release's tag at another commit.

    A tag that the repository does not have says nothing.
    """
    at = _commit_of(str(external.release), listed)
    if at is not None and at != commit:
        raise BuildFailedError(
            f"{external.location} has {external.release} at {at}, and versions.json pins "
            f"{external.name} to {commit} as that release.",
            remedy="Find out which is meant, and correct the tag or the commit in versions.json.",
        )


def commit_of_tag(url: str, tag: str, origin: Origin) -> str | None:
    """The commit that a tag of a repository names now; None where the repository has no such tag.

    Raises `BuildFailedError` where the repository cannot be reached.
    """
    repository = PlannedExternal(url, "git", url, None, tag, None, None, None)
    return _commit_of(tag, _Git(repository, origin)("ls-remote", "--tags", url))


def _commit_of(tag: str, listed: str) -> str | None:
    """The commit of a tag in the output of ``git ls-remote --tags``.

    Of an annotated tag the line that ends in ``^{}`` names the commit, and comes last.
    """
    name = f"refs/tags/{tag}"
    lines = (line.split("\t") for line in listed.splitlines() if "\t" in line)
    at = [commit for commit, of in lines if of in {name, f"{name}^{{}}"}]
    return at[-1] if at else None


class _Git:
    """Runs git so that it asks nobody anything and, with a mirror, nothing but the mirror."""

    def __init__(self, external: PlannedExternal, origin: Origin) -> None:
        self._external = external
        self._mirror = None if origin.mirror is None else origin.mirror.resolve()
        settings = {"core.hooksPath": os.devnull, "advice.detachedHead": "false"}
        if self._mirror is not None:
            settings[f"url.{self._mirror.as_uri()}/.insteadOf"] = "https://"
            # Submodules may otherwise not come from a local directory.
            settings["protocol.allow"] = "never"
            settings["protocol.file.allow"] = "always"
        if origin.ca_bundle is not None:
            settings["http.sslCAInfo"] = str(origin.ca_bundle)
        self._environment = {
            **os.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for number, (key, value) in enumerate(settings.items()):
            self._environment[f"GIT_CONFIG_KEY_{number}"] = key
            self._environment[f"GIT_CONFIG_VALUE_{number}"] = value

    def __call__(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ("git", *arguments),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError:
            raise BuildFailedError(
                "git, which fetches the sources of other projects, is not installed.",
                remedy="Install the package git.",
            ) from None
        if done.returncode != 0:
            raise self._failure(done.stderr)
        return done.stdout

    def _failure(self, said: str) -> BuildFailedError:
        found = (pattern.search(said) for pattern in _LACKS_OBJECT)
        if (lacking := next(filter(None, found), None)) is not None:
            return self._without_object(lacking)
        if self._mirror is not None and (missing := _NO_REPOSITORY.search(said)):
            return _without_repository(self._external, self._mirror, missing)
        return unreachable(self._external, last_line(said))

    def _without_object(self, lacking: re.Match[str]) -> BuildFailedError:
        external, wanted = self._external, lacking["object"]
        submodule = lacking.groupdict().get("submodule")
        repository = f"its submodule {submodule}" if submodule else external.location
        sources = f"the sources of {external.name} ({external.release or external.location})"
        if self._mirror is None:
            return BuildFailedError(
                f"The object {wanted} of {repository}, which {sources} need, is not there.",
                remedy="Correct the commit in versions.json, "
                f"sources.vllm.externals.{external.name}.commit.",
            )
        return BuildFailedError(
            f"The mirror {self._mirror} lacks the object {wanted} of {repository}, which "
            f"{sources} need.",
            remedy="Bring the repository in the mirror up to date with git fetch, or make it anew "
            "with git clone --mirror.",
        )


def _without_repository(
    external: PlannedExternal, mirror: Path, missing: re.Match[str]
) -> BuildFailedError:
    place = Path((missing["repository"] or missing["url"]).removeprefix("file://"))
    name = place.relative_to(mirror) if place.is_relative_to(mirror) else place
    return BuildFailedError(
        f"The mirror {mirror} has no repository {name}, which the sources of {external.name} "
        f"({external.release or external.location}) need.",
        remedy=f"Make it: git clone --mirror https://{name} {place}.",
    )


@contextmanager
def _made_whole(directory: Path) -> Iterator[Path]:
    """A directory that gets its name only once everything is in it."""
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".fetching-") as work:
        made = Path(work) / directory.name
        yield made
        made.rename(directory)
