"""The package index that pip is configured for: releases, their files, and what wheels require.

pip's own link collector and session are used, so that indexes, proxies, certificates, credentials
and directories of wheels (find-links) are those of the site. They are internal to pip; what is used
of them for lists of files is confined to this module. Files for every platform and Python are
listed, not only those that this host could install.

Sources of the formats: the simple repository API (PEP 503, 691), core metadata (PEP 658).
"""

from __future__ import annotations

import contextlib
import email.parser
import hashlib
import re
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from smforge.errors import DamagedInputError, ToolError
from smforge.fetching.download import Wanted, download
from smforge.fetching.pip_tools import pip_tools
from smforge.files import sha256_of

if TYPE_CHECKING:
    from packaging.version import Version

_CHUNK = 1 << 20
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_REMEDY = "Check pip's index settings: pip config list."


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file of a distribution in the index."""

    name: str
    version: Version
    """With a local part where it has one: ``2.14.0+cu129``."""
    sha256: str | None
    """As the index announces it; None where it announces none, or another digest."""
    yanked: bool
    """Whether its release was withdrawn."""
    link: Any = field(repr=False, compare=False)
    """pip's own record of where it is."""


@contextlib.contextmanager
def package_index(arguments: Sequence[str] = ()) -> Iterator[PackageIndex]:
    """The index that pip is configured for, with more of pip's arguments.

    Raises `ToolError` where pip is not installed.
    """
    with pip_tools(arguments) as tools:
        yield PackageIndex(tools.finder()._link_collector, tools.session)


class PackageIndex:
    """Answers questions about distributions; each page is fetched once."""

    def __init__(self, collector: Any, session: Any) -> None:
        self._collector = collector
        self._session = session
        self._files: dict[str, tuple[IndexFile, ...]] = {}

    def files(self, distribution: str) -> tuple[IndexFile, ...]:
        """The files of a distribution, in the order of versions; none where no index has it."""
        name = canonicalize_name(distribution)
        if name not in self._files:
            found = {one.name: one for one in self._read(name)}
            self._files[name] = tuple(sorted(found.values(), key=lambda one: one.version))
        return self._files[name]

    def places(self, distribution: str) -> tuple[str, ...]:
        """Where a distribution is looked for: pages and directories, without credentials."""
        from pip._internal.utils.misc import redact_auth_from_url  # noqa: PLC0415 - loads pip

        scope = self._collector.search_scope
        urls = (*scope.get_index_urls_locations(canonicalize_name(distribution)), *scope.find_links)
        return tuple(redact_auth_from_url(url) for url in urls)

    def sha256_of(self, file: IndexFile) -> str:
        """The SHA-256 of a file: announced, else computed from what arrives.

        Raises `ToolError` where the index does not give the file.
        """
        if file.sha256 is not None:
            return file.sha256
        if file.link.is_file:
            return sha256_of(Path(file.link.file_path))
        digest = hashlib.sha256()
        for chunk in self._chunks(file.name, file.link.url_without_fragment):
            digest.update(chunk)
        return digest.hexdigest()

    def fetch(self, file: IndexFile, place: Path) -> None:
        """Bring a file to a place; what the index says of its digest must be true.

        Raises what `smforge.fetching.download.download` raises.
        """
        announced = () if file.link.hash is None else ((file.link.hash_name, file.link.hash),)
        url = file.link.url_without_fragment
        # Which indexes are trusted, pip's settings say.
        wanted = Wanted(url, file.name, announced, secure=False)
        new, _ = download(self._session, wanted, place.parent)
        new.rename(place)

    def requirements_of(self, wheel: IndexFile) -> tuple[str, ...]:
        """What a wheel requires: the values of Requires-Dist.

        It is read from the metadata file of the index, else from the end of the wheel, without the
        rest where the server gives ranges. Raises `ToolError` where the index does not give it.
        """
        metadata = wheel.link.metadata_link()
        if metadata is not None:
            chunks = self._chunks(wheel.name, metadata.url_without_fragment)
            text = b"".join(chunks).decode("utf-8", errors="replace")
        else:
            text = self._metadata_inside(wheel)
        return tuple(email.parser.HeaderParser().parsestr(text).get_all("Requires-Dist", ()))

    def _read(self, name: str) -> Iterator[IndexFile]:
        from pip._internal.index.collector import parse_links  # noqa: PLC0415 - loads pip

        def links(page: Any) -> Any:
            content = self._collector.fetch_response(page)
            return [] if content is None else parse_links(content)

        sources = self._collector.collect_sources(name, candidates_from_page=links)
        for source in (*sources.index_urls, *sources.find_links):
            if source is None:
                continue
            for link in (*source.page_candidates(), *source.file_links()):
                if (file := _file(link, name)) is not None:
                    yield file

    def _metadata_inside(self, wheel: IndexFile) -> str:
        from pip._internal.network.lazy_wheel import (  # noqa: PLC0415 - loads pip
            HTTPRangeRequestUnsupported,
            LazyZipOverHTTP,
        )

        url = wheel.link.url_without_fragment
        if wheel.link.is_file:
            return _metadata_of(wheel.link.file_path, wheel.name)
        try:
            with self._answers(wheel.name), LazyZipOverHTTP(url, self._session) as part:
                return _metadata_of(part, wheel.name)
        except HTTPRangeRequestUnsupported:
            with tempfile.TemporaryFile() as whole:
                for chunk in self._chunks(wheel.name, url):
                    whole.write(chunk)
                return _metadata_of(whole, wheel.name)

    def _chunks(self, name: str, url: str) -> Iterator[bytes]:
        """The bytes of a file of the index."""
        with self._answers(name):
            headers = {"Accept-Encoding": "identity"}
            response = self._session.get(url, stream=True, headers=headers)
            response.raise_for_status()
            yield from response.iter_content(_CHUNK)

    @staticmethod
    @contextlib.contextmanager
    def _answers(name: str) -> Iterator[None]:
        """Turn what pip raises for a file that the index does not give into a `ToolError`."""
        from pip._internal.exceptions import PipError  # noqa: PLC0415 - loads pip
        from pip._vendor.requests import RequestException  # noqa: PLC0415 - loads pip

        try:
            yield
        except (PipError, RequestException) as error:
            raise ToolError(
                f"The package index lists {name} and does not give it: {type(error).__name__}.",
                remedy=_REMEDY,
            ) from error


def _metadata_of(archive: Any, name: str) -> str:
    """The core metadata of a wheel. Raises `DamagedInputError` where it is no wheel."""
    try:
        with zipfile.ZipFile(archive) as wheel:
            inner = next(one for one in wheel.namelist() if _METADATA.fullmatch(one))
            return wheel.read(inner).decode("utf-8", errors="replace")
    except (zipfile.BadZipFile, StopIteration) as error:
        raise DamagedInputError(
            f"{name} of the package index is no wheel: it has no metadata.",
            remedy="Try again; if it happens again, do not use this index.",
        ) from error


def _file(link: Any, name: str) -> IndexFile | None:
    """The file behind a link; None where it is no wheel or sdist of the distribution."""
    try:
        if link.filename.endswith(".whl"):
            of, version, *_ = parse_wheel_filename(link.filename)
        else:
            of, version = parse_sdist_filename(link.filename)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    if of != name:
        return None
    digest = link.hash if link.hash_name == "sha256" else None
    return IndexFile(link.filename, version, digest, link.is_yanked, link)
