"""A session with a device: netmiko logs in and knows the prompts; host keys, deadlines and limits are ours.

netmiko's own reads can block for a minute on a path that died, and it believes any host key by default. So
every wait passes through `read_channel` below, which knows the deadline of the call; a watchdog ends what
blocks all the same.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
from remediate.adapters.network.text import clean
from remediate.errors import InDoubt, InputError
from remediate.model.step import Clients, Secrets

if TYPE_CHECKING:
    import paramiko

#: In characters; a device that prints more has lost its mind, or is not one.
LONGEST_ANSWER = 16 << 20
_LOGIN_SECONDS = 30.0
_GLANCE = 0.005
#: So long nothing may follow a prompt, because a line of output may look like one.
_QUIET = 0.02
#: A prompt or pager is looked for in so many last characters.
_TAIL = 4096
_PAGER = re.compile(r"(?:--\s?\(?[Mm]ore\)?\s?--|---\(more[^)]*\)---|<--- More --->)[ \t]*\Z")


class Lost(Exception):
    """The session can't be used any more: time ran out, or the path is gone."""


class DeviceSession:
    """One login on one device, for any number of threads: they take turns.

    Args:
        access: how to get there.
        secrets: resolves the references in it.
        clients: for a connection to the host in between.

    Raises:
        HostKeyRefused: the device did not prove who it is; no credential was sent.
        Unreachable: anything else; nothing was done.
    """

    def __init__(self, access: DeviceAccess, secrets: Secrets, clients: Clients) -> None:
        self.name = access.way.name
        self._fence = clients.fence
        self.turn = threading.RLock()
        """Held over everything that must not be interleaved, such as a change with its begin and commit."""
        self.broken = ""
        self.prompt = ""
        """The last one seen; it tells which mode the session is in."""
        self._connection = _login(access, secrets, clients)
        self._prompt = re.compile(
            # netmiko shortens long names, and devices add their mode.
            rf"(?:^|\n)[^\S\n]*({re.escape(self._connection.base_prompt)}[^\s()\[\]>#%$]*"
            r"(?:\([^()\n]*\)|\[[^\]\n]*\])?\s?[>#%$])\s?\Z"
        )

    def usable(self) -> bool:
        """Whether another command may be tried."""
        connection = self._connection.remote_conn
        return not self.broken and connection is not None and not connection.closed

    def ask(self, command: str, seconds: float = 30.0, *, effect: bool = False) -> str:
        """One command and its answer: without echo and prompt, as plain text.

        Args:
            command: one line.
            seconds: the deadline, from now.
            effect: whether it changes anything.

        Raises:
            InDoubt: it was sent, it changes something, and its end was not seen.
            Unreachable: it was not sent, or it only reads.
        """
        if "\n" in command or "\r" in command:
            raise InputError(f"{self.name}: a command has one line: {command!r}")
        deadline = time.monotonic() + seconds
        if not self.turn.acquire(timeout=seconds):
            raise Unreachable(f"{self.name}: the session was busy for {seconds:.0f} s; nothing was sent")
        sent = False
        try:
            if not self.usable():
                raise Lost(self.broken or "the connection is gone")
            if effect:
                self._fence()
            with self._until(deadline):
                self._drain()
                sent = True
                self._connection.write_channel(command + "\n")
                answer = self._answer(command)
        except _failures() as error:
            why = self._break(error)
            if sent and effect:
                raise InDoubt(f"{self.name}: {why} after a line was sent; nobody knows what it did") from None
            what = "it only reads, nothing was changed by it" if sent else "it was not sent"
            raise Unreachable(f"{self.name}: {why}: {command!r}: {what}") from None
        finally:
            self.turn.release()
        return answer

    def close(self) -> None:
        """End the session; the device ends what is left of it."""
        self.broken = self.broken or "the session was closed"
        _end(self._connection)

    @contextmanager
    def _until(self, deadline: float) -> Iterator[None]:
        self._connection.deadline, self._connection.received = deadline, 0
        with watchdog(deadline - time.monotonic() + 1.0, lambda: _end(self._connection)):
            yield

    def _drain(self) -> None:
        """What the device said unasked is no answer."""
        while self._connection.read_channel():
            pass

    def _answer(self, command: str) -> str:
        """What comes between the echo of the command and the next prompt. One that comes before the echo
        belongs to whatever was asked before."""
        text, echoed, ended = "", False, False
        while True:
            if new := self._connection.read_channel():
                text, ended = text + new, False
                echoed = echoed or _squeezed(command) in _squeezed(clean(text))
                if _PAGER.search(clean(text[-_TAIL:])):
                    text = _without_pager(text)
                    self._connection.write_channel(" ")
                continue
            if ended:
                break
            ended = echoed and bool(self._prompt.search(clean(text[-_TAIL:])))
            time.sleep(_QUIET if ended else _GLANCE)
        whole = clean(text)
        found = self._prompt.search(whole)
        if found is None:
            raise Lost("its prompt was not understood")
        self.prompt = found[1]
        return _without_echo(whole[: found.start()], command).strip("\n")

    def _break(self, error: Exception) -> str:
        why = str(error) if isinstance(error, Lost) else f"{type(error).__name__}: {str(error).strip()}"
        if time.monotonic() >= self._connection.deadline:
            why = "no answer in time"
        self.broken = self.broken or why
        _end(self._connection)
        return why


