"""Names a process so that another one can tell, later, whether it still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process() -> str:
    """``host|boot id|pid|start time``: unique over reboots and reused process ids."""
    pid = os.getpid()
    return f"{socket.gethostname()}|{_boot()}|{pid}|{_start(pid)}"


def certainly_dead(holder: str) -> bool:
    """Whether that process can't write any more. False when it can't be known (another machine)."""
    host, boot, pid, start = [*holder.split("|"), "", "", ""][:4]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    return boot != _boot() or _start(int(pid)) != start


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
