"""tools/engine: does nothing where it is not needed, refuses with a sentence, cleans up."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from smforge.bake.host import own_engine

SCRIPT = Path(__file__).parents[2] / "tools" / "engine"
NOWHERE = "unix:///nonexistent/docker.sock"
NOBODY = 65534


def engine(
    verb: str, user: int | None = None, /, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", **variables}
    return subprocess.run(
        (str(SCRIPT), verb),
        env=environment,
        user=user,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def state() -> Iterator[Path]:
    """A short path that does not exist: names of sockets have to be short."""
    parent = Path(tempfile.mkdtemp(dir="/tmp"))
    parent.chmod(0o755)
    yield parent / "s"
    shutil.rmtree(parent)


def test_an_unknown_verb_shows_the_known_ones() -> None:
    done = engine("frobnicate")
    assert done.returncode == 2
    for verb in ("install", "start", "stop", "remove", "status", "env"):
        assert f"\n  {verb} " in done.stderr


def test_status_says_that_nothing_answers(state: Path) -> None:
    done = engine("status", SMFORGE_STATE=str(state), DOCKER_HOST=NOWHERE)
    assert (done.returncode, done.stdout) == (1, "no engine answers\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("verb", ["install", "start"])
def test_without_the_right_to_install_it_refuses_in_a_sentence(state: Path, verb: str) -> None:
    done = engine(verb, NOBODY, SMFORGE_STATE=str(state), DOCKER_HOST=NOWHERE)
    assert done.returncode == 5
    (sentence,) = done.stderr.splitlines()
    assert "only root can run one" in sentence
    assert "sudo tools/engine start" in sentence
    assert not state.exists()


NOBLE = """\
Types: deb
URIs: file:///nonexistent
Suites: noble noble-updates noble-backports
Components: main universe
"""
HIDING = 'for at in /etc/os-release /etc/apt /usr/share/keyrings; do mount --bind "$0$at" $at; done'


def install_on(root: Path, state: Path, release: str) -> subprocess.CompletedProcess[str]:
    """`install` where the system's release file, apt sources and keys are those below `root`."""
    for name in ("etc/apt/sources.list.d", "usr/share/keyrings"):
        (root / name).mkdir(parents=True)
    (root / "etc/os-release").write_text(release)
    (root / "etc/apt/sources.list.d/ubuntu.sources").write_text(NOBLE)
    script = f'set -e; {HIDING}; exec "$1" install'
    return subprocess.run(
        ("unshare", "-m", "bash", "-c", script, str(root), str(SCRIPT)),
        env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "SMFORGE_STATE": str(state),
            "DOCKER_HOST": NOWHERE,
        },
        capture_output=True,
        text=True,
        check=False,
    )


mounts = pytest.mark.skipif(os.geteuid() != 0, reason="hides parts of the system with mounts")


@mounts
@pytest.mark.skipif(shutil.which("mmdebstrap", path="/usr/bin") is not None, reason="is there")
def test_on_ubuntu_it_takes_the_packages_of_ubuntu(state: Path, tmp_path: Path) -> None:
    done = install_on(tmp_path, state, "ID=ubuntu\nVERSION_CODENAME=noble\n")
    assert done.returncode == 5  # its mirror does not exist
    first, *_, last = done.stderr.splitlines()
    words = set(first.partition("(nothing else changes): ")[2].split())
    assert words >= {
        "docker.io/noble-updates",
        "docker-buildx/noble-updates",
        "mmdebstrap/noble",
        "debian-archive-keyring/noble",
    }
    assert not any("forky" in word for word in words)
    assert last.startswith("engine: The packages could not be fetched.")


@mounts
def test_elsewhere_it_says_what_is_lacking(state: Path, tmp_path: Path) -> None:
    done = install_on(tmp_path, state, "ID=fedora\n")
    (sentence,) = done.stderr.splitlines()
    assert done.returncode == 5
    assert "is neither Debian nor Ubuntu. Install Docker Engine" in sentence
    assert "debian-archive-keyring" in sentence
    assert not state.exists()


@pytest.mark.engine
def test_where_an_engine_answers_nothing_is_done(state: Path) -> None:
    found = {**os.environ, **own_engine.settings(os.environ), "SMFORGE_STATE": str(state)}
    for verb in ("install", "start"):
        done = engine(verb, **found)
        assert (done.returncode, done.stderr) == (0, "")
    assert not state.exists()


def processes_naming(directory: Path) -> list[str]:
    """The command lines that name a directory: dockerd's and its containerd's do."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        if str(directory) in line:
            lines.append(line)
    return lines


@pytest.mark.engine
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="dockerd needs root")
@pytest.mark.skipif(own_engine.CUSTOMARY_SOCKET.is_socket(), reason="the host runs an engine")
def test_it_provides_an_engine_beside_another_and_removes_every_trace(state: Path) -> None:
    def bridges() -> set[str]:
        names = Path("/sys/class/net").glob("*/bridge")
        return {name.parent.name for name in names}

    before = bridges()
    variables = {"SMFORGE_STATE": str(state)}
    started = engine("start", **variables)
    try:
        assert started.returncode == 0, started.stderr
        assert f"unpacking into {state}/root" in started.stderr
        found = own_engine.settings({"PATH": "/usr/bin:/bin", **variables})
        shown = engine("env", **variables).stdout.splitlines()
        for name in ("DOCKER_HOST", "DOCKER_CONFIG"):
            assert f"export {name}='{found[name]}'" in shown
        status = engine("status", **variables)
        assert f"of smforge on unix://{state}/run/docker.sock" in status.stdout
        again = engine("start", **variables)
        assert (again.returncode, again.stderr) == (0, "")
        assert processes_naming(state)
    finally:
        removed = engine("remove", **variables)
    assert removed.returncode == 0, removed.stderr
    assert not state.exists()
    assert not processes_naming(state)
    assert bridges() <= before
