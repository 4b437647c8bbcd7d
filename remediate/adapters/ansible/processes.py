"""Find, end and confirm the end of this machine's processes that bear an attempt's mark."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: The environment variable that names the attempt, here and on the targets.
TOKEN = "REMEDIATE_TOKEN"  # noqa: S105
#: The one that names a single call of Ansible, of which an attempt may have several side by side.
CALL = "REMEDIATE_CALL"

_PROC = Path("/proc")
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """One live process: its number, its session, and when it started (clock ticks since boot)."""

    pid: int
    session: int
    started: int


def find(marks: Iterable[str]) -> tuple[Process, ...]:
    """Live processes with one of these (``NAME=value``) in their environment, and all of their sessions.

    The masters of shared SSH connections are left out: they inherit the mark of whoever came first,
    serve later attempts too, and do nothing by themselves.
    """
    wanted = {mark.encode() for mark in marks}
    every = list(_processes())
    marked = [p for p in every if not wanted.isdisjoint(_environment(p.pid)) and not _is_ssh_master(p.pid)]
    # A process may hide or clear its environment, but not its session.
    sessions = {p.session for p in marked} - {os.getsid(0), 0}
    return tuple(p for p in every if p in marked or (p.session in sessions and not _is_ssh_master(p.pid)))


def end(marks: Iterable[str], patience: float = 10.0) -> bool:
    """Kill everything that bears one of these marks; whether it is all gone after ``patience`` seconds."""
    wanted = tuple(marks)
    until = time.monotonic() + patience
    while alive := find(wanted):
        for process in alive:
            _kill(process)
        if time.monotonic() > until:
            return False
        time.sleep(_POLL)
    return True


def _kill(process: Process) -> None:
    # The number may have been given to another process since: the start time tells them apart.
    with suppress(OSError):
        handle = os.pidfd_open(process.pid)
        try:
            if _stat(process.pid) == process:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def _processes() -> Iterator[Process]:
    own = _namespace("self")
    for entry in _PROC.iterdir():
        # Containers on this machine may be targets: their processes show here too, and are not ours to kill.
        if entry.name.isdigit() and _namespace(entry.name) == own and (process := _stat(int(entry.name))):
            yield process


def _namespace(pid: str) -> str:
    try:
        return str((_PROC / pid / "ns" / "pid").readlink())
    except OSError:
        return ""


def _stat(pid: int) -> Process | None:
    """None for a process that has ended, a zombie included."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold anything, so count from its end (proc(5)).
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else Process(pid, int(fields[3]), int(fields[19]))


def _environment(pid: int) -> set[bytes]:
    try:
        return set((_PROC / str(pid) / "environ").read_bytes().split(b"\0"))
    except OSError:
        return set()


def _is_ssh_master(pid: int) -> bool:
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
    return words.startswith(b"ssh: ") and b"[mux]" in words
