"""What is installed in a subject, out of descriptions that others wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.errors import DamagedInputError
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects import oci, packages
from smforge.inventory.subjects.opening import open_subject
from smforge.inventory.subjects.packages import Ecosystem, Package, installed_packages

STATUS = "var/lib/dpkg/status"


def paragraph(name: str, version: str, status: str = "install ok installed") -> str:
    fields = {"Package": name, "Status": status, "Architecture": "amd64", "Version": version}
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


def found(folder: Path, files: dict[str, str | bytes]) -> list[Package]:
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    with open_subject(str(folder), ReadOptions()) as subject:
        return list(installed_packages(subject))


def test_packages_of_both_kinds_are_found(tmp_path: Path) -> None:
    description = "Description: a library\n of two lines\n .\n Version: 9\n"
    assert found(
        tmp_path,
        {
            STATUS: f"{paragraph('libc6', '2.41-12')}{description}\n{paragraph('a', '1')}",
            "var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 13.8\n",
            "usr/lib/python3/dist-packages/Ab_c-1.0.dist-info/METADATA": (
                "Metadata-Version: 2.4\nName: Ab_c\nVersion: 1.0\n"
                "License-Expression: mit OR apache-2.0\n\nName: decoy\n"
            ),
            "opt/x-2.dist-info/METADATA": "Name: x\nVersion: 2\nLicense-Expression: whatever\n",
        },
    ) == [
        Package(Ecosystem.DEBIAN, "a", "1", "amd64"),
        Package(Ecosystem.DEBIAN, "base-files", "13.8"),
        Package(Ecosystem.DEBIAN, "libc6", "2.41-12", "amd64"),
        Package(Ecosystem.PYPI, "ab-c", "1.0", license="MIT OR Apache-2.0"),
        Package(Ecosystem.PYPI, "x", "2"),
    ]


def test_what_describes_no_installed_package_is_passed_over(tmp_path: Path) -> None:
    assert (
        found(
            tmp_path,
            {
                STATUS: paragraph("gone", "1", "deinstall ok config-files"),
                "var/lib/dpkg/status-old": paragraph("old", "1"),
                "a.dist-info/RECORD": "Name: a\nVersion: 1\n",
                "b.dist-info/METADATA": "Name: b\n",
                "c.dist-info/METADATA": b"",
                "c.dist-info/more/METADATA": "Name: c\nVersion: 1\n",
            },
        )
        == []
    )


def test_only_what_an_image_finally_shows_counts(writing: Any, tmp_path: Path) -> None:
    metadata = b"Name: a\nVersion: %d\n"
    layout = writing.layout()
    layout.add(
        [
            writing.layer(
                ("file", "a-1.dist-info/METADATA", metadata % 1),
                ("file", STATUS, paragraph("one", "1").encode()),
            ),
            writing.layer(
                ("file", "a-1.dist-info/.wh.METADATA"),
                ("file", "a-2.dist-info/METADATA", metadata % 2),
                ("file", STATUS, paragraph("two", "1").encode()),
            ),
        ]
    )
    with oci.open_subject(str(layout.write_folder(tmp_path)), ReadOptions()) as subject:
        names = [(package.name, package.version) for package in installed_packages(subject)]
    assert names == [("two", "1"), ("a", "2")]


def test_a_description_of_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "_MOST_BYTES", 10)
    with pytest.raises(DamagedInputError, match="describes no packages"):
        found(tmp_path, {STATUS: paragraph("a", "1")})


TEXTS = st.text(
    st.sampled_from("\n\r\t :.-_aZ0é\x00\x0c"),
    max_size=80,
) | st.text(max_size=80)
READERS: tuple[Callable[[str], Any], ...] = (packages._distribution, packages._debian_packages)


@pytest.mark.parametrize("reader", READERS)
@given(
    text=st.sampled_from(["", "Name: a\nVersion: 1", paragraph("a", "1")]).flatmap(
        lambda start: TEXTS.map(lambda rest: start + rest)
    )
)
def test_no_description_breaks_the_reader(reader: Callable[[str], Any], text: str) -> None:
    for package in reader(text):
        assert package.name
        assert package.version
