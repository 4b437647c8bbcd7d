"""What the outbox needs of a ticket system. Each system is one file in this package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from remediate.errors import Exit, RemediateError
from remediate.model.change import Ticket
from remediate.model.event import Final


class TicketDown(RemediateError):
    """The ticket system can't be reached, or nobody knows whether it took the last post."""

    exit_code = Exit.WAITING


class TicketUnreachable(TicketDown):
    """Nothing was sent, or it was turned away as too much: this call has certainly changed nothing."""


class TicketRefused(RemediateError):
    """The ticket system answered, and said no (no such ticket, no right, a field it dropped)."""

    exit_code = Exit.USAGE


class TicketAltered(TicketRefused):
    """It took the entry, but the entry does not stand there as it was written: not to be posted again."""


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


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of ours, as the ticket shows it now."""

    run: str
    last: int
    text: str
    files: tuple[bytes, ...] = ()
    """Contents of those of its attachments that were asked for."""


MARKER = re.compile(r"\[remediate (\S+) #(\d{1,18})\]\s*$", re.MULTILINE)


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

    def entries(self, ticket: str, files: str) -> tuple[Entry, ...]:
        """All our entries of whichever run, in the ticket's order, for an audit.

        Args:
            files: the attachments whose names end with this are read, too.
        """

    def post(self, ticket: str, post: Post) -> None:
        """Append one entry with its marker and attachments, whole or not at all; read back and compare.

        Raises:
            TicketDown: it may or may not have been taken; ask `last_posted` before posting again.
            TicketRefused: it was not taken.
        """

    def url(self, ticket: str) -> str:
        """Where a person looks at the ticket."""


@runtime_checkable
class EntryList(Protocol):
    """A ticket system that can list its entries, so that one that stands twice is found."""

    def posted(self, ticket: str, run: str) -> tuple[int, ...]:
        """The numbers in the markers of this run, in the order in which the ticket shows them."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a change record shows of the plan in its own fields. Empty: the field is left as it is."""

    digest: str
    """SHA-256 of the plan, hex."""
    risk: str = ""
    window: str = ""


@runtime_checkable
class ChangeWorkflow(Protocol):
    """A ticket system that has a state for a change in progress. Both calls may be repeated."""

    def started(self, ticket: str, change: Change) -> None:
        """Fill the fields and move the ticket to *in progress*, read back and compared.

        Raises:
            TicketRefused: the ticket system keeps it as it was, or part of it.
            TicketDown: nobody knows.
        """

    def finished(self, ticket: str, final: Final) -> bool:
        """Move the ticket to the state of this ending; one that needs a human is *in progress*.

        The ticket may have the state of an earlier ending: a run that had ended can be rolled back.

        Returns:
            Whether it was moved; False: it was so already.

        Raises:
            TicketRefused: the ticket system keeps it as it was.
            TicketDown: nobody knows.
        """
