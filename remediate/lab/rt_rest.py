"""The few REST2 calls that the lab itself makes. Request Tracker refuses with HTTP 200: callers re-read."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from urllib.parse import quote

from remediate.lab.command import LabError


def call(
    port: int,
    token: str,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    timeout: float = 30,
) -> object:
    """Send one request to the tracker on 127.0.0.1 and return its decoded JSON answer.

    Args:
        port: where it listens.
        token: whose right it is; sent as a header.
        method: HTTP method.
        path: below ``/REST/2.0``, with its query.
        body: sent as JSON.
        timeout: seconds without a byte.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    try:
        connection.request(method, f"/REST/2.0{path}", None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise LabError(f"Request Tracker on port {port}: {error}", "remediate lab up") from error
    finally:
        connection.close()
    if answer.status not in (200, 201):
        raise LabError(f"Request Tracker answers {method} {path} with {answer.status}: {text[:500]}")
    try:
        return json.loads(text)
    except ValueError as error:
        raise LabError(f"Request Tracker answers {method} {path} with no JSON: {text[:200]}") from error


def search(port: int, token: str, query: str) -> list[int]:
    """Ids of the tickets that a TicketSQL ``query`` finds, first page (100)."""
    found = call(port, token, "GET", f"/tickets?per_page=100&orderby=id&query={quote(query)}")
    items = found.get("items") if isinstance(found, dict) else None
    if not isinstance(items, list):
        raise LabError(f"Request Tracker answers a search with {found!r}")
    return [int(item["id"]) for item in items]
