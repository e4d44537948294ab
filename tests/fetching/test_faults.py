"""A package index behind a network that fails at chosen moments."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from smforge.errors import DamagedInputError, SmforgeError, ToolError
from smforge.fetching import cache, download, pip_tools
from smforge.fetching.wheels import Fetched, Target, fetch_wheel
from smforge.progress import Progress
from tests import faulty_proxy as faults
from tests.faulty_proxy import Fault, Proxy, Waits
from tests.fetching.conftest import Index

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NAME = "kernels-1.0-py3-none-manylinux_2_28_x86_64.whl"
PAGE, FILE = "/simple/", "/files/"
LATER = "Sat, 28 Nov 2026 03:00:07 GMT"
NOW = "Sat, 28 Nov 2026 03:00:00 GMT"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    heard = Waits()
    for module in (pip_tools, download):
        import time  # noqa: PLC0415 - the real one, of which the module keeps the rest

        clock = SimpleNamespace(monotonic=time.monotonic, sleep=heard.seconds.append)
        monkeypatch.setattr(module, "time", clock)
    return heard


@pytest.fixture
def proxy(
    index: Index, make_wheel: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Proxy]:
    """Before an index with one wheel of 400 kB."""
    index.release(make_wheel(NAME, {"kernels/x": secrets.token_hex(400_000)}))
    with faults.before(index.url.removeprefix("http://")) as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://{server.host}/simple")
        yield server


def fetch(progress: Progress) -> Fetched:
    return fetch_wheel("kernels==1.0", Target("linux/amd64", "3.12"), progress)


@pytest.mark.parametrize(
    ("part", "planned", "seconds"),
    [
        (PAGE, [faults.says(429)], [0.5]),
        (PAGE, [faults.says(429, Retry_After="3")], [3]),
        (PAGE, [faults.says(503, Retry_After="7200")], [60]),
        (FILE, [faults.says(429, Retry_After=LATER, Date=NOW)], [7]),
        (FILE, [faults.says(502), faults.says(500), faults.says(504)], [0.5, 1, 2]),
        (FILE, [faults.breaks_off(100_000, reset=True)], []),
        (FILE, [faults.breaks_off(100_000, reset=False)] * 3, [1, 2]),
        (FILE, [faults.breaks_off(100_000, reset=False), faults.ignores_range], []),
    ],
)
def test_a_fault_that_passes_costs_no_byte(  # noqa: PLR0917 - a fault
    proxy: Proxy,
    index: Index,
    waits: Waits,
    part: str,
    planned: list[Fault],
    seconds: list[float],
) -> None:
    proxy.plan("GET", part, *planned)
    assert fetch(waits).path.read_bytes() == index.files[f"/files/{NAME}"]
    assert all(not rest for _, _, rest in proxy.plans)
    assert waits.seconds == seconds
    assert len(waits.said) == len(seconds)


@pytest.mark.parametrize(
    ("part", "planned", "error", "said"),
    [
        (PAGE, [faults.says(429)] * 30, ToolError, "HTTP 429"),
        (PAGE, [faults.says(403)] * 30, ToolError, "HTTP 403"),
        (FILE, [faults.says(503)] * 30, ToolError, r"HTTP 503 for .*Try again later"),
        (FILE, [faults.changes_a_byte], DamagedInputError, "arrived with the sha256"),
        (FILE, [faults.ends_early(7)], DamagedInputError, "arrived with the sha256"),
        (FILE, [faults.adds(b"more")], DamagedInputError, "arrived with the sha256"),
        (FILE, [faults.breaks_off(9000, reset=True)] * 30, ToolError, "cannot be fetched from"),
        (FILE, [faults.breaks_off(0, reset=False)] * 30, ToolError, "cannot be fetched from"),
    ],
)
def test_a_fault_that_stays_is_said_and_leaves_nothing(  # noqa: PLR0917 - a fault
    proxy: Proxy,
    waits: Waits,
    part: str,
    planned: list[Fault],
    error: type[SmforgeError],
    said: str,
) -> None:
    proxy.plan("GET", part, *planned)
    with pytest.raises(error, match=said) as raised:
        fetch(waits)
    assert raised.value.exit_code == 4
    assert not [path for path in cache.folder().rglob("*") if path.is_file()]


def test_a_redirect_to_a_host_that_is_gone(proxy: Proxy, waits: Waits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        place = f"127.0.0.1:{gone.getsockname()[1]}"
    proxy.plan("GET", FILE, *[faults.redirects_to(f"http://{place}/x?signature=secret")] * 30)
    with pytest.raises(ToolError, match="cannot be fetched from") as raised:
        fetch(waits)
    assert "secret" not in str(raised.value)


def test_a_server_that_sends_a_byte_now_and_then(
    proxy: Proxy, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_WAIT_SECONDS", 0.5)
    proxy.plan("GET", FILE, faults.trickles)
    with pytest.raises(ToolError, match="makes no progress"):
        fetch(waits)
