"""A program on a host whose input and output are streams: over an SSH channel of its own, or a child here."""

from __future__ import annotations

import os
import select
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Protocol

from remediate.adapters.ansible.processes import TOKEN
from remediate.adapters.clients import load_sdk
from remediate.adapters.hosts.access import Access, access
from remediate.adapters.hosts.attempts import quiet, tokens
from remediate.adapters.hosts.client import connect
from remediate.adapters.hosts.errors import Unreachable
from remediate.errors import InDoubt, InputError, RemediateError, StepFailed
from remediate.model.clip import clip
from remediate.model.step import Clients, Context

_CHUNK = 1 << 20
_LONGEST_COMPLAINT = 16 << 10
#: Seconds between asking a program that is late to end and forcing it, and beyond which nobody waits for it.
_GRACE = 10
_SLACK = 60.0
#: Seconds in which a connection that was lost has noticed it.
_NOTICED = 2.0
_GLANCE = 0.2
#: timeout(1): it had to end its command; and the same by SIGKILL.
_LATE = (124, 128 + signal.SIGKILL)
#: No end was told: the connection was lost, or a signal ended the program.
_NO_STATUS = -1


class _Ends(Protocol):
    """What a channel of paramiko can do, and a child process is made to."""

    def recv(self, nbytes: int, /) -> bytes: ...
    def recv_stderr(self, nbytes: int, /) -> bytes: ...
    def sendall(self, s: bytes, /) -> object: ...
    def shutdown_write(self) -> object: ...
    def recv_exit_status(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Line:
    """A started program: its ends, whether the way to it still stands, and how waiting for it is ended."""

    ends: _Ends
    stands: Callable[[], bool]
    cut: Callable[[], object]


class HostProgram:
    """One running program. Its stderr is always listened to; its stdout is given out, or thrown away."""

    def __init__(self, line: _Line, name: str) -> None:
        self.name = name
        self._line = line
        self._complaints = bytearray()
        self._listener = _thread(self._listen)
        self._drain: threading.Thread | None = None

    def output(self) -> Iterator[bytes]:
        """Its standard output in pieces, and at its end the judgement.

        Raises:
            StepFailed: it did not end well; what came before is worth nothing.
            InDoubt: its end was not seen.
        """
        self._close_input()
        while data := self._line.ends.recv(_CHUNK):
            yield data
        self.finish()

    def write(self, data: bytes) -> None:
        """Give it input. What it says on stdout is thrown away from now on.

        Raises:
            StepFailed: it takes no more.
            InDoubt: the way to it was lost.
        """
        if self._drain is None:
            self._drain = _thread(self._throw_away)
        try:
            self._line.ends.sendall(data)
        except OSError:
            self.finish()
            raise StepFailed(f"{self.name} ended well before it had read everything") from None

    def finish(self) -> str:
        """Wait for its end; returns what it said on stderr.

        Raises:
            StepFailed: it ended badly, or too late.
            InDoubt: its end was not seen.
        """
        if self._drain is None:
            self._drain = _thread(self._throw_away)
        self._close_input()
        code = self._line.ends.recv_exit_status()
        self._listener.join(_GRACE)
        said = self._complaints.decode(errors="replace").strip()
        if code == _NO_STATUS and not self._line.stands():
            raise InDoubt(f"{self.name}: the connection was lost before its end was seen")
        if code in _LATE:
            raise StepFailed(f"{self.name} was not done in time, and was ended", "give the step more time")
        if code != 0:
            how = "was killed" if code < 0 else f"ended with exit code {code}"
            raise StepFailed(f"{self.name} {how}: {clip(said) or 'it said nothing'}")
        return said

    def close(self) -> None:
        """Nobody reads from it any more. Only then may its handles go: the next one gets their numbers."""
        self._line.cut()
        self._listener.join()
        if self._drain is not None:
            self._drain.join()

    def _listen(self) -> None:
        with suppress(OSError, ValueError):
            while data := self._line.ends.recv_stderr(_CHUNK):
                self._complaints += data
                del self._complaints[:-_LONGEST_COMPLAINT]

    def _throw_away(self) -> None:
        with suppress(OSError, ValueError):
            while self._line.ends.recv(_CHUNK):
                pass

    def _close_input(self) -> None:
        with suppress(OSError):
            self._line.ends.shutdown_write()


def way_to(context: Context) -> Access:
    """How the context's host is reached.

    Raises:
        Unreachable: its variables ask for what is not supported; nothing was done.
    """
    try:
        return access(context.target)
    except InputError as error:
        raise Unreachable(error.problem, error.advice) from None


@contextmanager
def program(context: Context, argv: Sequence[str], *, changes: bool = False) -> Iterator[HostProgram]:
    """Start it on the context's host, as the inventory's user. Nothing of it is left after the block.

    The host itself ends it after the context's timeout, whatever becomes of the connection. The attempt's
    token is in its environment, so that `silenced` finds it.

    Raises:
        Unreachable: it was not started.
        StepFailed: it can't be started.
    """
    way = way_to(context)
    limit = max(1, int(context.timeout))
    marks = ("env", f"{TOKEN}={context.token}", "LC_ALL=C")
    words = [*way.command[:-1], *marks, "timeout", f"--kill-after={_GRACE}", str(limit), *argv]
    if changes:
        context.clients.fence()
    with _child(way, words) if way.connection == "local" else _channel(way, words, context.clients) as line:
        watch = threading.Timer(limit + _SLACK, line.cut)
        watch.daemon = True
        watch.start()
        running = HostProgram(line, f"{way.name}: {argv[0]}")
        try:
            yield running
        except BaseException:
            with suppress(RemediateError):
                connect(context).kill(str(context.token))
            raise
        finally:
            watch.cancel()
            running.close()


def silenced(context: Context) -> bool:
    """Whether no program of any attempt is left on the host; ends those that are.

    A dump only reads, and what was being loaded is loaded again from its beginning.
    """
    client = connect(context)
    gone = [not client.kill(token) for token in tokens(context) if client.alive(token)]
    return all(gone) and quiet(context)


@contextmanager
def only_read() -> Iterator[None]:
    """For what changes nothing on the host: whatever is lost on the way is a failure and no doubt."""
    try:
        yield
    except InDoubt as error:
        raise StepFailed(f"{error.problem}; nothing was changed", error.advice) from None


class _Child:
    """A child process with a channel's manners."""

    def __init__(self, words: Sequence[str]) -> None:
        self._over = threading.Event()
        self.process = subprocess.Popen(
            list(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )

    def recv(self, nbytes: int, /) -> bytes:
        return self._read(_open(self.process.stdout), nbytes)

    def recv_stderr(self, nbytes: int, /) -> bytes:
        return self._read(_open(self.process.stderr), nbytes)

    def _read(self, stream: IO[bytes], nbytes: int) -> bytes:
        # A daemon that it left behind may hold the pipe open for ever: so each wait is a short one.
        while not self._over.is_set():
            ready, _, _ = select.select([stream], [], [], _GLANCE)
            if ready:
                return os.read(stream.fileno(), nbytes)
        return b""

    def sendall(self, s: bytes, /) -> None:
        view = memoryview(s)
        while view:
            view = view[os.write(_open(self.process.stdin).fileno(), view) :]

    def shutdown_write(self) -> None:
        _open(self.process.stdin).close()

    def recv_exit_status(self) -> int:
        return self.process.wait()

    def cut(self) -> None:
        self._over.set()
        with suppress(OSError):
            self.process.kill()


@contextmanager
def _child(way: Access, words: Sequence[str]) -> Iterator[_Line]:
    try:
        child = _Child(words)
    except OSError as error:
        raise Unreachable(f"{way.name}: can't run {words[0]}: {error.strerror}") from None
    try:
        yield _Line(child, lambda: True, child.cut)
    finally:
        child.process.wait()
        for stream in (child.process.stdin, child.process.stdout, child.process.stderr):
            with suppress(OSError):
                _open(stream).close()


@contextmanager
def _channel(way: Access, words: Sequence[str], clients: Clients) -> Iterator[_Line]:
    load_sdk("paramiko", "fabric")
    import paramiko

    from remediate.adapters.hosts.ssh import UNACKNOWLEDGED_MS, connection_to

    connection = connection_to(way, clients)
    try:
        transport = connection.transport
        with suppress(OSError, AttributeError):
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        try:
            channel = transport.open_session(timeout=way.connect_seconds)
            channel.exec_command(shlex.join(words))
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise Unreachable(f"{way.name}: can't start {words[0]}: {error}; nothing was done") from None

        def stands() -> bool:
            # A channel of a lost connection ends a moment before the connection calls itself lost.
            transport.join(_NOTICED)
            return bool(transport.is_active())

        yield _Line(channel, stands, connection.close)
    finally:
        connection.close()


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - it was started with pipes
    return stream


def _thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
