"""``pypi:NAME==VERSION`` and ``https://…``: a file that is fetched, then read like any other."""

from __future__ import annotations

from smforge.fetching.wheels import Fetched, Target, fetch_url, fetch_wheel
from smforge.inventory.options import ReadOptions
from smforge.inventory.records import Subject
from smforge.inventory.subjects.base import OpenSubject, WrappedSubject
from smforge.inventory.subjects.members import path_text

_INDEX = "pypi:"


def fetch(argument: str, options: ReadOptions) -> Fetched:
    """Fetch what `argument` names, or find it in the cache.

    Raises `UsageError` for what names no release and no address, `ToolError` where it cannot be
    fetched, and `DamagedInputError` where it has another digest than announced.
    """
    if argument.startswith(_INDEX):
        target = Target(options.platform, options.python, options.index_url)
        return fetch_wheel(argument.removeprefix(_INDEX), target, options.progress)
    return fetch_url(argument, options.index_url, options.progress)


class FetchedSubject(WrappedSubject):
    """A file of the cache, called what was asked for."""

    def __init__(self, inner: OpenSubject, address: str, fetched: Fetched) -> None:
        """`address` is what a file is called that is no release."""
        super().__init__(inner)
        name = f"{_INDEX}{fetched.release}" if fetched.release else address
        if fetched.yanked is not None:
            name += f" (withdrawn from the index: {fetched.yanked})"
        if fetched.newer is not None:
            name += f" ({fetched.newer} has no wheel for this target)"
        self._name = path_text(name)
        self._file = path_text(fetched.name)

    @property
    def subject(self) -> Subject:
        return self._inner.subject._replace(name=self._name, file=self._file)
