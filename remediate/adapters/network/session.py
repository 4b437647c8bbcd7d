"""A session with a device: one command, one answer, within a deadline, whatever the terminal is like."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from remediate.adapters.hosts.errors import Unreachable
from remediate.adapters.hosts.ssh import watchdog
from remediate.adapters.network.access import DeviceAccess
from remediate.adapters.network.config import masked
from remediate.adapters.network.login import Lost, end, failures, login
from remediate.adapters.network.text import clean
from remediate.errors import InDoubt, InputError
from remediate.model.step import Clients, Secrets

#: So often the deadline is looked at while nothing comes.
_GLANCE = 0.25
#: So long nothing may follow a prompt, because a line of output may look like one.
_QUIET = 0.02
#: A prompt or pager is looked for in so many last characters, the echo of a command in so many first ones.
_TAIL = 4096
_HEAD = 64 << 10
_PAGER = re.compile(r"(?:--\s?\(?[Mm]ore\)?\s?--|---\(more[^)]*\)---|<--- More --->)[ \t]*\Z")


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
        self._platform = access.platform
        self.turn = threading.RLock()
        """Held over everything that must not be interleaved, such as a change with its begin and commit."""
        self.broken = ""
        self.prompt = ""
        """The last one seen; it tells which mode the session is in."""
        self._connection = login(access, secrets, clients)
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
            raise InputError(f"{self.name}: a command has one line: {self._shown(command)}")
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
        except failures() as error:
            why = self._break(error)
            if sent and effect:
                raise InDoubt(f"{self.name}: {why} after a line was sent; nobody knows what it did") from None
            what = "it only reads, nothing was changed by it" if sent else "it was not sent"
            raise Unreachable(f"{self.name}: {why}: {self._shown(command)}: {what}") from None
        finally:
            self.turn.release()
        return answer

    def _shown(self, command: str) -> str:
        """For a message: a line of configuration may hold a password."""
        return repr(masked(command, self._platform))

    def close(self) -> None:
        """End the session; the device ends what is left of it."""
        self.broken = self.broken or "the session was closed"
        end(self._connection)

    @contextmanager
    def _until(self, deadline: float) -> Iterator[None]:
        self._connection.deadline, self._connection.received = deadline, 0
        with watchdog(deadline - time.monotonic() + 1.0, lambda: end(self._connection)):
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
            new = self._connection.await_channel(_QUIET if ended else _GLANCE)
            if ended and not new:
                break
            text += new
            echoed = echoed or _squeezed(command) in _squeezed(clean(text[:_HEAD]))
            tail = clean(text[-_TAIL:])
            if _PAGER.search(tail):
                text = _without_pager(text)
                self._connection.write_channel(" ")
            ended = echoed and bool(self._prompt.search(tail))
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
        end(self._connection)
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
