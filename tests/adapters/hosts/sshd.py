"""An SSH server inside the test: it runs what it is asked to, and remembers what it was shown."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

#: What the end of a connection looks like, depending on who looks.
_OPENED: int = paramiko.common.OPEN_SUCCEEDED
_LET_IN: int = paramiko.common.AUTH_SUCCESSFUL
_FAILED: int = paramiko.common.AUTH_FAILED
_GONE = (OSError, EOFError, paramiko.SSHException)


def new_key(path: Path) -> paramiko.Ed25519Key:
    """A fresh key, also written to ``path`` (0600)."""
    secret = Ed25519PrivateKey.generate()
    text = secret.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    path.write_bytes(text)
    path.chmod(0o600)
    return paramiko.Ed25519Key.from_private_key_file(str(path))


@dataclass
class Sshd:
    """A server on a loopback port of its own.

    Args:
        host_key: what it proves itself with.
        user_key: whom it lets in.
    """

    host_key: paramiko.PKey
    user_key: paramiko.PKey
    attempts: list[str] = field(default_factory=list)
    """Everything that looked like a credential, or asked for one."""
    commands: list[str] = field(default_factory=list)
    enter: tuple[str, ...] = ()
    """What its commands are run by, for example in other namespaces."""

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        self._frozen = threading.Event()
        self._threads: list[threading.Thread] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._start(self._accept)

    def known_hosts_line(self) -> str:
        """Its line for known_hosts."""
        return f"[127.0.0.1]:{self.port} {self.host_key.get_name()} {self.host_key.get_base64()}\n"

    def freeze(self) -> None:
        """From now on no byte passes in either direction, and no connection ends."""
        self._frozen.set()

    def thaw(self) -> None:
        """Let everything pass again."""
        self._frozen.clear()

    def cut(self) -> None:
        """End all connections at once."""
        for transport in self._transports:
            transport.close()

    def refuse(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.thaw()
        self.refuse()
        self.cut()
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
        for thread in self._threads:
            thread.join(5)

    def asked(
        self, channel: paramiko.Channel, process: subprocess.Popen[bytes], data: bytes
    ) -> Iterable[bytes]:
        """What of the client's bytes a command gets; one that is on its way when it freezes waits."""
        self._wait_while_frozen()
        return (data,)

    def answered(
        self, channel: paramiko.Channel, process: subprocess.Popen[bytes], data: bytes
    ) -> Iterable[bytes]:
        """What of a command's output the client gets."""
        self._wait_while_frozen()
        return (data,)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        self._transports.append(transport)
        transport.add_server_key(self.host_key)
        with suppress(*_GONE):
            transport.start_server(server=_Server(self))

    def run(self, channel: paramiko.Channel, command: bytes) -> None:
        """A command of a client, with its streams."""
        self.commands.append(command.decode())
        process = subprocess.Popen(
            [*self.enter, "/bin/sh", "-c", command.decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._processes.append(process)
        self._start(self._feed, channel, process)
        self._start(self._drain, channel, process)

    def _wait_while_frozen(self) -> None:
        while self._frozen.is_set():
            time.sleep(0.01)

    def _feed(self, channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with suppress(*_GONE):
            while data := channel.recv(65536):
                for piece in self.asked(channel, process, data):
                    view = memoryview(piece)
                    while view:
                        view = view[process.stdin.write(view) :]
        with suppress(OSError):
            process.stdin.close()

    def _drain(self, channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        streams = [process.stdout, process.stderr]
        with suppress(*_GONE):
            while streams:
                for stream in select.select(streams, [], [])[0]:
                    data = os.read(stream.fileno(), 65536)
                    if not data:
                        self._wait_while_frozen()
                        streams.remove(stream)
                    elif stream is process.stdout:
                        for piece in self.answered(channel, process, data):
                            channel.sendall(piece)
                    else:
                        self._wait_while_frozen()
                        channel.sendall_stderr(data)
            # The client must first have heard that its command was accepted.
            time.sleep(0.1)
            channel.send_exit_status(process.wait() & 0xFF)
        with suppress(*_GONE):
            channel.close()
        process.stdout.close()
        process.stderr.close()


class _Server(paramiko.ServerInterface):
    def __init__(self, sshd: Sshd) -> None:
        self.sshd = sshd

    def get_allowed_auths(self, username: str) -> str:
        self.sshd.attempts.append(f"asked for ways: {username}")
        return "publickey,password"

    def check_auth_none(self, username: str) -> int:
        self.sshd.attempts.append(f"none: {username}")
        return _FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self.sshd.attempts.append(f"password: {username}: {password}")
        return _FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.sshd.attempts.append(f"publickey: {username}: {key.get_base64()}")
        right = key == self.sshd.user_key
        return _LET_IN if right else _FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return _OPENED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.sshd.run(channel, command)
        return True

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        self.sshd.commands.append(f"forward to {destination[0]}:{destination[1]}")
        self.sshd._start(self._forward, chanid, destination)
        return _OPENED

    def _forward(self, chanid: int, destination: tuple[str, int]) -> None:
        transport = next(t for t in self.sshd._transports if t.is_authenticated())
        channel = transport.accept(5)
        if channel is None:
            return
        with socket.create_connection(destination) as there, suppress(OSError):
            while True:
                ready, _, _ = select.select([channel.fileno(), there.fileno()], [], [])
                for source, sink in ((channel, there), (there, channel)):
                    if source.fileno() in ready:
                        data = source.recv(65536)
                        if not data:
                            return
                        sink.sendall(data)
