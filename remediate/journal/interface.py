"""What the engine needs of a journal: durable appends in order, one runner per run, one run per target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from remediate.model.event import Body, Event


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a run's events. A record with an older epoch is rejected."""

    run: str
    epoch: int
    holder: str


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds a target."""

    target: str
    run: str


class Journal(Protocol):
    """An append-only, hash-chained record. All times are epoch seconds of the caller's clock."""

    def append(self, run: str, bodies: Sequence[Body], at: float, lease: Lease | None) -> list[Event]:
        """Append, durable on return. Without a lease only requests, decisions and revocations.

        Raises:
            StaleLease: another runner took the run over; nothing was written.
            JournalUnwritable: nothing was written.
        """

    def events(self, run: str, after: int = 0) -> list[Event]:
        """Events of one run with a number above ``after``, in order."""

    def runs(self) -> list[str]:
        """Ids of all runs, oldest first."""

    def run_of_plan(self, digest: str) -> str | None:
        """The run that consumed this plan, if any."""

    def revocations(self, digest: str) -> list[Event]:
        """Denials and revocations recorded for this plan."""

    def acquire(self, run: str, targets: Iterable[str], holder: str, at: float, ttl: float) -> Lease:
        """Become the run's only runner and lock its targets, all or nothing.

        A target stays locked until its run has settled it, however long its runner is dead: what a dead
        run left behind is for that run to settle. What a run held that never began, or that has ended
        without needing a human, is free, also if its process died before it let go.

        Raises:
            Refused: a living runner has the run, or another run has one of the targets.
        """

    def holder(self, run: str, at: float) -> str | None:
        """The process that has the run's lease at this time, None if none has."""

    def renew(self, lease: Lease, at: float, ttl: float) -> None:
        """Go on holding the run.

        Raises:
            StaleLease: another runner took over.
        """

    def release(self, lease: Lease, keep: Iterable[str] = ()) -> None:
        """Let the run go, and its targets but for those to ``keep`` locked for a human."""

    def locks(self) -> list[Held]:
        """All locked targets."""
