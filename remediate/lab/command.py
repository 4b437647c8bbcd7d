"""Run one tool, from an argument list, with an error that tells what failed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from remediate.errors import RemediateError


class LabError(RemediateError):
    """The lab could not do something on this machine."""


def run(*argv: str | Path, stdin: str = "", timeout: float = 120, check: bool = True) -> str:
    """Run a command and return what it printed.

    It gets the usual umask, whatever the caller's: root file systems are made by such commands.

    Args:
        argv: the command and its arguments; no shell is involved.
        stdin: fed to the command.
        timeout: seconds.
        check: whether a failure raises; without, its output is returned all the same.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            umask=0o022,
        )
    except FileNotFoundError as error:
        raise LabError(f"`{words[0]}` is not installed", "remediate doctor") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(words)}` did not end within {timeout:g} s") from error
    if check and done.returncode != 0:
        tail = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LabError(f"`{' '.join(words)}` ended with {done.returncode}: {tail}")
    return done.stdout
