"""The credentials that ``docker login`` keeps, read through the standard helpers.

Docker's own Python package reads them too, but runs helpers without a time limit and brings five
packages for it. Protocol: github.com/docker/docker-credential-helpers, "Development"; file:
docker/cli, "config.json" (auths, credsStore, credHelpers).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smforge.errors import ConfigurationError, ToolError

_HELPER_SECONDS = 30
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_FOUND = "credentials not found in native keychain"
_TOKEN_USER = "<token>"  # noqa: S105 - the name under which helpers file identity tokens


@dataclass(frozen=True, slots=True)
class Credentials:
    """Either a name with a password, or an identity token to be exchanged for access."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


def find_credentials(registry: str, folder: Path | None = None) -> Credentials | None:
    """Return what ``docker login`` stored for `registry`; None where it stored nothing.

    `folder` holds Docker's configuration; it is the one that the environment names by default.
    Raises `ConfigurationError` for an unreadable configuration and `ToolError` for a helper that is
    missing, fails or does not answer.
    """
    path = (folder or configuration_folder()) / "config.json"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error
    try:
        configuration = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{path} is not readable JSON: {error}.") from error
    if not isinstance(configuration, dict):
        raise ConfigurationError(f"{path} is not a JSON object.")
    helper = _for_host(configuration.get("credHelpers"), registry) or configuration.get(
        "credsStore"
    )
    if helper:
        return _from_helper(str(helper), registry)
    return _from_file(_for_host(configuration.get("auths"), registry), path)


def configuration_folder() -> Path:
    """The folder of docker's configuration and logins, as the environment names it."""
    folder = os.environ.get("DOCKER_CONFIG")
    return Path(folder) if folder else Path.home() / ".docker"


def _for_host(entries: object, registry: str) -> Any:
    """Find an entry by its exact key, or by the host of a key that is a URL."""
    if not isinstance(entries, dict):
        return None
    if registry in entries:
        return entries[registry]
    for key, entry in entries.items():
        if _host(key) == _host(registry):
            return entry
    return None


def _host(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _from_file(entry: object, path: Path) -> Credentials | None:
    if not isinstance(entry, dict) or not entry:
        return None
    if entry.get("identitytoken"):
        return Credentials(identity_token=str(entry["identitytoken"]))
    if not entry.get("auth"):
        name, password = entry.get("username"), entry.get("password")
        return Credentials(str(name), str(password)) if name and password else None
    try:
        decoded = base64.b64decode(str(entry["auth"]), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} holds credentials that cannot be decoded.", remedy="Run docker login again."
        ) from error
    name, _, password = decoded.partition(":")
    return Credentials(name, password.rstrip("\0"))


def _from_helper(helper: str, registry: str) -> Credentials | None:
    if not _HELPER_NAME.fullmatch(helper):
        raise ConfigurationError(f"{helper!r} is not the name of a credential helper.")
    program = f"docker-credential-{helper}"
    try:
        answer = subprocess.run(
            [program, "get"],
            input=registry,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise ToolError(
            f"The credential helper {program} is not installed, though Docker's configuration "
            f"keeps the credentials of {registry} in it.",
            remedy="Install it, or remove it from config.json and run docker login again.",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"The credential helper {program} did not answer within {_HELPER_SECONDS} seconds.",
            remedy="Unlock the keychain it reads.",
        ) from error
    if answer.returncode != 0:
        if _NOT_FOUND in answer.stdout:
            return None
        # A helper writes its errors to standard output, where its secrets would be too.
        raise ToolError(f"The credential helper {program} failed for {registry}.")
    return _from_answer(answer.stdout, program)


def _from_answer(text: str, program: str) -> Credentials:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, Mapping) or not isinstance(answer.get("Secret"), str):
        raise ToolError(f"The credential helper {program} gave no readable answer.")
    name, secret = str(answer.get("Username", "")), answer["Secret"]
    if name == _TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(name, secret)
