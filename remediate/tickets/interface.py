"""What the outbox needs of a ticket system. Each system is one file in this package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from remediate.errors import RemediateError
from remediate.model.change import Ticket


class TicketDown(RemediateError):
    """The ticket system can't be reached, or nobody knows whether it took the last post."""


class TicketRefused(RemediateError):
    """The ticket system answered, and said no (no such ticket, no right, a field it dropped)."""


@dataclass(frozen=True, slots=True)
class Post:
    """One entry on the ticket. ``last`` is the number of the newest event that it tells of.

    The marker of ``run`` and ``last`` stands in the entry itself, so that the ticket alone says how far
    it is: the outbox posts only what is newer, in order, one entry at a time.
    """

    run: str
    last: int
    text: str
    public: bool = False
    attachments: tuple[Path, ...] = ()

    @property
    def marker(self) -> str:
        """``[remediate r-1a2b #17]``, the last line of every entry."""
        return f"[remediate {self.run} #{self.last}]"


MARKER = re.compile(r"\[remediate (\S+) #(\d+)\]\s*$", re.MULTILINE)


class TicketSystem(Protocol):
    """A ticket system, as the outbox and the planner use it. Calls are bounded in time (about 10 s)."""

    name: str

    def read(self, ticket: str) -> Ticket:
        """The ticket's subject, requester and priority.

        Raises:
            TicketDown: can't be reached.
            TicketRefused: there is no such ticket, or it may not be read.
        """

    def last_posted(self, ticket: str, run: str) -> int:
        """Number of the newest event of this run that stands on the ticket, 0 if none. Reads afresh."""

    def post(self, ticket: str, post: Post) -> None:
        """Append one entry with its marker and attachments, whole or not at all; read back and compare.

        Raises:
            TicketDown: it may or may not have been taken; ask `last_posted` before posting again.
            TicketRefused: it was not taken.
        """

    def url(self, ticket: str) -> str:
        """Where a person looks at the ticket."""
