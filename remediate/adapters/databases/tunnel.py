"""A way through a target's SSH connection to a port that it reaches: here, it is a Unix socket of our own."""

from __future__ import annotations

import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from remediate.adapters.clients import load_sdk
from remediate.adapters.hosts.access import access
from remediate.errors import StepFailed
from remediate.model.step import Context

if TYPE_CHECKING:
    import fabric
    import paramiko

_CHUNK = 1 << 18
_OPEN_SECONDS = 15.0


class Tunnel:
    """Whoever connects to ``folder/NAME`` (only this user can) talks to ``host:port`` as the target does."""

    def __init__(self, connection: fabric.Connection, host: str, port: int, name: str) -> None:
        self._connection = connection
        self._goal = (host, port)
        self._folder = tempfile.TemporaryDirectory(prefix="remediate-db-")
        self.folder = Path(self._folder.name)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / name))
        self._listener.listen(16)
        self.refused = ""
        """Why the last connection was not let through; empty if it was."""
        threading.Thread(target=self._serve, daemon=True, name=f"tunnel-{port}").start()

    def alive(self) -> bool:
        """Whether new connections can be made."""
        return bool(self._connection.is_connected)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        try:
            far = self._connection.transport.open_channel(
                "direct-tcpip", self._goal, ("127.0.0.1", 0), timeout=_OPEN_SECONDS
            )
        except Exception as error:  # whatever paramiko raises: this one connection is not let through
            self.refused = str(error) or type(error).__name__
            near.close()
            return
        self.refused = ""
        back = threading.Thread(target=_copy, args=(far, near), daemon=True)
        try:
            back.start()
            _copy(near, far)
            back.join()
        finally:
            for end in (near, far):
                with suppress(OSError, EOFError):
                    end.close()

    def close(self) -> None:
        """No more connections; those that are open end."""
        with suppress(OSError):
            # Closing alone does not wake a thread that waits for a connection.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._connection.close()
        self._folder.cleanup()


def _copy(source: socket.socket | paramiko.Channel, sink: socket.socket | paramiko.Channel) -> None:
    """Until the source ends; then the sink is told so, and can still answer."""
    with suppress(OSError, EOFError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with suppress(OSError, EOFError):
        if isinstance(sink, socket.socket):
            sink.shutdown(socket.SHUT_WR)
        else:
            sink.shutdown_write()


def tunnel(context: Context, host: str, port: int, name: str) -> Tunnel:
    """The tunnel of this context's target, made at its first use.

    Raises:
        Unreachable: the target can't be reached, or didn't prove who it is.
    """
    load_sdk("paramiko", "fabric")
    from remediate.adapters.hosts.ssh import connection_to

    key = ("tunnel", context.target.name, host, str(port))

    def open_() -> Tunnel:
        way = access(context.target)
        if way.connection == "local":
            raise StepFailed(
                f"{context.target.name}: a database of this machine needs no tunnel",
                "set mariadb_via (postgres_via, mongodb_via) to direct",
            )
        return Tunnel(connection_to(way, context.clients), host, port, name)

    found = context.clients.get(key, open_, Tunnel.close)
    if not found.alive():
        context.clients.drop(key)
        found = context.clients.get(key, open_, Tunnel.close)
    return found
