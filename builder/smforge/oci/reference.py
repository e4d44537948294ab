"""Names of images in registries: ``HOST[:PORT]/NAME[:TAG][@DIGEST]``.

Grammar: OCI distribution-spec 1.1, "Pulling manifests"; hosts are always written out here, because
a name without one means different registries to different tools.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from smforge.errors import UsageError

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<host>[A-Za-z0-9.-]+(?::\d{{1,5}})?|\[[0-9a-fA-F:]+\](?::\d{{1,5}})?)"
    rf"/(?P<name>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """An image of a registry."""

    host: str
    """As written, with the port if any."""
    api: str
    """The host that serves the distribution API."""
    credentials: str
    """What `docker login` files the registry's credentials under."""
    name: str
    version: str
    """A tag or a digest."""
    written: str
    """The whole reference with its host and version."""

    @property
    def base(self) -> str:
        """The URL of the repository's API. Plain HTTP is for this machine alone."""
        scheme = "http" if is_loopback(self.api) else "https"
        return f"{scheme}://{self.api}/v2/{self.name}"


def parse_reference(text: str) -> Reference:
    """Read a reference. Raises `UsageError` for one without a host or not of the grammar."""
    found = _REFERENCE.fullmatch(text)
    if found is None or len(found["name"]) > 255:
        raise UsageError(
            f"{text!r} is not the name of an image in a registry.",
            remedy="Write it as HOST/NAME:TAG or HOST/NAME@sha256:….",
        )
    host, name = found["host"], found["name"]
    if not ("." in host or ":" in host or host == "localhost"):
        raise UsageError(
            f"{text!r} does not begin with a registry's host.",
            remedy=f"Images of Docker Hub are docker.io/{text}.",
        )
    alias = _aliases().get(host, {})
    if alias and "/" not in name:
        name = f"{alias['namespace']}/{name}"
    version = found["digest"] or found["tag"] or "latest"
    return Reference(
        host=host,
        api=alias.get("api", host),
        credentials=alias.get("credentials", host),
        name=name,
        version=version,
        written=f"{host}/{name}{'@' if found['digest'] else ':'}{version}",
    )


def is_loopback(host: str) -> bool:
    """Whether `host`, with or without a port, is this machine by definition."""
    name = host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def stays_secret(url: str, asked: str) -> bool:
    """Whether what the registry with the host `asked` has sent to `url` cannot be overheard.

    That is so over HTTPS, and between programs of this machine.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host:
        return False
    # The host without a name in front of it: http://localhost:1@elsewhere leads elsewhere.
    here = is_loopback(parts.netloc.rpartition("@")[2]) and is_loopback(asked)
    return parts.scheme == "https" or (here and parts.scheme == "http")


@functools.cache
def _aliases() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("data/registries.json").read_text("utf-8")
    aliases: dict[str, Any] = json.loads(text)["aliases"]
    return aliases
