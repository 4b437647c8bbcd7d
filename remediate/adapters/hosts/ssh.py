"""An agent on another host, over SSH: strict host keys, a deadline on everything."""

from __future__ import annotations

import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from remediate.adapters.hosts.access import Access
from remediate.adapters.hosts.boot import first_line, program
from remediate.adapters.hosts.errors import Unreachable
from remediate.adapters.hosts.hostkeys import HostKey, changed, known_keys
from remediate.adapters.hosts.pipe import PipeLost
from remediate.model.step import Clients

if TYPE_CHECKING:
    import fabric
    import paramiko

KEEPALIVE_SECONDS = 15
#: The kernel gives a connection up when nothing that was sent has been acknowledged for so long (tcp(7)).
UNACKNOWLEDGED_MS = 30_000
#: A send below this fits into the kernel's buffer and can't block; above, a watchdog ends it in time.
_UNBLOCKED = 16 << 10
_CHUNK = 1 << 20
_GLANCE_SECONDS = 0.25
_LONGEST_COMPLAINT = 4096


class SshPipe:
    """The agent at the other end of one SSH channel."""

    def __init__(self, access: Access, gateway: fabric.Connection | None = None) -> None:
        self._connection = _connect(access, gateway)
        try:
            with watchdog(access.connect_seconds, self._connection.close) as barked:
                self._channel = self._start(access)
        except Exception as error:
            self._connection.close()
            why = "no answer in time" if barked.is_set() else str(error) or type(error).__name__
            raise Unreachable(f"{access.name}: can't start a session: {why}; nothing was done") from None

    def _start(self, access: Access) -> paramiko.Channel:
        transport = self._connection.transport
        transport.set_keepalive(KEEPALIVE_SECONDS)
        with suppress(OSError, AttributeError):
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        channel: paramiko.Channel = transport.open_session(timeout=access.connect_seconds)
        words = [*access.command, "-I", "-S", "-c", first_line(len(program())), access.mark]
        channel.exec_command(shlex.join(words))
        # One value for all threads: each of them looks at its own deadline that often.
        channel.settimeout(_GLANCE_SECONDS)
        return channel

    def send(self, data: bytes, deadline: float) -> None:
        """See `Pipe`."""
        if not self.alive():
            raise PipeLost("the connection is gone")
        if len(data) <= _UNBLOCKED:
            self._send(data, deadline)
            return
        # A blocked write to the socket knows no deadline in paramiko: only closing it ends the wait.
        with watchdog(deadline - time.monotonic(), self._connection.close):
            self._send(data, deadline)

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            try:
                sent = self._channel.send(view[:_CHUNK].tobytes())
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise PipeLost("it takes no more data") from None
                continue
            except (OSError, EOFError, _ssh_error()) as error:
                raise PipeLost(str(error) or type(error).__name__) from None
            if sent == 0:
                raise PipeLost("the connection is gone")
            view = view[sent:]

    def receive(self, deadline: float) -> bytes:
        """See `Pipe`."""
        while True:
            try:
                data = self._channel.recv(_CHUNK)
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise PipeLost("no answer in time") from None
                continue
            except (OSError, EOFError) as error:
                raise PipeLost(str(error)) from None
            if not data:
                raise PipeLost("the connection is gone")
            return data

    def alive(self) -> bool:
        """See `Pipe`."""
        return self._connection.is_connected and not self._channel.closed and not self._channel.eof_received

    def complaints(self) -> str:
        """See `Pipe`."""
        with suppress(OSError, EOFError):
            return self._channel.recv_stderr(_LONGEST_COMPLAINT).decode(errors="replace").strip()
        return ""

    def close(self) -> None:
        """See `Pipe`."""
        self._connection.close()


def gateway(access: Access, clients: Clients) -> fabric.Connection | None:
    """The connection to the host in between, if there is one; shared, because such hosts limit their number.

    Raises:
        HostKeyRefused: it did not prove who it is.
        Unreachable: anything else.
    """
    jump = access.jump
    if jump is None:
        return None
    key = ("jump", jump.user or access.user or "", jump.address, str(jump.port))

    def open_() -> fabric.Connection:
        way = replace(access, address=jump.address, port=jump.port, user=jump.user or access.user, jump=None)
        connection = _connect(way, None)
        connection.transport.set_keepalive(KEEPALIVE_SECONDS)
        return connection

    found = clients.get(key, open_, _close)
    if not found.is_connected:
        clients.drop(key)
        found = clients.get(key, open_, _close)
    return found


