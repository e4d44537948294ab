"""The Debian root file system: where it comes from, and that it is there whole or not at all."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from smforge.bake.host import own_engine
from smforge.bake.host.crossing import host_platform
from smforge.bake.inputs import rootfs
from smforge.bake.inputs.rootfs import Mirror, Rootfs, command, ensure_rootfs, host_mirror
from smforge.errors import BuildFailedError, ToolError

TRIXIE = Rootfs("trixie", "amd64", 1795219200)
RUNTIME = replace(TRIXIE, purpose="runtime")


def apt(tmp_path: Path, name: str, text: str) -> Path:
    """An apt configuration with one file of sources."""
    file = tmp_path / "apt" / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return tmp_path / "apt"


DEB822 = """\
# deb822 entries
Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security

Types: deb
# a mirror
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "sources.list.d/debian.sources",
            DEB822,
            Mirror(
                "http://mirror.example/debian", "/usr/share/keyrings/debian-archive-keyring.gpg"
            ),
        ),
        (
            "sources.list.d/debian.sources",
            DEB822.replace("# a mirror", "Enabled: no"),
            None,
        ),
        (
            "sources.list",
            "deb-src http://x.example/debian bookworm main\n"
            "deb [arch=amd64 signed-by=/k.gpg] http://x.example/debian bookworm main\n",
            Mirror("http://x.example/debian", "/k.gpg"),
        ),
        (
            "sources.list",
            "deb http://y.example/debian bookworm main\n",
            Mirror("http://y.example/debian"),
        ),
        ("sources.list", "# deb http://y.example/debian bookworm main\n", None),
        ("sources.list", "deb http://y.example/ubuntu noble main\n", None),
    ],
)
def test_the_mirror_is_that_of_the_hosts_apt(
    tmp_path: Path, name: str, text: str, expected: Mirror | None
) -> None:
    assert host_mirror(apt(tmp_path, name, text)) == expected


def test_a_signed_mirror_becomes_an_entry_for_the_wanted_suite() -> None:
    argv = command("mmdebstrap", TRIXIE, Path("x.tar"), Mirror("http://m.example/debian", "/k.gpg"))
    assert argv[-3:] == (
        "trixie",
        "x.tar",
        "deb [signed-by=/k.gpg] http://m.example/debian trixie main",
    )
    assert command("mmdebstrap", TRIXIE, Path("x.tar"), None)[-1] == "x.tar"


def test_what_changes_the_archive_changes_its_place() -> None:
    others = (
        Rootfs("forky", "amd64", TRIXIE.epoch),
        Rootfs("trixie", "arm64", TRIXIE.epoch),
        Rootfs("trixie", "amd64", 0),
        RUNTIME,
    )
    assert len({one.directory_name for one in (TRIXIE, *others)}) == 5


def test_an_image_starts_without_what_builds() -> None:
    devel, runtime = (
        command("mmdebstrap", one, Path("x.tar"), None)[3].removeprefix("--include=").split(",")
        for one in (TRIXIE, RUNTIME)
    )
    builds = {"ccache", "cmake", "g++", "git", "make", "ninja-build", "python3-pip"}
    assert builds & set(devel)
    assert not builds & set(runtime)
    assert {"gcc", "libc6-dev", "libpython3-dev"} <= set(runtime)


def test_an_archive_that_is_there_is_used_without_any_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    directory = tmp_path / TRIXIE.directory_name
    directory.mkdir()
    (directory / "rootfs.tar").touch()
    assert ensure_rootfs(TRIXIE, tmp_path) == directory


def test_a_missing_tool_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolError, match=r"mmdebstrap.* not installed.*tools/engine install"):
        ensure_rootfs(TRIXIE, tmp_path)


@pytest.mark.engine
def test_a_mirror_that_does_not_answer_leaves_nothing_but_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs mmdebstrap, which `tools/engine install` brings with the engine."""
    for name, value in own_engine.settings(os.environ).items():
        monkeypatch.setenv(name, value)
    folder = apt(tmp_path, "sources.list", f"deb file://{tmp_path}/debian bookworm main\n")
    with pytest.raises(BuildFailedError, match="could not make the trixie root file system"):
        ensure_rootfs(TRIXIE, tmp_path / "store", apt=folder)
    left = sorted(path.name for path in (tmp_path / "store" / TRIXIE.directory_name).iterdir())
    assert left == [".lock", "mmdebstrap.log"]


def test_a_root_file_system_of_another_cpu_that_fails_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "mmdebstrap"
    tool.write_text(
        "#!/bin/sh\necho 'E: install arch-test for foreign architecture support'\nexit 25\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    own = host_platform().rpartition("/")[2]
    other = "arm64" if own == "amd64" else "amd64"
    for architecture, told in ((other, True), (own, False)):
        with pytest.raises(BuildFailedError) as caught:
            ensure_rootfs(Rootfs("trixie", architecture, 1), tmp_path)
        assert ("qemu-user-static and arch-test" in str(caught.value)) is told


def test_debian_s_keys_are_those_beside_the_tool_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "usr" / "bin" / "mmdebstrap"
    keys = tmp_path / "usr" / "share" / "keyrings" / "debian-archive-keyring.gpg"
    keys.parent.mkdir(parents=True)
    keys.touch()
    option = f"--keyring={keys}"
    archive = tmp_path / "rootfs.tar"
    monkeypatch.setattr(rootfs, "_SYSTEM_KEYS", tmp_path / "none.gpg")
    assert option in command(str(tool), TRIXIE, archive, None)
    monkeypatch.setattr(rootfs, "_SYSTEM_KEYS", keys)
    assert option not in command(str(tool), TRIXIE, archive, None)
