"""What the agent's answers mean, as small values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. ``stdout`` and ``stderr`` are hostile text, capped in the middle.

    ``code`` is negative for a signal, and None if the command could not be started (``refused`` says why).
    """

    argv: tuple[str, ...]
    code: int | None
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    timed_out: bool = False
    refused: str = ""

    @property
    def ok(self) -> bool:
        """Exit code 0."""
        return self.code == 0 and not self.timed_out

    @property
    def said(self) -> str:
        """Both streams, for a person."""
        return "\n".join(part for part in (self.stderr.strip(), self.stdout.strip()) if part)

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.refused:
            return f"was not started: {self.refused}"
        if self.timed_out:
            return f"took longer than {self.seconds:.0f} s and was ended"
        if self.code is not None and self.code < 0:
            return f"was ended by signal {-self.code}"
        return f"ended with exit code {self.code}"


class JobState(StrEnum):
    """What is known about a job whose end nobody saw."""

    RUNNING = "running"
    ENDED = "ended"
    VANISHED = "vanished"
    """It was begun, its supervisor is gone, and it left no result: it was killed on the way."""
    UNKNOWN = "unknown"
    """Never begun on this host, or begun before the last boot."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """``begun`` is False only where the command was certainly never started; ``boot`` is the present boot."""

    state: JobState
    outcome: Outcome | None = None
    begun: bool = True
    boot: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """A living process."""

    pid: int
    command: str


@dataclass(frozen=True, slots=True)
class Pending:
    """What is left of an attempt: processes that live, jobs that run, jobs that were killed on the way."""

    processes: tuple[Process, ...]
    running: tuple[str, ...]
    vanished: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What apt would do to one package; ``old`` is empty for a new one."""

    name: str
    old: str
    new: str
    verb: str = "Inst"
    arch: str = ""


@dataclass(frozen=True, slots=True)
class Deb:
    """A package file that the host has fetched; ``conffiles`` are the configuration files that it brings."""

    name: str
    version: str
    arch: str
    path: str
    sha256: str
    conffiles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Facts about a host; ``changes`` only if a simulation was asked for."""

    facts: dict[str, Any]
    changes: tuple[Change, ...] = ()
    conffiles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, link or directory as a backup needs it. ``content`` is None where it did not fit."""

    path: str
    fact: Mapping[str, Any]
    mtime: int
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Grabbed:
    """One path that was asked for: its summary, and everything in it, parents first."""

    path: str
    fact: dict[str, Any]
    entries: tuple[Entry, ...] = field(default=())


def outcome(argv: tuple[str, ...], fields: Mapping[str, Any]) -> Outcome:
    """Out of the agent's answer."""
    return Outcome(
        argv=argv,
        code=fields.get("rc"),
        stdout=str(fields.get("stdout", "")),
        stderr=str(fields.get("stderr", "")),
        seconds=float(fields.get("seconds", 0.0)),
        timed_out=bool(fields.get("timed_out", False)),
        refused=str(fields.get("failed", "")),
    )
