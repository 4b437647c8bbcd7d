"""The Debian packages that the lab needs on this machine itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remediate.lab.command import LabError, run
from remediate.lab.data import write
from remediate.lab.interface import Progress

LISTS = Path("/var/lib/apt/lists")
POLICY = Path("/usr/sbin/policy-rc.d")
REFUSE = "#!/bin/sh\n# Left by `remediate lab up` if it was killed; may be removed.\nexit 101\n"

#: How long to wait for somebody else's apt.
LOCK_SECONDS = 300
_QUIET = ("DEBIAN_FRONTEND=noninteractive",)


def missing(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``names`` that are not installed."""
    shown = run("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *names, check=False)
    installed = {line.split(" ")[0] for line in shown.splitlines() if line.endswith(" installed")}
    return tuple(name for name in dict.fromkeys(names) if name not in installed)


def install(names: tuple[str, ...], progress: Progress) -> None:
    """Install those of ``names`` that are missing; none of them may start a service here."""
    wanted = missing(names)
    if not wanted:
        return
    if os.geteuid() != 0:
        raise LabError("only root can install packages", f"sudo apt-get install {' '.join(wanted)}")
    progress(f"installing on this machine: {' '.join(wanted)}")
    advice = f"apt-get update && apt-get install {' '.join(wanted)}"
    try:
        with _no_service_starts():
            if not any(LISTS.glob("*_Packages*")):
                _apt("update")
            _install(wanted, progress)
    except LabError as error:
        raise LabError(error.problem, advice) from error


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Refuse that packages start their services, unless the machine has a policy of its own.

    A policy that a killed run left behind is known by its text, and removed here.
    """
    ours = not POLICY.exists() or POLICY.read_text() == REFUSE
    if ours:
        write(POLICY, REFUSE, 0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def _install(names: tuple[str, ...], progress: Progress) -> None:
    """Install; once more with fresh lists, because old lists name files that are gone.

    Before that, what an earlier installation was killed in is finished.
    """
    arguments = ("install", "--yes", "--no-install-recommends", *names)
    try:
        _apt(*arguments)
    except LabError:
        progress("fetching the package lists again")
        run("env", *_QUIET, "dpkg", "--configure", "--pending", timeout=600)
        _apt("update")
        _apt(*arguments)


def _apt(*arguments: str) -> None:
    wait = f"DPkg::Lock::Timeout={LOCK_SECONDS}"
    run("env", *_QUIET, "apt-get", "--quiet", "--option", wait, *arguments, timeout=1800)
