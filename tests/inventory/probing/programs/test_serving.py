"""vLLM's command and server are tried as they are, and again as if there were a driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from smforge.inventory.probing.records import How, Probed, Serving

from .conftest import CHAT, COMMAND


@pytest.fixture
def examine(
    models: Callable[..., Path],
    write: Callable[[Path, Mapping[str, str]], Path],
    probe: Callable[..., Probed],
) -> Callable[[str], Serving]:
    """Probe a small vLLM whose server answers at one path."""

    def run(path: str) -> Serving:
        site = models()
        write(site, {name: text.replace(CHAT, path) for name, text in COMMAND.items()})
        document = probe("serving", "--devices", "12.1").serving
        assert document is not None
        return document

    return run


def test_only_the_gpu_is_missing(examine: Callable[[str], Serving]) -> None:
    found = examine(CHAT).by_item()
    for item in ("vllm --version", "vllm serve --help", "the server's application", "vllm serve"):
        failure = found[item][How.ALONE].failure
        assert failure is not None
        assert failure[0].message == "Failed to infer device type"
        assert found[item][How.ASSUMING].is_well
    assert found["vllm --version"][How.ASSUMING].notes.said == "0.33.0"
    assert found["the server's application"][How.ASSUMING].notes.routes == 1
    notes = found["FlashInfer"][How.ALONE].notes
    assert (notes.usable, notes.experts) == (True, False)


def test_a_server_without_the_route_of_openai(examine: Callable[[str], Serving]) -> None:
    failure = examine("/health").by_item()["the server's application"][How.ASSUMING].failure
    assert failure is not None
    assert failure[0].message == "it has no /v1/chat/completions among 1 routes"


def test_without_vllm_there_is_nothing_to_try(probe: Callable[..., Probed]) -> None:
    document = probe("serving").serving
    assert document is not None
    assert document.there is False
    assert document.items == ()
