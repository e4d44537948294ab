"""Answers a registry's challenge: the Authorization header that it asks for.

Protocols: "Token Authentication Specification" and "OAuth2" of the distribution project; RFC 9110
for challenges.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit

import urllib3

from smforge.errors import ToolError
from smforge.oci.credentials import Credentials
from smforge.oci.reference import Reference, stays_secret
from smforge.oci.transport import Transport, bounded

_TOKEN_BYTES = 1 << 20

FindCredentials = Callable[[str], Credentials | None]
"""Gives the login that is stored for a registry."""


def authorization_for(
    challenge: str, reference: Reference, find_credentials: FindCredentials, transport: Transport
) -> str:
    """Return the Authorization header that the registry of `reference` asks for in `challenge`.

    The challenge must come from that registry itself: it decides where the stored login goes.
    Raises `ToolError` where a login is missing or refused, and where it would be sent openly.
    """
    scheme, _, rest = challenge.partition(" ")
    # Not parse_keqv_list, which raises IndexError for a value that is empty.
    pairs = (item.partition("=") for item in urllib.request.parse_http_list(rest))
    values = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
    found = find_credentials(reference.credentials)
    if scheme.lower() == "basic":
        if found is None or not found.username:
            raise ToolError(
                f"{reference.host} asks for a login.",
                remedy=f"Run docker login {reference.host}.",
            )
        return _basic(found)
    if scheme.lower() == "bearer" and "realm" in values:
        return f"Bearer {_token(values, reference, found, transport)}"
    raise ToolError(f"{reference.host} asks for authorisation of an unknown kind.")


def _token(
    challenge: Mapping[str, str],
    reference: Reference,
    found: Credentials | None,
    transport: Transport,
) -> str:
    realm = _checked_realm(challenge["realm"], reference)
    scopes = challenge.get("scope", f"repository:{reference.name}:pull")
    fields: dict[str, str | list[str]] = {
        "service": challenge.get("service", ""),
        "scope": scopes.split(),
    }
    # A redirect could lead the login elsewhere, so none is followed.
    if found is not None and found.identity_token:
        fields |= {
            "grant_type": "refresh_token",
            "refresh_token": found.identity_token,
            "client_id": "smforge",
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(fields, doseq=True).encode()
        response = transport.send("POST", realm, headers, body)
    else:
        headers = {"Authorization": _basic(found)} if found else {}
        joiner = "&" if urlsplit(realm).query else "?"
        response = transport.send("GET", f"{realm}{joiner}{urlencode(fields, doseq=True)}", headers)
    try:
        return _token_in(response, reference)
    finally:
        response.close()


def _checked_realm(realm: str, reference: Reference) -> str:
    if not stays_secret(realm, reference.api):
        raise ToolError(f"{reference.host} sends logins to {realm[:200]!r}, which is not HTTPS.")
    return realm


def _token_in(response: urllib3.BaseHTTPResponse, reference: Reference) -> str:
    host = reference.host
    if response.status != 200:
        raise ToolError(
            f"{host} gives no access to {reference.written} (HTTP {response.status}).",
            remedy=f"Run docker login {host} with an account that has access.",
        )
    try:
        answer = json.loads(bounded(response, _TOKEN_BYTES, f"The token of {host}"))
        token = answer.get("token") or answer["access_token"]
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise ToolError(f"{host} gave no readable token.") from error
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise ToolError(f"{host} gave no readable token.")
    return token


def _basic(found: Credentials) -> str:
    pair = f"{found.username}:{found.password}"
    return urllib3.make_headers(basic_auth=pair)["authorization"]
