"""Full, read-only and foreign folders: real file systems, commands as processes of their own.

Never a traceback, a half-written file with a final name, or a pass where the result is not there.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smforge.cli.output import write_report
from smforge.errors import BuildFailedError, NoRoomError, SmforgeError
from smforge.files import free_bytes, require_room, unwritten
from smforge.preflight.cache import Cache
from smforge.workflow.farm.journal import CellBegun, Journal, Resumed, last_run, now
from smforge.workflow.farm.request import BuildRequest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")

KERNELS = 'extern "C" __global__ void one(int* x) { *x = 1; }\n'
Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """``mount("1m")`` gives a file system of this size; ``read_only=True`` closes it at once."""
    made: list[Path] = []

    def make(size: str, *, read_only: bool = False) -> Path:
        place = tmp_path / f"disk{len(made)}"
        place.mkdir()
        options = f"size={size}" + (",ro" if read_only else "")
        subprocess.run(("mount", "-t", "tmpfs", "-o", options, "tmpfs", place), check=True)
        made.append(place)
        return place

    try:
        yield make
    finally:
        for place in made:
            subprocess.run(("umount", "--lazy", place), check=False)


@pytest.fixture(scope="module")
def library(compile_with: Callable[..., Path]) -> Path:
    flags = ("-shared", "-Xcompiler=-fPIC", "-gencode=arch=compute_90,code=sm_90")
    return compile_with(KERNELS, "libone.so", *flags)


def smforge(*arguments: object, **variables: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    done = subprocess.run(
        (sys.executable, "-m", "smforge", *map(str, arguments)),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "does not know" not in done.stderr
    return done


def fill(place: Path, leaving: int = 0) -> None:
    free = free_bytes(place)
    assert free is not None
    with (place / "filler").open("wb") as file:
        file.write(bytes(max(free - leaving, 0)))


def names_in(place: Path) -> list[str]:
    return sorted(path.name for path in place.rglob("*") if path.name != "filler")


def test_a_report_on_a_full_disk_is_no_report_and_no_pass(library: Path, mount: Mount) -> None:
    disk = mount("64k")
    fill(disk)
    done = smforge("audit", library, "--require", "9.0", "-o", f"json={disk / 'report.json'}")
    assert done.returncode == 4
    assert "No space left on device" in done.stderr
    assert "Free space there" in done.stderr
    assert names_in(disk) == []


def test_a_former_report_stays_whole(library: Path, mount: Mount) -> None:
    disk = mount("64k")
    report = disk / "report.json"
    report.write_text("former\n")
    fill(disk)
    assert smforge("audit", library, "-o", f"json={report}").returncode == 4
    assert report.read_text() == "former\n"
    assert names_in(disk) == ["report.json"]


@pytest.fixture(scope="module")
def wheel(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel whose library is larger than what it takes packed."""
    path = tmp_path_factory.mktemp("wheel") / "one-1.0-cp312-cp312-linux_x86_64.whl"
    padded = library.read_bytes() + bytes(6 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one/libone.so", padded)
        archive.writestr("one-1.0.dist-info/METADATA", "Name: one\nVersion: 1.0\n")
        archive.writestr("one-1.0.dist-info/RECORD", "")
        archive.writestr("one-1.0.dist-info/WHEEL", "Tag: cp312-cp312-linux_x86_64\n")
    return path


def test_room_for_temporary_files_is_asked_for_before(
    library: Path, mount: Mount, tmp_path: Path
) -> None:
    disk = mount("2m")
    padded = tmp_path / "libone.so"
    padded.write_bytes(library.read_bytes() + os.urandom(6 << 20))
    with tarfile.open(tmp_path / "one.tar.gz", "w:gz") as archive:
        archive.add(padded, "libone.so")
    done = smforge("audit", tmp_path / "one.tar.gz", "--require", "9.0", TMPDIR=disk)
    assert done.returncode == 4
    assert "takes 7." in done.stderr
    assert f"{disk} has 2.1 MB free" in done.stderr
    assert "set TMPDIR to another folder" in done.stderr
    assert names_in(disk) == []


@pytest.mark.parametrize("command", ["slim", "repair"])
def test_room_for_a_copy_is_asked_for_before(wheel: Path, mount: Mount, command: str) -> None:
    disk = mount("3m")
    flag = ("--keep", "9.0") if command == "slim" else ("--for", "9.0")
    done = smforge(command, wheel, *flag, "-o", disk / "copy.whl")
    assert done.returncode == 4
    assert "unpacked and a copy of it takes" in done.stderr
    assert "name an output on another disk" in done.stderr
    assert names_in(disk) == []


def test_a_copy_on_a_disk_that_becomes_full_leaves_nothing(wheel: Path, mount: Mount) -> None:
    """The sizes in a wheel do not say what folders take: pages of files, and the libraries anew."""
    disk = mount("6600k")
    done = smforge("slim", wheel, "--keep", "9.0", "-o", disk / "copy.whl")
    assert done.returncode == 4
    assert names_in(disk) == []


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_cache_that_cannot_be_written_is_a_warning(
    library: Path, mount: Mount, tmp_path: Path, kind: str
) -> None:
    cache = mount("64k", read_only=kind == "read-only")
    if kind == "full":
        fill(cache)
    with zipfile.ZipFile(tmp_path / "one-1.0-py3-none-any.whl", "w") as archive:
        archive.write(library, "one/libone.so")
        archive.writestr("one-1.0.dist-info/METADATA", "Name: one\nVersion: 1.0\n")
        archive.writestr("one-1.0.dist-info/WHEEL", "Tag: py3-none-any\n")
        archive.writestr("one-1.0.dist-info/RECORD", "")
    import functools  # noqa: PLC0415 - for one server
    import threading  # noqa: PLC0415
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer  # noqa: PLC0415

    served = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/one-1.0-py3-none-any.whl"
        done = smforge("audit", url, "--require", "9.0", XDG_CACHE_HOME=cache)
        server.shutdown()
        thread.join()
    assert done.returncode == 0, done.stderr
    assert "is not kept for the next time" in done.stderr
    assert names_in(cache) in ([], ["fetched", "smforge"])


def add_many(journal: Journal, event: CellBegun) -> None:
    for _ in range(1000):
        journal.add(event)


def test_a_journal_on_a_full_disk_ends_the_run_and_can_be_resumed(mount: Mount) -> None:
    disk = mount("64k")
    journal = Journal.begin(disk, BuildRequest(directory=disk), ["one"])
    fill(disk)
    begun = CellBegun(at=now(), cell="one" * 100)
    # Until the page of the last line is full, the disk still takes lines.
    with pytest.raises(BuildFailedError, match=r"No space left on device.*--resume"):
        add_many(journal, begun)
    written = len(last_run(disk).events)
    assert written > 0
    (disk / "filler").unlink()
    Journal.resume(disk).add(begun)
    history = last_run(disk)
    assert len(history.events) == written + 2
    assert isinstance(history.events[-2], Resumed)


def test_machine_code_is_made_without_a_cache_too(
    compile_with: Callable[..., Path], ptxas: Path, mount: Mount, tmp_path: Path
) -> None:
    flags = ("-shared", "-Xcompiler=-fPIC", "-gencode=arch=compute_80,code=[sm_80,compute_80]")
    library = compile_with(KERNELS, "libptx.so", *flags)
    cache = mount("64k", read_only=True)
    done = smforge(
        *("repair", library, "--for", "9.0", "--ptxas", ptxas, "-o", tmp_path / "libptx.so"),
        XDG_CACHE_HOME=cache,
    )
    assert done.returncode == 0, done.stderr
    assert "nothing is kept for the next time" in done.stderr
    assert smforge("audit", tmp_path / "libptx.so", "--require", "9.0", "--native").returncode == 0


def unpack(folder: Path) -> None:
    (folder / "x").write_text("x" * 100_000)


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_preflight_s_cache_is_not_needed(mount: Mount, kind: str) -> None:
    disk = mount("64k", read_only=kind == "read-only")
    if kind == "full":
        fill(disk)
    cache = Cache(disk)
    assert cache.remembered("kind", ["a"], lambda: [1]) == [1]
    source: Any = SimpleNamespace(identity=SimpleNamespace(digest="sha256:00"))
    place = cache.unpacked(source, unpack)
    assert (place / "x").stat().st_size == 100_000
    assert not [path for path in disk.rglob("*") if path.is_file() and path.name != "filler"]


def test_a_read_only_output_says_so(library: Path, mount: Mount) -> None:
    disk = mount("64k", read_only=True)
    done = smforge("audit", library, "-o", f"json={disk / 'report.json'}")
    assert done.returncode in {2, 4}
    assert "read-only" in done.stderr.lower()
    done = smforge("slim", library, "--keep", "9.0", "-o", disk / "libone.so")
    assert done.returncode == 4
    assert "read-only" in done.stderr


def test_a_folder_of_another_user_says_so() -> None:
    """Root may write everywhere, so a child of this process writes as nobody."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "of-root"
        folder.mkdir()
        folder.chmod(0o755)
        Path(place).chmod(0o755)
        report = folder / "report.json"
        with pytest.raises(SmforgeError):
            write_report(folder / "none" / "x", "")  # Loads what nobody may not be able to read.
        answers, pipe = os.pipe()
        if os.fork() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            try:
                write_report(report, "{}")
            except SmforgeError as error:
                os.write(pipe, f"{error.exit_code} {error}".encode())
            os._exit(0)
        os.wait()
        os.close(pipe)
        with os.fdopen(answers) as answer:
            said = answer.read()
        assert said.startswith("4 Nothing more can be written at")
        assert "belongs to another user" in said
        assert list(folder.iterdir()) == []


def test_an_error_of_another_kind_is_not_explained_away() -> None:
    assert unwritten(OSError(errno.EBADF, "bad descriptor")) is None


def test_room_is_that_of_the_folder_that_will_be_made(mount: Mount) -> None:
    disk = mount("1m")
    assert free_bytes(disk / "a" / "b") == free_bytes(disk) == 1 << 20
    require_room(disk / "a", 1 << 20, "It", "do")
    with pytest.raises(NoRoomError, match=r"It takes 1\.0 MB, and .* has 1\.0 MB free\. Free 1 B"):
        require_room(disk / "a", (1 << 20) + 1, "It", "do")