def connection_to(access: Access, clients: Clients) -> fabric.Connection:
    """A connection for whoever carries bytes of his own over it; he closes it.

    Raises:
        HostKeyRefused: the host did not prove who it is.
        Unreachable: anything else.
    """
    connection = _connect(access, gateway(access, clients))
    connection.transport.set_keepalive(KEEPALIVE_SECONDS)
    return connection


def _close(connection: fabric.Connection) -> None:
    connection.close()


def _ssh_error() -> type[Exception]:
    import paramiko

    return paramiko.SSHException


def _connect(access: Access, gateway: fabric.Connection | None) -> fabric.Connection:
    """An open connection to a host that has proved who it is.

    Raises:
        HostKeyRefused: it has not.
        Unreachable: anything else.
    """
    connection = _prepare(access, gateway)
    try:
        # The handshake has several waits of its own; together they get three times the connect timeout.
        with watchdog(3 * access.connect_seconds, connection.close):
            connection.open()
    except BaseException as error:
        connection.close()
        if isinstance(error, Exception):
            raise explained(access, error) from None
        raise
    return connection


def _prepare(access: Access, gateway: fabric.Connection | None) -> fabric.Connection:
    import fabric

    believed = known_keys(access.name, access.address, access.port, access.known_hosts)
    own = access.key_file is None
    connection = fabric.Connection(
        access.address,
        user=access.user,
        port=access.port,
        gateway=gateway,
        # Nothing of the user's fabric or SSH configuration may change how a host is reached.
        config=fabric.Config(overrides={"load_ssh_configs": False}, lazy=True),
        connect_timeout=access.connect_seconds,
        connect_kwargs={
            "key_filename": None if own else str(access.key_file),
            "look_for_keys": own,
            "allow_agent": own,
            "banner_timeout": access.connect_seconds,
            "auth_timeout": access.connect_seconds,
            "channel_timeout": access.connect_seconds,
            "transport_factory": transport_for({key.type for key in believed}),
        },
    )
    connection.client.set_missing_host_key_policy(strict_keys(access, believed))
    return connection


def transport_for(types: set[str]) -> Callable[..., paramiko.Transport]:
    """Transports that accept only the types of key that are known, so that the host shows one of those."""
    import paramiko

    def make(sock: Any, **options: Any) -> paramiko.Transport:
        transport = paramiko.Transport(sock, **options)
        offered = transport.get_security_options()
        wanted = tuple(
            name
            for name in offered.key_types
            if ("ssh-rsa" if name.startswith("rsa-sha2-") else name) in types
        )
        # With no type in common the usual ones stay, and the check of the key itself refuses.
        offered.key_types = wanted or offered.key_types
        return transport

    return make


def strict_keys(access: Access, believed: frozenset[HostKey]) -> paramiko.MissingHostKeyPolicy:
    """The client is given no host keys, so it asks this policy about every key, before authentication."""
    import paramiko

    class Strict(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, _client: paramiko.SSHClient, _name: str, key: paramiko.PKey) -> None:
            shown = HostKey(key.get_name(), key.asbytes())
            if shown not in believed:
                raise changed(access.name, access.address, access.port, shown, access.known_hosts)

    return Strict()


def explained(access: Access, error: Exception) -> Unreachable:
    """What an error while connecting means. One that is none of the connection's is raised again."""
    import paramiko

    if isinstance(error, Unreachable):
        return error
    where = f"{access.name} ({access.address} port {access.port})"
    if isinstance(error, paramiko.PasswordRequiredException):
        return Unreachable(
            f"{access.name}: the key {access.key_file} has a passphrase",
            "load it into your ssh-agent and leave ansible_ssh_private_key_file out",
        )
    if isinstance(error, paramiko.AuthenticationException):
        keys = access.key_file or "your agent's and your own keys"
        return Unreachable(
            f"{where}: user {access.user or 'of this machine'} was not let in with {keys}; nothing was done",
            "add the public key to the user's authorized_keys, or correct ansible_user",
        )
    if isinstance(error, TimeoutError | paramiko.SSHException | EOFError | OSError):
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return Unreachable(
            f"{where}: can't connect: {why}; nothing was done", "is it up, and is the path open?"
        )
    raise error


@contextmanager
def watchdog(seconds: float, bite: Callable[[], object]) -> Iterator[threading.Event]:
    """Calls ``bite`` from another thread if the block takes longer; the event tells that it did."""
    barked = threading.Event()

    def act() -> None:
        barked.set()
        with suppress(Exception):
            bite()

    timer = threading.Timer(max(0.0, seconds), act)
    timer.daemon = True
    timer.start()
    try:
        yield barked
    finally:
        timer.cancel()
