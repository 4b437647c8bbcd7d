"""A server between the client and its agent, on which one request or its answer goes wrong as told."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from tests.adapters.hosts.sshd import Sshd


@dataclass
class Passing:
    """Bytes on their way, and between whom."""

    data: bytes
    channel: paramiko.Channel
    process: subprocess.Popen[bytes]
    gate: threading.Event

    def cut(self) -> None:
        """End the connection."""
        self.channel.get_transport().close()


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
    passing.gate.wait(60)
    yield passing.data


def swallowed(passing: Passing) -> Iterator[bytes]:
    """It never arrives, and nothing tells."""
    yield from ()


def again_later(passing: Passing) -> Iterator[bytes]:
    """It arrives, and once more when the gate opens."""
    yield passing.data
    passing.gate.wait(60)
    yield passing.data


def killed(passing: Passing) -> Iterator[bytes]:
    """The process at the other end is killed before it arrives."""
    pid = passing.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in (*map(int, children), pid):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    yield from ()


@dataclass
class Faulty(Sshd):
    """``request`` and ``answer``: what happens to the next one whose bytes hold the word, or that follows."""

    word: bytes = b""
    request: Fault | None = None
    answer: Fault | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    _due: set[int] = field(default_factory=set)

    def open(self) -> bool:
        """Whether a connection is left."""
        return any(transport.is_active() for transport in self._transports)

    def arrive(self) -> None:
        """What is held arrives, and whoever gets it has time to obey."""
        self.gate.set()
        time.sleep(0.5)

    def asked(
        self, channel: paramiko.Channel, process: subprocess.Popen[bytes], data: bytes
    ) -> Iterable[bytes]:
        """See `Sshd.asked`."""
        if not self.word or self.word not in data:
            return super().asked(channel, process, data)
        self.word = b""
        self._due.add(process.pid)
        return self.request(Passing(data, channel, process, self.gate)) if self.request else (data,)

    def answered(
        self, channel: paramiko.Channel, process: subprocess.Popen[bytes], data: bytes
    ) -> Iterable[bytes]:
        """See `Sshd.answered`."""
        if process.pid not in self._due:
            return super().answered(channel, process, data)
        self._due.discard(process.pid)
        return self.answer(Passing(data, channel, process, self.gate)) if self.answer else (data,)
