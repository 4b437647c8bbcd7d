"""Secret references to values. A plan, a runbook and the inventory hold references only."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from remediate.config import Config
from remediate.credentials.scrub import LONGEST, Scrubber
from remediate.errors import InputError

#: From the part after the colon to the value.
Source = Callable[[str], str]

_COMMAND_SECONDS = 30.0


class Credentials:
    """Resolves references such as ``env:DB_PASSWORD``; implements `remediate.model.step.Secrets`.

    A value is read once and stays the same for as long as this object lives (one run), and everything
    that was given out is known to ``scrubber``.

    Args:
        config: for ``file:`` paths relative to the project, and the programs behind ``command:NAME``.
        scrubber: learns every value.
        sources: more schemes, by name.
    """

    def __init__(
        self, config: Config, scrubber: Scrubber | None = None, sources: Mapping[str, Source] | None = None
    ) -> None:
        self.scrubber = scrubber or Scrubber()
        self._config = config
        self._sources: dict[str, Source] = {
            "env": _from_environment,
            "file": self._from_file,
            "command": self._from_command,
            **(sources or {}),
        }
        self._values: dict[str, str] = {}
        self._lock = threading.Lock()

    def resolve(self, reference: str) -> str:
        """The value behind ``env:NAME``, ``file:PATH``, ``command:NAME`` or another registered scheme.

        Raises:
            InputError: the reference is malformed, or there is no usable value. Never tells the value, nor
                a malformed reference whole, which may be a secret that was put in its place.
        """
        scheme, colon, rest = reference.partition(":")
        if not colon or scheme not in self._sources or not rest:
            known = ", ".join(f"{name}:…" for name in self._sources)
            raise InputError(
                "a secret reference names no known place", f"write one of {known}, never a value"
            )
        with self._lock:
            if reference not in self._values:
                value = self._sources[scheme](rest)
                try:
                    self.scrubber.add(value)
                except InputError as error:
                    raise InputError(f"{reference}: {error.problem}", error.advice) from None
                self._values[reference] = value
            return self._values[reference]

    def _from_file(self, rest: str) -> str:
        path = self._config.path(Path(rest))
        try:
            # Not blocking, so that a named pipe is refused instead of waited for.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
                _check_private(path, os.fstat(stream.fileno()))
                data = stream.read(LONGEST + 2)
        except OSError as error:
            raise InputError(
                f"no secret can be read from {path}: {error.strerror}", "put the secret there, mode 0600"
            ) from None
        return _text(data, f"file:{rest}")

    def _from_command(self, name: str) -> str:
        argv = self._config.credentials.commands.get(name)
        if not argv:
            raise InputError(
                f"command:{name}: no such command",
                f'add {name} = ["program", "argument"] to [credentials.commands]',
            )
        try:
            done = subprocess.run(
                argv,
                cwd=self._config.root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = getattr(error, "strerror", None) or f"no answer within {_COMMAND_SECONDS:.0f} s"
            raise InputError(f"command:{name}: {reason}", f"run {argv[0]} by hand") from None
        if done.returncode:
            # What it printed stays unsaid: it may hold half of a secret.
            raise InputError(f"command:{name}: exit code {done.returncode}", f"run {argv[0]} by hand")
        return _text(done.stdout, f"command:{name}")


def _from_environment(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise InputError(f"env:{name}: not set", f"export {name} before you start remediate")
    return value


def _check_private(path: Path, info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise InputError(f"{path}: not a file", "name the file that holds the secret")
    if info.st_uid not in (os.geteuid(), 0):
        raise InputError(f"{path}: belongs to user {info.st_uid}", f"chown {os.geteuid()} {path}")
    if info.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(
            f"{path}: others may read it (mode {info.st_mode & 0o777:04o})", f"chmod 0600 {path}"
        )


def _text(data: bytes, reference: str) -> str:
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InputError(f"{reference}: not UTF-8", "store binary keys as Base64") from None
