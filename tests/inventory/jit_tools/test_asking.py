"""A program of a subject is run only where it is wanted, and can then do nothing but answer."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from smforge.inventory.formats.blob import BytesBlob, FileBlob
from smforge.inventory.jit_tools import asking, confinement
from smforge.inventory.jit_tools.assembler import examine
from smforge.inventory.jit_tools.records import Source
from smforge.inventory.sandbox import Bounds, capture

SOURCE = Path(__file__).parent / "data" / "hostile.c"
FAMILIES = 46
RELEASES = ("12.8", "12.9", "13.0", "13.1", "13.2", "13.3", "13.4", "13.5")


def confined(program: Path, *arguments: str) -> tuple[int | None, str, str]:
    """Run a program as an assembler would be: exit status, output, errors."""
    copy = os.memfd_create("ptxas")
    try:
        os.write(copy, program.read_bytes())
        script = [sys.executable, "-I", "-S", confinement.__file__, str(copy), "20", str(2 << 30)]
        run, output = capture([*script, *arguments], Bounds(seconds=20), (copy,))
    finally:
        os.close(copy)
    return run.status, output.decode(), run.stderr


@pytest.fixture(scope="module")
def can_confine() -> None:
    """Skip where this host cannot confine: nothing is run there, which another test shows."""
    if confined(Path("/bin/sh"), "-c", "true")[0] == confinement.NOT_CONFINED:
        pytest.skip("this host has no Landlock or no seccomp, or is no x86_64")


@dataclass(frozen=True)
class Scene:
    """A hostile ptxas, and what it would harm."""

    program: Path
    victim: subprocess.Popen[bytes]
    listening: socket.socket
    receiving: socket.socket

    def harm(self) -> set[str]:
        """What was done."""
        done = set()
        if self.victim.poll() is not None:
            done.add("killed")
        for one, name in ((self.listening, "unix"), (self.receiving, "udp")):
            try:
                one.recv(1) if name == "udp" else one.accept()[0].close()
                done.add(name)
            except BlockingIOError:
                pass
        if self.left():
            done.add("child")
        return done

    def left(self) -> list[int]:
        """The numbers of processes that run the program, or a copy of it in memory."""
        found = []
        for path in Path("/proc").glob("[0-9]*/exe"):
            with contextlib.suppress(OSError):
                name = str(path.readlink())
                if name == str(self.program) or name.startswith("/memfd:ptxas"):
                    found.append(int(path.parent.name))
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    place = tmp_path / "socket"
    victim = subprocess.Popen(["sleep", "60"])
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(type=socket.SOCK_DGRAM) as udp:
        listening.bind(str(place))
        listening.listen()
        udp.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        udp.setblocking(False)
        program = tmp_path / "ptxas"
        names = [f"-DVICTIM={victim.pid}", f'-DSOCKET="{place}"', f"-DPORT={udp.getsockname()[1]}"]
        subprocess.run(["gcc", "-pthread", *names, SOURCE, "-o", program], check=True)
        yield Scene(program, victim, listening, udp)
    victim.kill()
    victim.wait()


def attempts(output: str) -> dict[str, int]:
    lines = (line.split() for line in output.partition("--gpu-name")[0].splitlines())
    return {name: int(number) for name, number in lines}


def test_unconfined_it_does_harm(scene: Scene) -> None:
    output = subprocess.run([scene.program], capture_output=True, text=True, check=True).stdout
    assert scene.harm() == {"killed", "unix", "udp", "child"}
    assert attempts(output)["kill"] == 0
    for process in scene.left():
        os.kill(process, signal.SIGKILL)


def test_by_default_it_is_not_run(scene: Scene) -> None:
    with FileBlob.from_path(scene.program) as blob:
        assert examine("ptxas", blob).source is Source.READ
    assert scene.harm() == set()


@pytest.mark.usefixtures("can_confine")
def test_asked_it_answers_and_can_do_no_harm(scene: Scene) -> None:
    with FileBlob.from_path(scene.program) as blob:
        found = examine("ptxas", blob, ask_it=True)
    assert (found.source, found.not_asked) == (Source.ASKED, "")
    assert {target.sm for target in found.targets} == {"sm_90", "sm_121a"}
    assert scene.harm() == set()


@pytest.mark.usefixtures("can_confine")
def test_each_attempt_is_refused(scene: Scene, tmp_path: Path) -> None:
    status, output, _ = confined(scene.program)
    assert status == 0
    found = attempts(output)
    assert found.pop("write") == found.pop("read") == errno.EACCES
    assert len(found) == FAMILIES + 13
    assert set(found.values()) == {errno.EPERM}, found
    assert {path.name for path in tmp_path.iterdir()} == {"ptxas", "socket"}


@pytest.mark.usefixtures("can_confine")
@pytest.mark.parametrize("mode", ["i386", "x32"])
def test_calls_of_another_mode_end_it(tmp_path: Path, mode: str) -> None:
    """The same number means another call there: 41 opens a socket on x86_64, and 20 is getpid."""
    call = {
        "i386": 'int got; __asm__ volatile("int $0x80" : "=a"(got) : "a"(20));',
        "x32": "#include <unistd.h>\n",
    }[mode]
    body = call if mode == "i386" else "long got = syscall(0x40000000 + 39);"
    include = "" if mode == "i386" else call
    source = tmp_path / "call.c"
    source.write_text(f"{include}int main(void) {{ {body} return got < 0 ? 1 : 0; }}\n")
    program = tmp_path / "call"
    subprocess.run(["gcc", "-D_GNU_SOURCE", source, "-o", program], check=True)
    assert confined(program)[0] == -31, "ended by SIGSYS"


@pytest.mark.usefixtures("can_confine")
def test_it_gets_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMFORGE_SECRET", "x")
    status, output, _ = confined(Path("/bin/sh"), "-c", "export; echo ran")
    assert (status, "SMFORGE_SECRET" in output, output.endswith("ran\n")) == (0, False, True)


@pytest.mark.usefixtures("can_confine")
def test_one_that_writes_without_end_is_ended(tmp_path: Path) -> None:
    source = tmp_path / "loud.c"
    source.write_text("#include <unistd.h>\nint main(void) { for (;;) write(1, main, 64); }\n")
    program = tmp_path / "ptxas"
    subprocess.run(["gcc", "-w", source, "-o", program], check=True)
    with FileBlob.from_path(program) as blob:
        found = examine("ptxas", blob, ask_it=True)
    assert (found.source, found.targets) == (Source.READ, frozenset())
    assert found.not_asked == "it was run, confined, and listed no targets"


@pytest.mark.network
@pytest.mark.usefixtures("can_confine")
@pytest.mark.parametrize(
    "release", ["12.8", "12.9", "13.0", "13.1", "13.2", "13.3", "13.4", "13.5"]
)
def test_asking_and_reading_say_the_same(
    compiler_folder: Callable[[str], Path], release: str
) -> None:
    with FileBlob.from_path(compiler_folder(release) / "bin" / "ptxas") as blob:
        asked = examine("ptxas", blob, ask_it=True)
        read = examine("ptxas", blob)
    assert (asked.source, read.source) == (Source.ASKED, Source.READ)
    assert asked.targets == read.targets
    assert asked.release == read.release == release


@pytest.mark.network
def test_one_for_another_processor_is_read(compiler_folder: Callable[[str], Path]) -> None:
    data = bytearray((compiler_folder("13.0") / "bin" / "ptxas").read_bytes())
    data[18:20] = (183 if data[18] == 62 else 62).to_bytes(2, "little")
    found = examine("ptxas", BytesBlob(bytes(data)), ask_it=True)
    assert found.source is Source.READ
    assert found.targets
    assert "another processor" in found.not_asked


@pytest.mark.network
def test_where_the_host_cannot_confine_it_is_read(
    compiler_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    launcher = tmp_path / "confinement.py"
    launcher.write_text(f"import sys; sys.exit({confinement.NOT_CONFINED})")
    monkeypatch.setattr(asking, "_CONFINEMENT", launcher)
    with FileBlob.from_path(compiler_folder("13.0") / "bin" / "ptxas") as blob:
        found = examine("ptxas", blob, ask_it=True)
    assert found.source is Source.READ
    assert found.targets
    assert "cannot confine" in found.not_asked


@pytest.mark.usefixtures("can_confine")
@pytest.mark.parametrize("words", ["--gpu-name", "--gpu-name Allowed values for this option:"])
def test_an_answer_that_is_made_to_be_slow_to_read(tmp_path: Path, words: str) -> None:
    """Read by a pattern that looks ahead from every word, this took hours."""
    source = tmp_path / "slow.c"
    source.write_text(
        "#include <stdio.h>\n"
        f'int main(void) {{ for (int n = 0; n < 90000; n++) fputs("{words}", stdout); }}\n'
    )
    program = tmp_path / "ptxas"
    subprocess.run(["gcc", source, "-o", program], check=True)
    with FileBlob.from_path(program) as blob:
        assert examine("ptxas", blob, ask_it=True).source is Source.READ
