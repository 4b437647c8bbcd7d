"""A way to the server that can break at a certain request, or be encrypted."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def way_to(
    port: int,
    host: str = "127.0.0.1",
    *,
    cut: bytes = b"-",
    forward: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """The port of ``host`` that leads to the server.

    Args:
        cut: break at the first request of this kind.
        forward: only after the server has it.
    """
    listener = socket.create_server((host, 0))
    if tls is not None:
        listener = tls.wrap_socket(listener, server_side=True)

    def carry(near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", port)) as far, suppress(OSError):
            near.settimeout(10)
            while data := near.recv(1 << 20):
                last = b"\x02" + cut + b"\0" in data
                if not last or forward:
                    far.sendall(data)
                    answer = far.recv(1 << 20)
                if last:
                    return
                near.sendall(answer)

    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            # Whoever does not trust the certificate leaves during the handshake; others may still come.
            with suppress(OSError):
                threading.Thread(target=carry, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        ended.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
