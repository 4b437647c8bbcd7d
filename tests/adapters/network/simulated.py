"""Command lines of platforms that no lab has, as far as they are used: after the vendors' references.

What they can't show is whether a real device agrees; so nothing that is tested with them alone is called
proven.
"""

from __future__ import annotations

import re
import threading


class CommandLine:
    """What answers on one device, for all sessions. ``config`` is the running configuration."""

    banner = ""
    name = "dev1"
    minute = 1.0
    """Seconds that its timer takes for one."""

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

    def reboot(self) -> None:
        """What was not saved is gone."""
        self.config = list(self.startup)


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

        self.timer = threading.Timer(self.minute, fire)
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


class Nxos(Ios):
    """Cisco NX-OS: lines take effect at once, and no timer takes them back."""

    def answer(self, mode: str, line: str) -> tuple[str, str]:
        if not mode and line.startswith("configure terminal "):
            self.lines.append(line)
            return "                       ^\n% Invalid command at '^' marker.\n", ""
        if not mode and line == "copy running-config startup-config":
            self.lines.append(line)
            self.startup = list(self.config)
            return "[########################################] 100%\nCopy complete.\n", ""
        return super().answer(mode, line)

    def _shown(self) -> str:
        when = f"!Time: Sun Nov 22 10:00:{len(self.lines) % 60:02} 2026"
        return "\n".join(["!Command: show running-config", when, "", "version 9.3(5)", *self.config, ""])


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

            self.timer = threading.Timer(self.minute, fire)
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
