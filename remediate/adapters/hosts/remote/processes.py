"""Which processes belong to an attempt, and their end."""

import os
import signal
import time
from contextlib import suppress

MYPY = False
if MYPY:
    from typing import Any

TOKEN = "REMEDIATE_TOKEN"  # noqa: S105
_LONGEST_COMMAND = 200


def _stat(pid: int) -> "list[str]":
    """The fields of /proc/PID/stat after the name: state, parent, group, session … (proc(5), from 3)."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].decode().split()


def started(pid: int) -> str:
    """When a process began, in clock ticks since boot; "" if there is none. With the number, its identity."""
    try:
        fields = _stat(pid)
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


def _carries(pid: int, needle: bytes) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        return needle in b"\0" + file.read() + b"\0"
    return False


def of(token: str, sessions: "set[int]") -> "list[int]":
    """Living processes that carry the token, are in one of the sessions, or descend from such."""
    needle = f"\0{TOKEN}={token}\0".encode()
    parents = {}
    chosen = set()
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        with suppress(OSError):
            state, parent, _, session = _stat(pid)[:4]
            if state not in ("Z", "X") and pid != os.getpid():
                parents[pid] = int(parent)
                if int(session) in sessions or _carries(pid, needle):
                    chosen.add(pid)
    grew = True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in chosen} - chosen
        chosen |= more
        grew = bool(more)
    return sorted(chosen)


def describe(pids: "list[int]") -> "list[dict[str, Any]]":
    """Number and command line of each process that is still there."""
    found = []
    for pid in pids:
        with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            found.append({"pid": pid, "command": words[:_LONGEST_COMMAND]})
    return found


def end(token: str, sessions: "set[int]", grace: float, limit: float) -> "list[int]":
    """Ask all of them to end, then force them; returns those that were still there after ``limit`` seconds.

    Two looks in a row must find nobody: a process may fork while we read.
    """
    began = time.monotonic()
    quiet = 0
    while quiet < 2:
        left = of(token, sessions)
        waited = time.monotonic() - began
        if left and waited > limit:
            return left
        quiet = 0 if left else quiet + 1
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if waited < grace else signal.SIGKILL)
        time.sleep(0.02 if not left else 0.05)
    return []


def _agents(mark: str) -> "list[int]":
    """Other agents of the run. The supervisor of a job looks like the agent that it is a copy of."""
    run = mark.rpartition(".")[0] + "."
    found = []
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            word = file.read().rstrip(b"\0").rpartition(b"\0")[2].decode("utf-8", "replace")
            if word.startswith(run) and word != mark and os.readlink(f"/proc/{pid}/fd/0") != "/dev/null":
                found.append(pid)
    return found


def end_agents(mark: str, grace: float, limit: float) -> "list[int]":
    """Let other agents of the run end by themselves, then force them; returns those that are left."""
    began = time.monotonic()
    while True:
        left = _agents(mark)
        waited = time.monotonic() - began
        if not left or waited > limit:
            return left
        for pid in left if waited > grace else ():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
