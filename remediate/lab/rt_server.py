"""Starts, finds and ends the lab tracker's server processes.

They are recognised by what the kernel says about them (program and environment), not by a remembered pid: a
pidfile may be missing after a crash, or name somebody else's process. Signals go through a pidfd that is
opened before that check, so a reused pid is never hit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from remediate.lab.command import LabError

SERVER = Path("/usr/share/request-tracker5/libexec/rt-server")
#: Each holds about 60 MB; SQLite lets one of them write at a time.
WORKERS = 4


def start(port: int, env: dict[str, str], log: Path) -> None:
    """Start the server detached from our session, pipes and parenthood; it answers some seconds later."""
    argv = ["setsid", "--fork", "perl", str(SERVER), "--server", "Starlet", "--host", "127.0.0.1"]
    argv += ["--port", str(port), "--max-workers", str(WORKERS)]
    with log.open("wb") as output:
        subprocess.run(
            argv,
            cwd="/",
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
        )


def find(root: Path) -> list[int]:
    """Pids of the servers whose home is ``root``: the parent and its workers, also orphaned ones."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return sorted(pid for pid in pids if _is_ours(pid, root))


def stop(root: Path, patience: float = 10) -> None:
    """End every server of ``root``: asked first, killed after ``patience`` seconds.

    Raises:
        LabError: one survived even that.
    """
    deadline = time.monotonic() + patience
    asked: set[int] = set()
    while pids := find(root):
        late = time.monotonic() - deadline
        if late > 5:
            raise LabError(f"Request Tracker's processes {pids} don't end")
        for pid in pids:
            if late > 0:
                _send(pid, root, signal.SIGKILL)
            elif pid not in asked:
                _send(pid, root, signal.SIGTERM)
                asked.add(pid)
        time.sleep(0.05)


def _is_ours(pid: int, root: Path) -> bool:
    try:
        folder = Path("/proc") / str(pid)
        if os.fsencode(SERVER) not in (folder / "cmdline").read_bytes().split(b"\0"):
            return False
        return b"RT_LAB_HOME=" + os.fsencode(root) in (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile
        return False


def _send(pid: int, root: Path, number: signal.Signals) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _is_ours(pid, root):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)
