"""Logging in to a device: by netmiko, with our own host keys, deadline and limit.

netmiko believes any host key by default, and its own reads can block for a minute on a path that died. So
every wait of a session passes through `read_channel` below, which knows the deadline of the call.
"""

from __future__ import annotations

import codecs
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from remediate.adapters.hosts.access import Access
from remediate.adapters.hosts.errors import Unreachable
from remediate.adapters.hosts.hostkeys import known_keys
from remediate.adapters.hosts.ssh import (
    KEEPALIVE_SECONDS,
    UNACKNOWLEDGED_MS,
    explained,
    gateway,
    strict_keys,
    transport_for,
    watchdog,
)
from remediate.adapters.network.access import DeviceAccess
from remediate.model.clip import clip
from remediate.model.step import Clients, Secrets

if TYPE_CHECKING:
    import paramiko

#: In characters; a device that prints more has lost its mind, or is not one.
LONGEST_ANSWER = 16 << 20
_CHUNK = 1 << 16
#: A login may take so many times what a connection may: it asks for prompts, paging and width.
_LOGIN_CONNECTS = 3


class Lost(Exception):
    """The session can't be used any more: time ran out, or the path is gone."""


def login(access: DeviceAccess, secrets: Secrets, clients: Clients) -> Any:
    """A connection of netmiko at its first prompt, with attributes ``deadline`` and ``received`` of ours.

    Raises:
        HostKeyRefused: the device did not prove who it is; no credential was sent.
        Unreachable: anything else; nothing was done.
    """
    way = access.way
    connection = None
    try:
        options = _options(access, secrets, clients)
        connection = _connection_class(access)(**options)
        connection.deadline = time.monotonic() + _LOGIN_CONNECTS * way.connect_seconds
        with watchdog(connection.deadline - time.monotonic(), lambda: end(connection)):
            connection.open()
            if access.enable:
                connection.enable()
        _mind_the_path(connection)
    except failures() as error:
        end(connection)
        raise _why(way, error) from None
    return connection


def _options(access: DeviceAccess, secrets: Secrets, clients: Clients) -> Mapping[str, Any]:
    way = access.way
    own = way.key_file is None and not access.password
    jump = gateway(way, clients)
    sock = None
    if jump is not None:
        sock = jump.transport.open_channel(
            "direct-tcpip", (way.address, way.port), ("", 0), timeout=way.connect_seconds
        )
    return {
        "device_type": access.platform.netmiko,
        "host": way.address,
        "port": way.port,
        "username": way.user or "",
        "password": secrets.resolve(access.password) if access.password else None,
        "secret": secrets.resolve(access.enable) if access.enable else "",
        "use_keys": own,
        "allow_agent": own,
        "key_file": str(way.key_file) if way.key_file else None,
        "conn_timeout": way.connect_seconds,
        "auth_timeout": way.connect_seconds,
        "banner_timeout": way.connect_seconds,
        "global_delay_factor": 0.1,
        "sock": sock,
        "auto_connect": False,
    }


class _Limited:
    """What every read of a session passes through: the deadline of the call, and the limit of its answer."""

    deadline = 0.0
    received = 0
    remote_conn: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read_channel(self) -> str:
        self._mind()
        return self._count(super().read_channel())  # type: ignore[misc] # netmiko's

    def await_channel(self, seconds: float) -> str:
        """What comes within this time; it returns with the first of it, and asks nothing meanwhile."""
        self._mind()
        self.remote_conn.settimeout(seconds)
        try:
            data: bytes = self.remote_conn.recv(_CHUNK)
        except TimeoutError:
            return ""
        if not data:
            raise Lost("the connection is gone")
        return self._count(self.decoder.decode(data))

    def _mind(self) -> None:
        if time.monotonic() > self.deadline:
            raise Lost("no answer in time")
        if self.remote_conn is None or self.remote_conn.closed:
            raise Lost("the connection is gone")

    def _count(self, text: str) -> str:
        self.received += len(text)
        if self.received > LONGEST_ANSWER:
            raise Lost("it prints without end")
        return text


def _connection_class(access: DeviceAccess) -> type[Any]:
    """netmiko's class for the platform, with our host keys, deadline and limit."""
    import paramiko
    from netmiko.ssh_dispatcher import CLASS_MAPPER

    believed = known_keys(access.way.name, access.way.address, access.way.port, access.way.known_hosts)

    class StrictClient(paramiko.SSHClient):
        def connect(self, *arguments: Any, **options: Any) -> None:
            options["transport_factory"] = transport_for({key.type for key in believed})
            super().connect(*arguments, **options)

    base: type[Any] = CLASS_MAPPER[access.platform.netmiko]

    class Guarded(_Limited, base):  # type: ignore[misc] # chosen at run time
        def _build_ssh_client(self) -> paramiko.SSHClient:
            client = StrictClient()
            client.set_missing_host_key_policy(strict_keys(access.way, believed))
            return client

        def open(self) -> None:
            self._open()

    return Guarded


def _mind_the_path(connection: Any) -> None:
    """A path that died shows as a closed connection, also while nobody asks anything."""
    transport: paramiko.Transport = connection.remote_conn.get_transport()
    transport.set_keepalive(KEEPALIVE_SECONDS)
    with suppress(OSError):
        if isinstance(transport.sock, socket.socket):
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)


def end(connection: Any) -> None:
    """Close without a word: a farewell would wait for an answer."""
    client = getattr(connection, "remote_conn_pre", None)
    if client is not None:
        with suppress(Exception):
            client.close()


def failures() -> tuple[type[Exception], ...]:
    """What goes wrong in a session. netmiko's timeout is none of its own base class; a prompt that it does
    not find is a ValueError."""
    import netmiko
    import paramiko

    own = (netmiko.NetmikoBaseException, netmiko.NetmikoTimeoutException, paramiko.SSHException)
    return (*own, Lost, OSError, EOFError, ValueError)


def _why(way: Access, error: Exception) -> Unreachable:
    """What an error while logging in means. netmiko wraps those of the connection in its own."""
    cause = error.__context__ if type(error).__module__.startswith("netmiko") else error
    where = f"{way.name} ({way.address} port {way.port})"
    if isinstance(cause, Unreachable):
        return cause
    if not isinstance(cause, Exception) or isinstance(cause, Lost | ValueError):
        said = clip(" ".join(str(cause or error).split()), 300)
        return Unreachable(f"{where}: no session: {said}; nothing was done")
    return explained(way, cause)
