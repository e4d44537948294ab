"""The pages of a simple index: HTML for installers, JSON for other programs.

Formats: PyPA "Simple repository API" (PEP 503, 629, 658, 691, 700, 714). Pages are pure functions
of the wheels: one set of wheels, one set of bytes.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from smforge.publish.wheels import Wheel

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="pypi:repository-version" content="1.0">
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
{links}
</body>
</html>
"""


def root_page(title: str, projects: Iterable[str]) -> str:
    """The list of projects."""
    links = (f'<a href="{quote(name)}/">{html.escape(name)}</a><br>' for name in projects)
    return _PAGE.format(title=html.escape(title), links="\n".join(links))


def root_document(projects: Iterable[str]) -> str:
    """The list of projects, as JSON."""
    return _json({"meta": META, "projects": [{"name": name} for name in projects]})


def project_page(project: str, wheels: Sequence[Wheel]) -> str:
    """The files of a project."""
    links = "\n".join(_link(wheel) for wheel in wheels)
    return _PAGE.format(title=f"Links for {html.escape(project)}", links=links)


def project_document(project: str, wheels: Sequence[Wheel]) -> str:
    """The files of a project, as JSON."""
    versions = sorted({wheel.version for wheel in wheels})
    return _json(
        {
            "meta": META,
            "name": project,
            "versions": [str(version) for version in versions],
            "files": [_file(wheel) for wheel in wheels],
        }
    )


META = {"api-version": "1.1"}
"""The metadata of every JSON page of an index."""


def _link(wheel: Wheel) -> str:
    digest = f"sha256={wheel.metadata_sha256}"
    attributes = {
        "href": f"{quote(wheel.filename)}#sha256={wheel.sha256}",
        "data-core-metadata": digest,
        # The first name of the attribute, for installers that know only this one.
        "data-dist-info-metadata": digest,
    }
    if wheel.requires_python:
        attributes["data-requires-python"] = wheel.requires_python
    written = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<a {written}>{html.escape(wheel.filename)}</a><br>"


def _file(wheel: Wheel) -> dict[str, object]:
    entry: dict[str, object] = {
        "filename": wheel.filename,
        "url": quote(wheel.filename),
        "hashes": {"sha256": wheel.sha256},
        "size": wheel.size,
        "core-metadata": {"sha256": wheel.metadata_sha256},
    }
    if wheel.requires_python:
        entry["requires-python"] = wheel.requires_python
    return entry


def _json(document: dict[str, object]) -> str:
    return json.dumps(document, indent=1) + "\n"
