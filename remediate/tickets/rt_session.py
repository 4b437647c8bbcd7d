"""The session of the package `rt`, made to end: bounded answers, no detours, a connection for each call."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import httpx2
from rt.rest2 import Rt

#: Of one answer. The largest is an attachment of 10 MB, in Base64 within JSON.
LARGEST = 32_000_000


def open_session(url: str, token: str, timeout: float, ca: Path | None) -> Rt:
    """A client of the API at ``url`` whose session talks to that address alone.

    Proxies and ``netrc`` of the environment would see the token, and so would the target of a redirect.
    Each call has its own connection: one that can't be made means that nothing was sent.
    """
    rt = Rt(url, token=token)
    rt.session.close()
    transport = httpx2.HTTPTransport(
        verify=ssl.create_default_context(cafile=ca),
        trust_env=False,
        limits=httpx2.Limits(max_keepalive_connections=0),
    )
    rt.session = httpx2.Client(
        transport=_Bounded(transport, timeout),
        timeout=timeout,
        trust_env=False,
        follow_redirects=False,
        headers={
            "Authorization": f"token {token}",
            "Connection": "close",
            # Compressed, a small answer could become an endless one.
            "Accept-Encoding": "identity",
        },
    )
    return rt


class _Bounded(httpx2.BaseTransport):
    """A session's timeout is for each piece of an answer; this one is for all pieces together."""

    def __init__(self, inner: httpx2.BaseTransport, timeout: float) -> None:
        self._inner, self._timeout = inner, timeout

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._inner.handle_request(request)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Pieces(cast(httpx2.SyncByteStream, response.stream), time.monotonic() + self._timeout),
            extensions=response.extensions,
        )

    def close(self) -> None:
        self._inner.close()


class _Pieces(httpx2.SyncByteStream):
    def __init__(self, inner: httpx2.SyncByteStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._inner:
            size += len(piece)
            if size > LARGEST:
                raise httpx2.ReadError(f"an answer of more than {LARGEST:,} bytes")
            if time.monotonic() > self._deadline:
                raise httpx2.ReadTimeout("the answer does not end")
            yield piece

    def close(self) -> None:
        self._inner.close()
