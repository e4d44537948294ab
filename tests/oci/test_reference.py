"""Names of images in registries."""

from __future__ import annotations

import pytest

from smforge.errors import UsageError
from smforge.oci.reference import is_loopback, parse_reference


@pytest.mark.parametrize(
    ("text", "base", "version"),
    [
        ("docker.io/python:3.13", "https://registry-1.docker.io/v2/library/python", "3.13"),
        (
            "docker.io/vllm/vllm-openai",
            "https://registry-1.docker.io/v2/vllm/vllm-openai",
            "latest",
        ),
        ("example.org:5000/a/b/c:x", "https://example.org:5000/v2/a/b/c", "x"),
        ("localhost/a:1", "http://localhost/v2/a", "1"),
        ("[::1]:5000/a:1", "http://[::1]:5000/v2/a", "1"),
        (f"example.org/a:1@sha256:{'0' * 64}", "https://example.org/v2/a", f"sha256:{'0' * 64}"),
    ],
)
def test_references_lead_to_their_registry(text: str, base: str, version: str) -> None:
    reference = parse_reference(text)
    assert (reference.base, reference.version) == (base, version)


@pytest.mark.parametrize(
    "text",
    ["", "python", "vllm/vllm-openai:1", "example.org/A", "example.org/a:", "a.b/../c", "-a/b"],
)
def test_other_texts_are_no_references(text: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(text)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("[::1]:5000", True),
        ("localhost.example.org", False),
        ("128.0.0.1", False),
        ("127.0.0.1.example.org", False),
    ],
)
def test_plain_http_is_for_this_machine_alone(host: str, here: bool) -> None:
    assert is_loopback(host) is here
