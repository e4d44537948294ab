"""A real registry behind a network that fails at chosen moments: pulls and pushes."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smforge import retries
from smforge.errors import DamagedInputError, SmforgeError, ToolError
from smforge.inventory.options import ReadOptions
from smforge.inventory.subjects import registry
from smforge.oci import time_budget, transport
from smforge.oci.layout import LayoutFolder
from smforge.progress import Progress
from smforge.publish.push import push
from tests import faulty_proxy as faults
from tests.faulty_proxy import Fault, Proxy, Tokens, Waits
from tests.inventory.images.conftest import Layout, layer, shown
from tests.inventory.images.conftest import push as put

pytestmark = pytest.mark.network

CONTENT = secrets.token_bytes(1_500_000)
LATER = "Sat, 28 Nov 2026 03:00:07 GMT"
NOW = "Sat, 28 Nov 2026 03:00:00 GMT"


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Layout()
    made.add([layer(("file", "a", CONTENT)), layer(("file", "b", b"b"))])
    return made.write_folder(tmp_path_factory.mktemp("layout"))


@pytest.fixture(scope="module")
def real(registry_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from tests.conftest import serve  # noqa: PLC0415 - the fixture of it is one per test

    with serve(registry_program, tmp_path_factory.mktemp("registry")) as host:
        made = Layout()
        made.add([layer(("file", "a", CONTENT)), layer(("file", "b", b"b"))])
        put(host, "team/image:1", made)
        yield host


@pytest.fixture
def proxy(real: str) -> Iterator[Proxy]:
    with faults.before(real) as server:
        yield server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Waits:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    heard = Waits()
    monkeypatch.setattr(
        time_budget.TimeBudget, "pause", lambda _budget, seconds: heard.seconds.append(seconds)
    )
    return heard


def pulled(proxy: Proxy, waits: Progress) -> dict[str, bytes]:
    options = ReadOptions(progress=waits)
    return shown(registry.open_subject(f"{proxy.host}/team/image:1", options))


BLOBS = "/blobs/"


@pytest.mark.parametrize(
    ("part", "planned", "seconds"),
    [
        ("/manifests/", [faults.says(429)], [0.5]),
        ("/manifests/", [faults.says(429, Retry_After="3")], [3]),
        ("/manifests/", [faults.says(429, Retry_After=LATER, Date=NOW)], [7]),
        (BLOBS, [faults.says(429, Retry_After="7200")], [60]),
        (BLOBS, [faults.says(503), faults.says(502), faults.says(500)], [0.5, 1, 2]),
        (BLOBS, [faults.breaks_off(700_000, reset=True)], []),
        (BLOBS, [faults.breaks_off(700_000, reset=False)] * 2, []),
        (BLOBS, [faults.ends_early(1000)], []),
        (BLOBS, [faults.breaks_off(700_000, reset=False), faults.ignores_range], []),
    ],
)
def test_a_pull_gets_every_byte_after_a_fault_that_passes(
    proxy: Proxy, waits: Waits, part: str, planned: list[Fault], seconds: list[float]
) -> None:
    proxy.plan("GET", part, *planned)
    assert pulled(proxy, waits) == {"a": CONTENT, "b": b"b"}
    assert all(not rest for _, _, rest in proxy.plans)
    if seconds:
        assert waits.seconds == seconds
        assert all(proxy.host in one and "HTTP" in one for one in waits.said)


@pytest.mark.parametrize(
    ("part", "planned", "error", "said"),
    [
        (BLOBS, [faults.changes_a_byte] * 3, DamagedInputError, "does not have the digest"),
        (BLOBS, [faults.adds(b"more")] * 3, DamagedInputError, "is longer than the"),
        (BLOBS, [faults.ends_early(5)] * 30, DamagedInputError, "ends after|does not have"),
        (BLOBS, [faults.breaks_off(9, reset=True)] * 30, ToolError, "broke off 9 times"),
        (BLOBS, [faults.says(429, Retry_After="3600")] * 30, ToolError, "429.*wait 3600 seconds"),
        ("/manifests/", [faults.says(503)] * 30, ToolError, "HTTP 503"),
        ("/manifests/", [faults.changes_a_byte] * 3, DamagedInputError, "says that its digest is"),
    ],
)
def test_a_fault_that_stays_is_said_and_never_a_part_of_an_image(  # noqa: PLR0917 - a fault
    proxy: Proxy,
    waits: Waits,
    part: str,
    planned: list[Fault],
    error: type[SmforgeError],
    said: str,
) -> None:
    proxy.plan("GET", part, *planned)
    with pytest.raises(error, match=said) as raised:
        pulled(proxy, waits)
    assert raised.value.exit_code in {2, 4}


def test_a_redirect_to_a_host_that_is_gone(proxy: Proxy, waits: Waits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        place = f"127.0.0.1:{gone.getsockname()[1]}"
    proxy.plan("GET", BLOBS, *[faults.redirects_to(f"http://{place}/x?signature=secret")] * 30)
    with pytest.raises(ToolError, match=f"{place} cannot be reached") as raised:
        pulled(proxy, waits)
    assert "secret" not in str(raised.value)


def test_a_registry_that_sends_a_byte_now_and_then(
    proxy: Proxy, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_budget, "MOST_SECONDS", 0.5)
    monkeypatch.setattr(time_budget, "ANSWER_SECONDS", 0.0)
    proxy.plan("GET", BLOBS, *[faults.trickles] * 30)
    with pytest.raises(ToolError, match="makes no progress"):
        pulled(proxy, waits)


def test_tokens_that_expire_in_the_middle(proxy: Proxy, waits: Waits) -> None:
    proxy.tokens = Tokens(uses=2)
    proxy.plan("GET", BLOBS, *[faults.breaks_off(500_000, reset=False)] * 2)
    assert pulled(proxy, waits)["a"] == CONTENT
    assert len(proxy.tokens.issued) > 2


def test_a_token_that_is_never_good_says_to_look_at_the_clock(proxy: Proxy, waits: Waits) -> None:
    """A token is refused so where the registry's clock is behind or ahead of its token server's."""
    proxy.tokens = Tokens(uses=0)
    with pytest.raises(ToolError, match=r"HTTP 401.*look at the clocks .*the registry says"):
        pulled(proxy, waits)


@pytest.mark.parametrize(
    ("method", "part", "planned"),
    [
        ("HEAD", BLOBS, [faults.says(429), faults.says(503)]),
        ("POST", "/uploads/", [faults.says(429, Retry_After="2")]),
        ("PATCH", "/uploads/", [faults.says(503), faults.says(429)]),
        ("PATCH", "/uploads/", [faults.takes(400_000), faults.takes(100_000)]),
        ("PATCH", "/uploads/", [faults.loses_the_answer]),
        ("PUT", "/uploads/", [faults.loses_the_answer, faults.says(502)]),
        ("PUT", "/manifests/", [faults.says(429), faults.loses_the_answer, faults.says(500)]),
    ],
)
def test_a_push_ends_with_the_same_image_after_a_fault_that_passes(  # noqa: PLR0917 - a fault
    proxy: Proxy, waits: Waits, layout: Path, method: str, part: str, planned: list[Fault]
) -> None:
    proxy.plan(method, part, *planned)
    name = f"{proxy.host}/pushed/{secrets.token_hex(4)}:1"
    pushed = push(layout, name)
    assert all(not rest for _, _, rest in proxy.plans)
    assert pushed.digest == LayoutFolder(layout).roots()[0].digest
    assert shown(registry.open_subject(name, ReadOptions()))["a"] == CONTENT


@pytest.mark.parametrize(
    ("method", "part", "fault", "said"),
    [
        ("PATCH", "/uploads/", faults.takes(10_000), "in 8 attempts"),
        ("PUT", "/manifests/", faults.says(429, Retry_After="900"), "429 and asks to wait 900"),
        ("POST", "/uploads/", faults.says(503), "HTTP 503"),
    ],
)
def test_a_push_that_cannot_be_done_leaves_no_tag(  # noqa: PLR0917 - a fault
    proxy: Proxy, waits: Waits, layout: Path, method: str, part: str, fault: Fault, said: str
) -> None:
    proxy.plan(method, part, *[fault] * 50)
    name = f"failed/{secrets.token_hex(4)}"
    with pytest.raises(ToolError, match=said):
        push(layout, f"{proxy.host}/{name}:1")
    proxy.plans.clear()
    with pytest.raises(SmforgeError, match="has no image"):
        registry.open_subject(f"{proxy.host}/{name}:1", ReadOptions())


def test_tokens_that_expire_during_a_push(proxy: Proxy, waits: Waits, layout: Path) -> None:
    proxy.tokens = Tokens(uses=5)
    name = f"{proxy.host}/pushed/{secrets.token_hex(4)}:1"
    assert push(layout, name).digest == LayoutFolder(layout).roots()[0].digest
    assert len(proxy.tokens.issued) > 2


def test_the_command_ends_as_its_contract_says(proxy: Proxy, tmp_path: Path) -> None:
    proxy.plan("GET", BLOBS, *[faults.changes_a_byte] * 3)
    command = (sys.executable, "-m", "smforge", "audit", f"registry:{proxy.host}/team/image:1")
    environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


def test_what_is_repeated_has_reasons() -> None:
    document: dict[str, Any] = retries._DATA
    rows = [*document["answers"], *document["attempts"].values(), *document["pauses"].values()]
    assert all(len(row["reason"]) > 20 for row in rows)
    assert {429, 503} <= set(retries.BUSY)
    assert transport.LONGEST_PAUSE_SECONDS <= retries.LONGEST_ASKED_SECONDS
    assert retries.attempts("request") > 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12),
        ({"Retry-After": LATER, "Date": NOW}, 7),
        ({"Retry-After": NOW, "Date": LATER}, 0),
        ({"Retry-After": LATER}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": LATER, "Date": "Sat, 28 Nov 2026 03:00:00"}, None),
        ({"Retry-After": "9" * 400}, 999999999),
    ],
)
def test_what_an_answer_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    asked: Callable[..., float | None] = retries.asked_seconds
    assert asked(headers) == seconds