def _without_pager(text: str) -> str:
    """The text without the pager's line at its end, however it was dressed up."""
    return clean(text).rstrip("\n").rpartition("\n")[0] + "\n"


def _without_echo(text: str, command: str) -> str:
    """What follows the echo, which a narrow terminal breaks over lines."""
    lines = text.split("\n")
    for number in range(1, min(len(lines), 10) + 1):
        if _squeezed(command) in _squeezed("".join(lines[:number])):
            return "\n".join(lines[number:])
    return text


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _login(access: DeviceAccess, secrets: Secrets, clients: Clients) -> Any:
    way = access.way
    connection = None
    try:
        options = _options(access, secrets, clients)
        connection = _connection_class(access)(**options)
        connection.deadline = time.monotonic() + max(_LOGIN_SECONDS, 3 * way.connect_seconds)
        with watchdog(connection.deadline - time.monotonic(), lambda: _end(connection)):
            connection.open()
            if access.enable:
                connection.enable()
        _mind_the_path(connection)
    except _failures() as error:
        _end(connection)
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

    class Guarded(base):  # type: ignore[misc] # chosen at run time
        deadline = 0.0
        received = 0

        def _build_ssh_client(self) -> paramiko.SSHClient:
            client = StrictClient()
            client.set_missing_host_key_policy(strict_keys(access.way, believed))
            return client

        def open(self) -> None:
            self._open()

        def read_channel(self) -> str:
            if time.monotonic() > self.deadline:
                raise Lost("no answer in time")
            if self.remote_conn is None or self.remote_conn.closed:
                raise Lost("the connection is gone")
            text: str = super().read_channel()
            self.received += len(text)
            if self.received > LONGEST_ANSWER:
                raise Lost("it prints without end")
            return text

    return Guarded


def _mind_the_path(connection: Any) -> None:
    """A path that died shows as a closed connection, also while nobody asks anything."""
    transport: paramiko.Transport = connection.remote_conn.get_transport()
    transport.set_keepalive(KEEPALIVE_SECONDS)
    with suppress(OSError):
        if isinstance(transport.sock, socket.socket):
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)


def _end(connection: Any) -> None:
    """Close without a word: a farewell would wait for an answer."""
    client = getattr(connection, "remote_conn_pre", None)
    if client is not None:
        with suppress(Exception):
            client.close()


def _failures() -> tuple[type[Exception], ...]:
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
        said = " ".join(str(cause or error).split())[:300]
        return Unreachable(f"{where}: no session: {said}; nothing was done")
    return explained(way, cause)
