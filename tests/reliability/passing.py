"""Bytes between a client and a server, and what can happen to them on the way."""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

#: How long something is held that nobody lets go.
_LONGEST = 60.0


@dataclass
class Passing:
    """Bytes on their way."""

    data: bytes
    cut: Callable[[], object]
    """Ends the connection."""
    kill: Callable[[], object]
    """Kills whoever is at the other end."""
    gate: threading.Event


Fault = Callable[[Passing], Iterable[bytes]]


def lost(passing: Passing) -> Iterator[bytes]:
    """The connection ends; nothing of it arrives."""
    passing.cut()
    yield from ()


def halved(passing: Passing) -> Iterator[bytes]:
    """Half of it arrives, and the connection ends."""
    yield passing.data[: len(passing.data) // 2]
    passing.cut()


def twice(passing: Passing) -> Iterator[bytes]:
    """It arrives two times."""
    yield passing.data
    yield passing.data


def held(passing: Passing) -> Iterator[bytes]:
    """It arrives when the gate opens, whoever has gone meanwhile."""
    passing.gate.wait(_LONGEST)
    yield passing.data


def cut_and_held(passing: Passing) -> Iterator[bytes]:
    """The sender loses its connection at once; it arrives when the gate opens."""
    passing.cut()
    passing.gate.wait(_LONGEST)
    yield passing.data


def swallowed(passing: Passing) -> Iterator[bytes]:
    """It never arrives, and nothing tells."""
    yield from ()


def again_later(passing: Passing) -> Iterator[bytes]:
    """It arrives, and once more when the gate opens."""
    yield passing.data
    passing.gate.wait(_LONGEST)
    yield passing.data


def killed(passing: Passing) -> Iterator[bytes]:
    """Whoever is at the other end is killed before it arrives."""
    passing.kill()
    yield from ()


@dataclass
class Wire:
    """A port that leads to a server.

    ``request`` and ``answer`` are what happens to the next bytes that hold the ``word``, and to what the
    server says then.
    """

    server: tuple[str, int]
    word: bytes = b""
    request: Fault | None = None
    answer: Fault | None = None
    kill: Callable[[], object] = lambda: None
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()

    def arrive(self) -> None:
        """What is held arrives, and whoever gets it has time to obey."""
        self.gate.set()
        time.sleep(0.5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.set()
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # An answer belongs to its own connection only.
        due: list[Fault] = []
        with suppress(OSError), self.accepted(client) as near, self.connected() as far:
            while True:
                ready, _, _ = select.select([near, far], [], [])
                for source, sink in ((near, far), (far, near)):
                    if source in ready:
                        data = self.read(source, source is near)
                        if not data:
                            return
                        for piece in self._passed(data, source is near, near, due):
                            sink.sendall(piece)

    def accepted(self, client: socket.socket) -> socket.socket:
        """The connection to the client."""
        return client

    def connected(self) -> socket.socket:
        """A new connection to the server."""
        return socket.create_connection(self.server)

    def read(self, source: socket.socket, asked: bool) -> bytes:
        """What came; ``asked`` if it is the client's."""
        return source.recv(65536)

    def _passed(self, data: bytes, asked: bool, client: socket.socket, due: list[Fault]) -> Iterable[bytes]:
        fault: Fault | None = None
        if asked and self.word and self.word in data:
            self.word = b""
            fault = self.request
            due += [self.answer] if self.answer else []
        elif not asked and due:
            fault = due.pop()
        return fault(Passing(data, lambda: _cut(client), self.kill, self.gate)) if fault else (data,)


def _cut(client: socket.socket) -> None:
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


@dataclass
class Https(Wire):
    """One that speaks TLS to both; a request goes its way as a whole.

    Args:
        certificate: shown to the client, with its key in the same file.
        authority: who vouches for the server.
    """

    certificate: Path = Path()
    authority: Path = Path()

    def accepted(self, client: socket.socket) -> socket.socket:
        """See `Wire.accepted`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # After a later version's handshake there is something to read that is no data.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate)
        return context.wrap_socket(client, server_side=True)

    def connected(self) -> socket.socket:
        """See `Wire.connected`."""
        context = ssl.create_default_context(cafile=self.authority)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context.wrap_socket(super().connected(), server_hostname=self.server[0])

    def read(self, source: socket.socket, asked: bool) -> bytes:
        """See `Wire.read`."""
        data = source.recv(65536)
        while data and asked and not _whole(data):
            data += source.recv(65536)
        while isinstance(source, ssl.SSLSocket) and source.pending():
            data += source.recv(65536)
        return data

    def send(self, data: bytes) -> None:
        """To the server, over a connection of its own; its answer is for nobody."""
        with self.connected() as server:
            server.sendall(data)
            server.recv(65536)


def _whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)
