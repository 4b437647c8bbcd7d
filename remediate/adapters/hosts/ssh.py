"""An agent on another host, over SSH: strict host keys, a deadline on everything."""

from __future__ import annotations

import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from remediate.adapters.hosts.access import Access
from remediate.adapters.hosts.boot import first_line, program
from remediate.adapters.hosts.errors import HostKeyRefused, Unreachable
from remediate.adapters.hosts.hostkeys import HostKey, changed, known_keys
from remediate.adapters.hosts.pipe import PipeLost

if TYPE_CHECKING:
    import fabric
    import paramiko

_KEEPALIVE_SECONDS = 15
#: The kernel gives a connection up when nothing that was sent has been acknowledged for so long (tcp(7)).
_UNACKNOWLEDGED_MS = 30_000
#: A send below this fits into the kernel's buffer and can't block; above, a watchdog ends it in time.
_UNBLOCKED = 16 << 10
_LONGEST_COMPLAINT = 4096


class SshPipe:
    """The agent at the other end of one SSH channel."""

    def __init__(self, access: Access) -> None:
        self._name = access.name
        self._connection = _connect(access)
        try:
            with _watchdog(access.connect_seconds, self._connection.close) as barked:
                self._channel = self._start(access)
        except Exception as error:
            self._connection.close()
            if isinstance(error, Unreachable):
                raise
            why = "no answer in time" if barked.is_set() else str(error) or type(error).__name__
            raise Unreachable(f"{access.name}: can't start a session: {why}; nothing was done") from None

    def _start(self, access: Access) -> paramiko.Channel:
        transport = self._connection.transport
        transport.set_keepalive(_KEEPALIVE_SECONDS)
        with suppress(OSError, AttributeError):
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
        channel: paramiko.Channel = transport.open_session(timeout=access.connect_seconds)
        words = [*access.command, "-I", "-S", "-c", first_line(len(program()))]
        channel.exec_command(shlex.join(words))
        return channel

    def send(self, data: bytes, deadline: float) -> None:
        """See `Pipe`."""
        try:
            if not self._connection.is_connected or self._channel.closed:
                raise PipeLost("the connection is gone")
            self._channel.settimeout(max(0.01, deadline - time.monotonic()))
            if len(data) <= _UNBLOCKED:
                self._channel.sendall(data)
                return
            # A blocked write to the socket knows no deadline in paramiko: only closing it ends the wait.
            with _watchdog(deadline - time.monotonic(), self._connection.close):
                self._channel.sendall(data)
        except (OSError, EOFError, _ssh_error()) as error:
            raise PipeLost(str(error) or type(error).__name__) from None

    def receive(self, deadline: float) -> bytes:
        """See `Pipe`."""
        self._channel.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            data = self._channel.recv(1 << 20)
        except TimeoutError:
            raise PipeLost("no answer in time") from None
        except (OSError, EOFError) as error:
            raise PipeLost(str(error)) from None
        if not data:
            raise PipeLost("the connection is gone")
        return data

    def complaints(self) -> str:
        """See `Pipe`."""
        self._channel.settimeout(0.5)
        with suppress(OSError, EOFError):
            return self._channel.recv_stderr(_LONGEST_COMPLAINT).decode(errors="replace").strip()
        return ""

    def close(self) -> None:
        """See `Pipe`."""
        self._connection.close()
        if self._connection.gateway is not None:
            self._connection.gateway.close()


def _ssh_error() -> type[Exception]:
    import paramiko

    return paramiko.SSHException


def _connect(access: Access) -> fabric.Connection:
    """An open connection to a host that has proved who it is.

    Raises:
        HostKeyRefused: it has not.
        Unreachable: anything else.
    """
    gateway = None
    if access.jump is not None:
        jump = access.jump
        gateway = _prepare(access, jump.address, jump.port, jump.user or access.user, None)
    connection = _prepare(access, access.address, access.port, access.user, gateway)
    try:
        # The handshake has several waits of its own; together they get three times the connect timeout.
        with _watchdog(3 * access.connect_seconds, connection.close):
            connection.open()
    except BaseException as error:
        connection.close()
        if gateway is not None:
            gateway.close()
        if isinstance(error, Exception):
            raise _explained(access, error) from None
        raise
    return connection


def _prepare(
    access: Access, address: str, port: int, user: str | None, gateway: fabric.Connection | None
) -> fabric.Connection:
    import fabric

    believed = known_keys(access.name, address, port, access.known_hosts)
    own = access.key_file is None
    connection = fabric.Connection(
        address,
        user=user,
        port=port,
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
            "transport_factory": _transport_for({key.type for key in believed}),
        },
    )
    connection.client.set_missing_host_key_policy(_strict(access, address, port, believed))
    return connection


def _transport_for(types: set[str]) -> Callable[..., paramiko.Transport]:
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


def _strict(
    access: Access, address: str, port: int, believed: frozenset[HostKey]
) -> paramiko.MissingHostKeyPolicy:
    """The client is given no host keys, so it asks this policy about every key, before authentication."""
    import paramiko

    class Strict(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, _client: paramiko.SSHClient, _name: str, key: paramiko.PKey) -> None:
            shown = HostKey(key.get_name(), key.asbytes())
            if shown not in believed:
                raise changed(access.name, address, port, shown, access.known_hosts)

    return Strict()


def _explained(access: Access, error: Exception) -> Unreachable:
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
def _watchdog(seconds: float, bite: Callable[[], object]) -> Iterator[threading.Event]:
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


__all__ = ["HostKeyRefused", "SshPipe"]
