"""Devices that are simulated: an SSH server inside the test, and command lines of platforms that no lab has.

They know as much of their platform as is used, after the vendors' command references. What they can't
show is whether a real device agrees; so nothing that is tested with them alone is called proven.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

import paramiko

_GONE = (OSError, EOFError, paramiko.SSHException)


class CommandLine:
    """What answers on one device, for all sessions. ``config`` is the running configuration."""

    banner = ""
    name = "dev1"

    def __init__(self, *config: str) -> None:
        self.config = list(config)
        self.startup = list(config)
        self.lines: list[str] = []
        """Everything that was entered."""

    def prompt(self, mode: str) -> str:
        """The prompt in this mode; empty is the first one."""
        return f"{self.name}({mode})#" if mode else f"{self.name}#"

    def answer(self, mode: str, line: str) -> tuple[str, str]:
        """Output and next mode."""
        raise NotImplementedError


class Ios(CommandLine):
    """Cisco IOS: lines take effect at once; `configure terminal revert timer`."""

    timer: threading.Timer | None = None

    def answer(self, mode: str, line: str) -> tuple[str, str]:
        self.lines.append(line)
        if mode:
            return self._configure(mode, line)
        if match := re.fullmatch(r"configure terminal(?: revert timer (\d+))?", line):
            if match[1]:
                self._arm(list(self.config))
            return "Enter configuration commands, one per line.  End with CNTL/Z.\n", "config"
        if line == "configure confirm":
            self._disarm()
            return "", ""
        known = {
            "": "",
            "terminal width 511": "",
            "terminal length 0": "",
            "show running-config": self._shown(),
            "show archive config rollback timer": "Time configured(min): 1\n" if self.timer else "No timer\n",
            "write memory": "Building configuration...\n[OK]\n",
        }
        if line not in known:
            return "            ^\n% Invalid input detected at '^' marker.\n", ""
        if line == "write memory":
            self.startup = list(self.config)
        return known[line], ""

    def _shown(self) -> str:
        lines = "\n".join(self.config)
        return (
            f"Building configuration...\n\nCurrent configuration : {len(lines)} bytes\n!\n{lines}\n!\nend\n"
        )

    def _configure(self, mode: str, line: str) -> tuple[str, str]:
        if line in ("end", "exit"):
            return "", "" if line == "end" or mode == "config" else "config"
        if line.startswith("interface "):
            self.block = line
            if line not in self.config:
                self.config.append(line)
            return "", "config-if"
        if "bogus" in line:
            return "               ^\n% Invalid input detected at '^' marker.\n", mode
        text = f" {line}" if mode == "config-if" else line
        positive = text.replace("no ", "", 1)
        if "no " in text:
            self.config = [x for x in self.config if not x.startswith(positive)]
        else:
            at = self.config.index(self.block) + 1 if mode == "config-if" else len(self.config)
            self.config.insert(at, text)
        return "", mode

    def _arm(self, before: list[str]) -> None:
        def fire() -> None:
            self.config, self.timer = before, None

        # A minute on a real device.
        self.timer = threading.Timer(1.0, fire)
        self.timer.daemon = True
        self.timer.start()

    def _disarm(self) -> None:
        if self.timer:
            self.timer.cancel()
            self.timer = None


class Eos(Ios):
    """Arista EOS: a session is a candidate; `commit timer`."""

    def __init__(self, *config: str) -> None:
        super().__init__(*config)
        self.base: list[str] = []
        self.session = ""

    def answer(self, mode: str, line: str) -> tuple[str, str]:
        state = "pendingCommitTimer" if self.timer else "completed"
        said = {
            "terminal width 511": "Width set to 511 columns.\n",
            "terminal length 0": "Pagination disabled.\n",
            "show configuration sessions": f"{self.session} {state}\n",
            "show session-config diffs": "".join(f"+{x}\n" for x in self.config if x not in self.base),
            "write memory": "Copy completed successfully.\n",
        }
        if (mode and line in ("abort", "commit")) or line.startswith("commit timer "):
            self.lines.append(line)
            if line == "abort":
                self.config = self.base
            elif line != "commit":
                assert re.fullmatch(r"commit timer \d\d:\d\d:\d\d", line)
                self._arm(self.base)
            return "", ""
        if match := re.fullmatch(r"configure session (\S+)( commit)?", line):
            self.lines.append(line)
            if match[2]:
                self._disarm()
                return "", ""
            self.base, self.session = list(self.config), match[1]
            return "", "config-s-" + match[1][:6]
        if line in said:
            return said[line], mode
        return (
            super().answer(mode if mode in ("", "config-if") else "config", line)
            if not mode
            else self._in(mode, line)
        )

    def _shown(self) -> str:
        return "! Command: show running-config\n!\n" + "\n".join(self.config) + "\n!\nend\n"

    def _in(self, mode: str, line: str) -> tuple[str, str]:
        said, after = self._configure("config-if" if mode.endswith("-if") else "config", line)
        name = "config-s-" + self.session[:6]
        return said, f"{name}-if" if after == "config-if" else name if after else ""


class Junos(CommandLine):
    """Juniper Junos: a candidate of set lines; `commit confirmed`."""

    timer: threading.Timer | None = None

    def __init__(self, *config: str) -> None:
        super().__init__(*config)
        self.candidate: list[str] = []

    def prompt(self, mode: str) -> str:
        return f"\n[edit]\nops@{self.name}# " if mode else f"ops@{self.name}> "

    def answer(self, mode: str, line: str) -> tuple[str, str]:
        self.lines.append(line)
        if mode:
            return self._edit(line)
        if line == "configure exclusive":
            self.candidate = list(self.config)
            return (
                "warning: uncommitted changes will be discarded on exit\nEntering configuration mode\n",
                "edit",
            )
        known = {
            "": "",
            "set cli screen-width 511": "Screen width set to 511\n",
            "set cli complete-on-space off": "Disabling complete-on-space\n",
            "set cli screen-length 0": "Screen length set to 0\n",
            "show configuration | display set | no-more": "\n".join(sorted(self.config)) + "\n",
            "show system commit": f"0   2026-11-22{' rollback in 1min' if self.timer else ''}\n",
        }
        return known.get(line, "                ^\nunknown command.\n"), ""

    def _edit(self, line: str) -> tuple[str, str]:
        verb, _, rest = line.partition(" ")
        if "bogus" in line:
            return "                ^\nsyntax error.\n", "edit"
        if verb == "set":
            self.candidate.append(line)
        elif verb == "delete":
            self.candidate = [x for x in self.candidate if not x.startswith(f"set {rest}")]
        elif line == "rollback 0":
            self.candidate = list(self.config)
            return "load complete\n", "edit"
        elif line == "show | compare":
            return "".join(f"+  {x}\n" for x in self.candidate if x not in self.config), "edit"
        elif verb == "commit":
            return self._commit(line)
        elif verb == "exit":
            return "Exiting configuration mode\n", ""
        return "", "edit"

    def _commit(self, line: str) -> tuple[str, str]:
        if self.timer:
            self.timer.cancel()
            self.timer = None
        before, self.config = self.config, list(self.candidate)
        if line.startswith("commit confirmed"):

            def fire() -> None:
                self.config, self.timer = before, None

            self.timer = threading.Timer(1.0, fire)
            self.timer.daemon = True
            self.timer.start()
        return "commit complete\nExiting configuration mode\n", ""


class Frr(Ios):
    """A vtysh whose terminal is of the worst kind; each trait is switched on by a test."""

    pager = False
    endless = False
    colours = False
    silent = False

    def answer(self, mode: str, line: str) -> tuple[str, str]:
        if line == "show endless" and self.endless:
            return "endless", mode
        said, after = super().answer(mode, line)
        if self.colours:
            said = "".join(f"\x1b[32m{x}\x1b[0m\x1b[K" for x in said.splitlines(keepends=True))
        return said, after


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
        self._start(self._accept)

    def known_hosts_line(self) -> str:
        """Its line for known_hosts."""
        return f"[127.0.0.1]:{self.port} {self.host_key.get_name()} {self.host_key.get_base64()}\n"

    def cut(self) -> None:
        """End all connections at once."""
        for transport in self._transports:
            transport.close()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _start(self, work: object, *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()  # type: ignore[arg-type]

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
            transport.start_server(server=_Door(self))
            while (channel := transport.accept(20)) is not None:
                self._start(self._talk, channel)

    def _talk(self, channel: paramiko.Channel) -> None:
        """Echo what is typed, and answer each line."""
        device, mode, typed = self.device, "", ""
        with suppress(*_GONE):
            self._say(channel, device.banner + device.prompt(mode))
            while data := channel.recv(4096):
                for character in data.decode():
                    if character not in "\r\n":
                        typed += character
                        continue
                    line, typed = typed.strip(), ""
                    self._say(channel, f"{line}\n")
                    said, mode = device.answer(mode, line)
                    if said == "endless":
                        self._flood(channel)
                    self._pages(channel, said)
                    self._say(channel, device.prompt(mode))

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
