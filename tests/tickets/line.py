"""A line to a server on loopback, on which calls go wrong as told."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

Fault = Callable[["Call"], None]


@dataclass
class Call:
    """One request, on a connection of its own."""

    client: socket.socket
    request: bytes
    server: tuple[str, int]

    def forward(self) -> bytes:
        """Let the server have it; its whole answer."""
        with socket.create_connection(self.server) as upstream:
            upstream.sendall(self.request)
            answer = b""
            while piece := upstream.recv(65536):
                answer += piece
            return answer

    def answer(self, data: bytes) -> None:
        """Send this to the client."""
        with suppress(OSError):
            self.client.sendall(data)


def reply_lost(call: Call) -> None:
    """The server takes it; the line drops before the reply."""
    call.forward()


def dropped(_call: Call) -> None:
    """The line drops before the server has it."""


def reply_cut(call: Call) -> None:
    """Half of the reply arrives."""
    answer = call.forward()
    call.answer(answer[: len(answer) // 2])


def trickle(call: Call) -> None:
    """The reply's body comes byte by byte, slowly."""
    head, _, body = call.forward().partition(b"\r\n\r\n")
    call.answer(head + b"\r\n\r\n")
    for byte in body:
        call.answer(bytes([byte]))
        time.sleep(0.1)


def held(released: threading.Event) -> Fault:
    """Nothing happens until then; the client has long gone when the server gets it."""

    def fault(call: Call) -> None:
        released.wait(60)
        call.forward()

    return fault


def says(status: str, body: str = "", *headers: str) -> Fault:
    """Something else answers in the server's place."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", body]
    return lambda call: call.answer("\r\n".join(lines).encode())


@dataclass
class Line:
    """Listens on a port of its own. ``faults``: for the next calls whose request line holds the word.

    With a ``certificate`` (and its key in the same file) it speaks TLS to the client.
    """

    server: tuple[str, int]
    certificate: Path | None = None
    calls: int = 0
    faults: deque[tuple[str, Fault]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if self.certificate else None
        if self._tls and self.certificate:
            self._tls.load_cert_chain(self.certificate)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def url(self) -> str:
        """Where the server seems to be."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/"

    def close(self) -> None:
        """Take no more calls."""
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted, suppress(OSError), self._encrypted(accepted) as client:
            self.calls += 1
            call = Call(client, _request(client), self.server)
            line = call.request.partition(b"\r\n")[0].decode()
            if self.faults and self.faults[0][0] in line:
                self.faults.popleft()[1](call)
            else:
                call.answer(call.forward())

    def _encrypted(self, client: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(client, server_side=True) if self._tls else client


def _request(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            raise OSError("the client has gone")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for header in head.split(b"\r\n")[1:]:
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body
