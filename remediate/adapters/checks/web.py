"""One GET with a deadline, a cap on the answer, and certificates that are always verified."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from remediate.errors import InputError
from remediate.model.step import Context

LONGEST = 4 << 20


def web_address(value: str) -> str:
    """The text, if it is the URL of a web server.

    Raises:
        ValueError: it is not.
    """
    if not value.startswith(("http://", "https://")):
        raise ValueError("an URL begins with http:// or https://")
    return value


def authority(ca: str | None) -> tuple[Path, ...]:
    """The artefact that ``ca`` is, if it is a file of the project and not one of this machine."""
    return (Path(ca),) if ca and not ca.startswith("/") else ()


def get(
    context: Context,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    token: str | None = None,
    ca: str | None = None,
    timeout: float = 10.0,
) -> tuple[int, bytes]:
    """Status and body. Redirects are answers, not followed; no proxy is used.

    Args:
        context: of the check.
        url: with everything filled in.
        headers: sent along.
        token: a secret reference; its value is sent as a bearer token (RFC 6750), and only to a server that
            TLS has verified, or to this machine itself.
        ca: a PEM file of the project or, if absolute, of this machine; default: the system's authorities.
        timeout: seconds for all of it.

    Raises:
        InputError: the answer takes too long or is too long, or the token would go over an open line.
        OSError: nobody answers, or nobody whose certificate can be trusted.
    """
    parts = urlsplit(url)
    sent = {"User-Agent": "remediate", **(headers or {})}
    if token is not None:
        if parts.scheme != "https" and not _this_machine(parts.hostname or ""):
            raise InputError("a token is not sent without TLS", "use https://")
        sent["Authorization"] = f"Bearer {context.secrets.resolve(token)}"
    deadline = time.monotonic() + timeout
    connection = _connection(parts, context, ca, timeout)
    try:
        query = f"?{parts.query}" if parts.query else ""
        connection.request("GET", (parts.path or "/") + query, headers=sent)
        answer = connection.getresponse()
        body = bytearray()
        while part := answer.read1(65536):
            body += part
            if time.monotonic() > deadline:
                raise InputError(f"the answer was not complete within {timeout:g} s")
            if len(body) > LONGEST:
                raise InputError(f"the answer is longer than {LONGEST} bytes")
        return answer.status, bytes(body)
    finally:
        connection.close()


def _connection(
    url: SplitResult, context: Context, ca: str | None, timeout: float
) -> http.client.HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "http":
        return http.client.HTTPConnection(host, url.port or 80, timeout=timeout)
    file = None if ca is None else str(ca if ca.startswith("/") else context.artefacts / ca)
    trust = ssl.create_default_context(cafile=file)
    return http.client.HTTPSConnection(host, url.port or 443, timeout=timeout, context=trust)


def _this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
