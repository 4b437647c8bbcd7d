"""What a step or check gets to work with: its target, its attempt, and the way to clients and secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import JsonValue

from remediate.model.base import State
from remediate.model.target import Target

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Token:
    """Names one attempt everywhere: in process environments, file names, comments on devices."""

    run: str
    step: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.run}.{self.step}.{self.attempt}"


class Clients(Protocol):
    """Connections, made once and reused; ``fresh`` gives one that nobody used before."""

    def get(self, key: tuple[str, ...], open_: Callable[[], T], close: Callable[[T], None]) -> T:
        """The open client of this key, opened now if there is none."""

    def drop(self, key: tuple[str, ...]) -> None:
        """Close and forget a client that turned out broken."""

    def fence(self) -> float:
        """Asked right before each request that changes something.

        Returns:
            Until when nobody else may take the run over, in seconds since boot. Where a target can be told,
            it refuses the request afterwards: this process may sleep between asking and sending.

        Raises:
            StaleLease: this process slept for longer than its lease, and another one took its run over.
        """


class Secrets(Protocol):
    """Secret references to values; every value given out is scrubbed from all output afterwards."""

    def resolve(self, reference: str) -> str:
        """The value of ``env:NAME``, ``file:PATH`` or another registered scheme."""


@dataclass(frozen=True, slots=True)
class Context:
    """All that a step gets to work with, for one target and one attempt."""

    target: Target
    token: Token
    clients: Clients
    secrets: Secrets
    artefacts: Path
    """Verified copies of the plan's artefacts, under their project-relative names."""
    workspace: Path
    """A directory of this run and step, mode 0700, that outlives the process; backups are stored here."""
    timeout: float = 600.0
    before: State = field(default_factory=dict)
    """What `observe` gave just before this step's own effect (for apply, undo and probe)."""
    data: Mapping[str, JsonValue] = field(default_factory=dict)
    """What this step's apply recorded (for verify, undo, probe and release)."""
    peers: Mapping[str, Target] = field(default_factory=dict)
    """All targets of the plan and the runbook's peers, by name: hosts that a step may act through."""
    overwrite: bool = False
    """For undo: a human signed that what others changed since may be lost."""
    attempts: int = 1
    """How many attempts of this step were begun on this target; all may have left something running."""
    seen: dict[str, JsonValue] | None = None
    """What the steps of a target that are observed in one look have read so far, by key; else None."""
    cut: int = 0
    """To prove a rollback: the attempt dies after so many changes. 0: nobody breaks it on purpose."""
