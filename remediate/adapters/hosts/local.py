"""An agent on this machine itself (``ansible_connection: local``)."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from typing import IO

from remediate.adapters.hosts.access import Access
from remediate.adapters.hosts.boot import first_line, program
from remediate.adapters.hosts.errors import Unreachable
from remediate.adapters.hosts.pipe import PipeLost


class LocalPipe:
    """The agent as a child process."""

    def __init__(self, access: Access) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        argv = [*access.command, "-I", "-S", "-c", first_line(len(program())), access.mark]
        try:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, bufsize=0
            )
        except OSError as error:
            self._stderr.close()
            raise Unreachable(f"{access.name}: can't run {argv[0]}: {error.strerror}") from None
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        self._reading = threading.Lock()
        os.set_blocking(self._process.stdin.fileno(), False)

    def send(self, data: bytes, deadline: float) -> None:
        """See `Pipe`."""
        handle = self._handle(self._process.stdin)
        view = memoryview(data)
        while view:
            _, ready, _ = select.select([], [handle], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise PipeLost("the agent takes no more data")
            try:
                view = view[os.write(handle, view) :]
            except OSError as error:
                raise PipeLost(f"the agent is gone ({error.strerror})") from None

    def receive(self, deadline: float) -> bytes:
        """See `Pipe`."""
        with self._reading:
            handle = self._handle(self._process.stdout)
            ready, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise PipeLost("no answer in time")
            data = os.read(handle, 1 << 20)
        if not data:
            raise PipeLost("the agent ended")
        return data

    def alive(self) -> bool:
        """See `Pipe`."""
        return self._process.poll() is None

    def complaints(self) -> str:
        """See `Pipe`."""
        self._stderr.seek(0)
        return self._stderr.read(4096).decode(errors="replace").strip()

    def close(self) -> None:
        """See `Pipe`."""
        # A thread may be reading: the end of the agent wakes it up, and only then its handle may go.
        self._shut(self._process.stdin)
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with self._reading:
            self._shut(self._process.stdout)
            self._shut(self._stderr)

    @staticmethod
    def _shut(stream: IO[bytes] | None) -> None:
        if stream is not None:
            with suppress(OSError):
                stream.close()

    def _handle(self, stream: object) -> int:
        fileno = getattr(stream, "fileno", None)
        if fileno is None or getattr(stream, "closed", True):
            raise PipeLost("the connection was closed")
        return int(fileno())
