"""A server between the client and its agent, on which one request or its answer goes wrong as told."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from tests.adapters.hosts.sshd import Sshd
from tests.reliability.passing import Fault, Passing


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
        return self.request(self._passing(data, channel, process)) if self.request else (data,)

    def answered(
        self, channel: paramiko.Channel, process: subprocess.Popen[bytes], data: bytes
    ) -> Iterable[bytes]:
        """See `Sshd.answered`."""
        if process.pid not in self._due:
            return super().answered(channel, process, data)
        self._due.discard(process.pid)
        return self.answer(self._passing(data, channel, process)) if self.answer else (data,)

    def _passing(self, data: bytes, channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> Passing:
        return Passing(data, lambda: channel.get_transport().close(), lambda: _kill(process.pid), self.gate)


def _kill(pid: int) -> None:
    """A shell, and what it runs."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for number in (*map(int, children), pid):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
