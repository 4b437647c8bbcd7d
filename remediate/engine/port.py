"""What the engine needs of the world: steps on targets. The service provides it over the adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from remediate.model.base import State
from remediate.model.step import CheckResult, Probe, Result


@dataclass(frozen=True, slots=True)
class Job:
    """One target of an action, with what the journal knows of it. A copy: safe on any thread."""

    target: str
    attempt: int
    attempts: int = 1
    """Attempts of apply that were begun; each may have left something at work."""
    undo_attempts: int = 0
    """Likewise of undo."""
    overwrite: bool = False
    """Its undo may overwrite what others changed: a human signed for it."""
    before: State = field(default_factory=dict)
    data: State = field(default_factory=dict)
    known: State = field(default_factory=dict)
    original: State = field(default_factory=dict)


class Port(Protocol):
    """Steps by their id, targets by their name. Any exception of a read means: it could not be read."""

    def authorise(self, now: float) -> str:
        """Why nothing may be dispatched any more (expired, revoked, other bytes); empty if it may."""

    def together(self, step: str) -> bool:
        """Whether this step takes many targets in one call."""

    def inspect(self, target: str) -> State:
        """All facts of a target, over the connection in use."""

    def observe(self, step: str, target: str) -> State:
        """Facts that this step, or the backups that protect it, may change."""

    def apply(self, step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        """Perform. A target missing from the answer is in doubt."""

    def verify(self, step: str, jobs: Sequence[Job]) -> Mapping[str, tuple[CheckResult, ...]]:
        """The step's read-back and its checks."""

    def quiesce(self, step: str, job: Job) -> bool:
        """Whether every earlier attempt is dead."""

    def probe(self, step: str, job: Job) -> Probe:
        """What became of the attempt."""

    def undo(self, step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        """Take the step back."""

    def read_back(self, target: str) -> State:
        """All facts of a target, over a fresh session."""

    def accept(self, target: str) -> tuple[CheckResult, ...]:
        """Lasting checks and acceptance checks, over a fresh session."""
