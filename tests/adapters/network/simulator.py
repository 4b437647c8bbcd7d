"""An SSH server inside the test, in front of a simulated device, and what can go wrong with either."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

import paramiko

from tests.adapters.network.simulated import CommandLine

_KINDS = (
    *("", "lost", "gone", "away", "mute", "endless", "silent", "halved", "short", "twice", "reboot"),
    *("dropped", "unheard", "held"),
)
_GONE = (OSError, EOFError, paramiko.SSHException)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens when a line is entered that begins with ``line``.

    ``what`` is what the device says instead of obeying, or one of these; then the line takes effect, and

    * ``lost``: all connections end before anybody hears of it;
    * ``gone``: the same, and no new one is accepted;
    * ``away``: no new connection is accepted;
    * ``mute``: the next one is accepted, and never answered;
    * ``endless``: neither this nor any later answer has an end;
    * ``silent``: no answer comes;
    * ``halved``: half of the answer comes, and the connections end;
    * ``short``: half of the answer comes, as if that was all;
    * ``twice``: it takes effect again, and both are answered;
    * ``reboot``: the device boots, with what was saved.

    Or it does not take effect at first:

    * ``dropped``: all connections end before;
    * ``unheard``: never, and no answer comes;
    * ``held``: all connections end, and it takes effect when the ``gate`` opens.
    """

    line: str
    what: str
    once: bool = True


@dataclass
class Simulator:
    """An SSH server on a loopback port that lets one key, or one password, in to a command line."""

    device: CommandLine
    host_key: paramiko.PKey
    user_key: paramiko.PKey
    password: str = ""
    attempts: list[str] = field(default_factory=list)
    """Everything that looked like a credential, or asked for one."""

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        self._over = threading.Event()
        self.frozen = threading.Event()
        """While set, nothing is answered, and nothing ends."""
        self.mute = threading.Event()
        """While set, the next session gets no prompt, ever."""
        self.troubles: list[Trouble] = []
        self.gate = threading.Event()
        """Opens for what is held."""
        self.logins = 0
        """Sessions so far."""
        self._start(self._accept)

    def known_hosts_line(self) -> str:
        """Its line for known_hosts."""
        return f"[127.0.0.1]:{self.port} {self.host_key.get_name()} {self.host_key.get_base64()}\n"

    def cut(self) -> None:
        """End all connections at once."""
        for transport in self._transports:
            transport.close()

    def go_away(self) -> None:
        """Refuse new connections; those that are there stay."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def repair(self) -> None:
        """Accept connections again, and answer them; nothing is wrong any more."""
        if self._listener.fileno() < 0:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._start(self._accept)
        self.mute.clear()
        self.troubles.clear()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.go_away()
        self.cut()

    def _start(self, work: object, *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()  # type: ignore[arg-type]

    def _accept(self) -> None:
        listener = self._listener
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        self._transports.append(transport)
        transport.add_server_key(self.host_key)
        with suppress(*_GONE):
            transport.start_server(server=_Door(self))
            while (channel := transport.accept(20)) is not None:
                self._start(self._talk, channel)

    def _talk(self, channel: paramiko.Channel) -> None:
        """Echo what is typed, and answer each line."""
        device, mode, typed = self.device, "", ""
        self.logins += 1
        with suppress(*_GONE):
            if self.mute.is_set():
                self.mute.clear()
                while channel.recv(4096):
                    pass
                return
            self._say(channel, device.banner + device.prompt(mode))
            while data := channel.recv(4096):
                for character in data.decode():
                    if character not in "\r\n":
                        typed += character
                        continue
                    line, typed = typed.strip(), ""
                    self._say(channel, f"{line}\n")
                    said, mode = self._answer(channel, mode, line)
                    self._pages(channel, said)
                    self._say(channel, device.prompt(mode))

    def _answer(self, channel: paramiko.Channel, mode: str, line: str) -> tuple[str, str]:
        """The device's own, unless there is trouble."""
        trouble = next((t for t in self.troubles if line.startswith(t.line)), None)
        if trouble is not None and trouble.once:
            self.troubles.remove(trouble)
        what = trouble.what if trouble else ""
        if what not in _KINDS:
            return what + "\n", mode
        self._before(channel, what)
        said, mode = self.device.answer(mode, line)
        match what:
            case "silent" | "halved" | "short" | "twice" | "reboot" | "held":
                return self._after(channel, what, mode, line, said)
            case "lost" | "gone":
                if what == "gone":
                    self.go_away()
                self.cut()
                raise EOFError
            case "away":
                self.go_away()
            case "mute":
                self.mute.set()
            case "endless":
                self.troubles.append(Trouble("show", "endless"))
                said = "endless"
        if said == "endless":
            self._flood(channel)
        return said, mode

    def _before(self, channel: paramiko.Channel, what: str) -> None:
        """Trouble that comes before the line takes effect."""
        match what:
            case "dropped":
                self.cut()
                raise EOFError
            case "unheard":
                self._wait(channel)
            case "held":
                self.cut()
                self.gate.wait(60)

    def _after(
        self, channel: paramiko.Channel, what: str, mode: str, line: str, said: str
    ) -> tuple[str, str]:
        """Trouble with the answer."""
        match what:
            case "silent":
                self._wait(channel)
            case "short":
                return said[: len(said) // 2] + "\n", mode
            case "twice":
                self._say(channel, f"{said}{self.device.prompt(mode)}{line}\n")
                return self.device.answer(mode, line)
            case "halved":
                self._say(channel, said[: len(said) // 2])
            case "reboot":
                self.device.reboot()
        self.cut()
        raise EOFError

    def _wait(self, channel: paramiko.Channel) -> None:
        """Until the client has had enough."""
        while channel.recv(4096):
            pass
        raise EOFError

    def _pages(self, channel: paramiko.Channel, said: str) -> None:
        if not getattr(self.device, "pager", False) or said.count("\n") < 5:
            self._say(channel, said)
            return
        lines = said.splitlines(keepends=True)
        for start in range(0, len(lines), 5):
            self._say(channel, "".join(lines[start : start + 5]))
            if start + 5 < len(lines):
                self._say(channel, " --More-- ")
                channel.recv(1)
                self._say(channel, "\x08" * 10 + " " * 10 + "\x08" * 10)

    def _flood(self, channel: paramiko.Channel) -> None:
        while not self._over.is_set():
            self._say(channel, "all work and no play\n" * 500)

    def _say(self, channel: paramiko.Channel, text: str) -> None:
        while self.frozen.is_set() and not self._over.is_set():
            time.sleep(0.01)
        channel.sendall(text.replace("\n", "\r\n").encode())


class _Door(paramiko.ServerInterface):
    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def get_allowed_auths(self, username: str) -> str:
        self.simulator.attempts.append(f"asked for ways: {username}")
        return "publickey,password"

    def check_auth_none(self, username: str) -> int:
        self.simulator.attempts.append(f"none: {username}")
        return int(paramiko.common.AUTH_FAILED)

    def check_auth_password(self, username: str, password: str) -> int:
        self.simulator.attempts.append(f"password: {username}: {password}")
        right = bool(self.simulator.password) and password == self.simulator.password
        return int(paramiko.common.AUTH_SUCCESSFUL if right else paramiko.common.AUTH_FAILED)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.simulator.attempts.append(f"publickey: {username}")
        right = key == self.simulator.user_key
        return int(paramiko.common.AUTH_SUCCESSFUL if right else paramiko.common.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.common.OPEN_SUCCEEDED)

    def check_channel_pty_request(self, *_: object) -> bool:
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        return True
