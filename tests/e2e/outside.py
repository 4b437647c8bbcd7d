"""A ticket system that can fail: a proxy before the lab's Request Tracker, and what stands there."""

from __future__ import annotations

import base64
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from remediate.lab import rt_rest
from remediate.lab.rt import PORT, RequestTracker
from tests.e2e.ticket import MARK, Entry
from tests.e2e.world import until

_POSTS = re.compile(rb"POST \S+/(comment|correspond) HTTP")


class Mode(Enum):
    """How the way to the ticket system is."""

    UP = "up"
    DOWN = "connections are refused"
    SILENT = "connections are taken, and nothing ever answers"
    MUTE = "an entry arrives and is taken, but no answer to it comes back"


@dataclass
class Proxy:
    """Forwards bytes between a port of its own and Request Tracker's, or doesn't."""

    port: int = 0
    mode: Mode = Mode.UP
    _muted: set[socket.socket] = field(default_factory=set)
    """Servers' ends whose next answer is lost."""
    _open: set[socket.socket] = field(default_factory=set)
    _listener: socket.socket | None = None
    _ended: bool = False

    def set(self, mode: Mode) -> None:
        """From now on; what is open is cut, without a word."""
        self.mode = mode
        if mode is Mode.DOWN:
            self._stop_listening()
        elif self._listener is None:
            self._listen()
        for connection in list(self._open):
            _close(connection)

    def end(self) -> None:
        """Close everything."""
        self._ended = True
        self._stop_listening()
        for connection in list(self._open):
            _close(connection)

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while not self._ended:
                client = listener.accept()[0]
                self._open.add(client)
                if self.mode is Mode.SILENT:
                    continue
                server = socket.create_connection(("127.0.0.1", PORT))
                self._open.add(server)
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.mode is Mode.MUTE and _POSTS.match(data):
                    self._muted.add(sink)
                if source not in self._muted:
                    sink.sendall(data)
                elif data:
                    break
        for connection in (source, sink):
            _close(connection)
            self._open.discard(connection)


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def proxy() -> Iterator[Proxy]:
    """A proxy that is up."""
    made = Proxy()
    made.set(Mode.UP)
    try:
        yield made
    finally:
        made.end()


@dataclass(frozen=True)
class Change:
    """A change request in the lab's Request Tracker."""

    number: int
    tracker: RequestTracker

    def entries(self) -> list[Entry]:
        """What it shows, oldest first, read past the product."""
        rows = self._get(
            f"/ticket/{self.number}/attachments?fields=Content,ContentType,Filename,TransactionId"
        )
        texts: dict[str, str] = {}
        files: dict[str, list[str]] = {}
        for row in rows:
            transaction = str(row["TransactionId"])
            if row.get("Filename"):
                files.setdefault(transaction, []).append(str(row["Filename"]))
            elif row.get("ContentType") == "text/plain" and row.get("Content"):
                texts[transaction] = str(row["Content"])
        found = []
        for transaction, text in sorted(texts.items(), key=lambda item: int(item[0])):
            if mark := MARK.search(text):
                public = self._kind(transaction) == "Correspond"
                body = text[: mark.start()].rstrip("\n")
                entry = Entry(mark[1], int(mark[2]), public, body, tuple(files.get(transaction, ())))
                found.append(entry)
        return found

    def _kind(self, transaction: str) -> str:
        answer = rt_rest.call(PORT, self.tracker.token(), "GET", f"/transaction/{transaction}")
        assert isinstance(answer, dict)
        return str(answer["Type"])

    def _get(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            answer = rt_rest.call(
                PORT, self.tracker.token(), "GET", f"{path}&per_page=100&page={page}&orderby=id"
            )
            assert isinstance(answer, dict)
            if not answer["items"]:
                return found
            found += answer["items"]
            page += 1

    def attachment(self, name: str) -> bytes:
        """The content of an attached file."""
        rows = self._get(f"/ticket/{self.number}/attachments?fields=Filename")
        number = next(str(row["id"]) for row in rows if row.get("Filename") == name)
        answer = rt_rest.call(PORT, self.tracker.token(), "GET", f"/attachment/{number}")
        assert isinstance(answer, dict)
        return base64.b64decode(str(answer["Content"]))


def wait_until_posted(change: Change, run: str, number: int) -> None:
    """Wait until the ticket tells of this event. Each question costs the ticket server time that it needs."""
    until(lambda: any(e.run == run and e.last >= number for e in change.entries()), 180, pause=1.0)
