"""A package index on loopback, with small real sdists and wheels, as the only one of pip."""

from __future__ import annotations

import hashlib
import html
import json
import os
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from smforge.fetching.index import PackageIndex, package_index

ROOT = Path(__file__).parents[3]
TREES = ROOT / "tests" / "preflight"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a directory, without ranges and without a log."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Index:
    """The directory behind the index: files are added, and the pages follow."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = ""

    def page(self, distribution: str) -> Path:
        folder = self.root / "simple" / distribution
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def announce(self, distribution: str, *, hashes: bool = True, yanked: str = "") -> None:
        """Write the page of a distribution anew, with all files that are there."""
        folder = self.page(distribution)
        lines = []
        for file in sorted(folder.iterdir()):
            if file.name == "index.html" or file.suffix == ".metadata":
                continue
            mark = f"#sha256={sha256(file)}" if hashes else ""
            extra = ' data-yanked="broken"' if yanked and yanked in file.name else ""
            if (metadata := file.with_name(f"{file.name}.metadata")).exists():
                extra += f' data-core-metadata="sha256={sha256(metadata)}"'
            name = html.escape(file.name)
            lines.append(f'<a href="{name}{mark}"{extra}>{name}</a>')
        text = "<!DOCTYPE html><html><body>" + "\n".join(lines) + "</body></html>"
        (folder / "index.html").write_text(text)

    def sdist(self, distribution: str, version: str, tree: Path) -> Path:
        stem = f"{distribution.replace('-', '_')}-{version}"
        archive = self.page(distribution) / f"{stem}.tar.gz"
        with tarfile.open(archive, "w:gz") as members:
            members.add(tree, stem)
        self.announce(distribution)
        return archive

    def wheel(
        self,
        distribution: str,
        version: str,
        tags: str = "py3-none-any",
        requires: tuple[str, ...] = (),
        *,
        beside: bool = False,
    ) -> Path:
        """A wheel with metadata; `beside` has the index give the metadata as a file of its own."""
        stem = f"{distribution.replace('-', '_')}-{version}"
        file = self.page(distribution) / f"{stem}-{tags}.whl"
        metadata = "".join(
            [
                f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
                *(f"Requires-Dist: {one}\n" for one in requires),
                "\nAbout it.\n",
            ]
        )
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(f"{stem}.dist-info/METADATA", metadata)
        if beside:
            file.with_name(f"{file.name}.metadata").write_text(metadata)
        self.announce(distribution)
        return file


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An empty index, and a pip that has no other."""
    made = Index(tmp_path / "index")
    made.root.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    handler = partial(Quiet, directory=str(made.root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.url = f"http://127.0.0.1:{server.server_port}/simple"
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", made.url)
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield made
        server.shutdown()


@pytest.fixture
def asked(index: Index) -> Iterator[PackageIndex]:
    """The index as smforge asks it."""
    with package_index() as opened:
        yield opened


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Makes a copy of the small vLLM or FlashInfer with other text: ``tree("tree", old="new")``."""

    def make(name: str, file: str = "", **replaced: str) -> Path:
        copy = Path(
            shutil.copytree(TREES / name, tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}")
        )
        if file:
            path = copy / file
            text = path.read_text()
            for before, after in replaced.items():
                text = text.replace(before, after)
            path.write_text(text)
        return copy

    return make


@pytest.fixture
def document() -> dict[str, Any]:
    """The repository's matrix, free to be changed."""
    content: dict[str, Any] = json.loads((ROOT / "versions.json").read_text())
    return content
