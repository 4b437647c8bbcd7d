"""Programs that measure or test from this machine: a process group of their own, with a deadline."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from remediate.errors import InputError

#: What a program finds of this process's environment: the way to programs, and nothing that may be secret.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "JAVA_HOME")
_SAID = 1 << 20
#: Seconds between asking a group to end and forcing it.
_GRACE = 2.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: ``code`` is None if its time was over. ``said`` is both streams."""

    code: int | None
    said: str


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """What a program gets to know."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | dict(more)


def run(
    argv: Sequence[str], *, seconds: float, cwd: Path, env: Mapping[str, str], install: str = ""
) -> Ended:
    """Run it to its end, or to its deadline. Nothing that it started stays behind.

    It runs below ``timeout`` (coreutils), which ends the group even if this process is killed meanwhile.

    Args:
        argv: the program and its arguments, no shell.
        seconds: the deadline.
        cwd: where.
        env: all that it finds; see `environment`.
        install: the command that installs it.

    Raises:
        InputError: it is not installed.
    """
    guard = ["timeout", f"--kill-after={_GRACE:g}", f"{seconds + _GRACE:g}"]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*guard, *argv],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
        output.seek(0)
        said = output.read(_SAID).decode(errors="replace")
    if code in (126, 127) and said.startswith("timeout:"):
        raise InputError(f"{argv[0]} can't be run on this machine: {said.strip()}", install)
    return Ended(code, said)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the group to end, then force it, also what outlived its own leader."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
