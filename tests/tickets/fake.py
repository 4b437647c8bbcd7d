"""A ticket system in memory, with everything that can go wrong between us and a real one."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from remediate.model.change import Ticket
from remediate.model.event import Final
from remediate.tickets import interface
from remediate.tickets.interface import (
    Change,
    Post,
    TicketAltered,
    TicketDown,
    TicketRefused,
    TicketUnreachable,
)
from remediate.tickets.markdown_log import harmless

Fate = Literal[
    "taken",
    "unreachable",
    "dropped",
    "lost",
    "late",
    "refused",
    "refused-files",
    "altered",
    "hidden",
    "bug",
    "killed-before",
    "killed-after",
    "killed-late",
]


class Killed(BaseException):
    """The process ends here: nothing in the program may catch it."""


@dataclass
class Clock:
    """Seconds that pass only when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Entry:
    """What stands on the ticket."""

    run: str
    last: int
    text: str
    public: bool
    files: tuple[tuple[str, bytes], ...]

    @property
    def attachments(self) -> tuple[bytes, ...]:
        return tuple(data for _, data in self.files)


@dataclass
class FakeTickets:
    """Passes the conformance suite; then goes wrong as told.

    ``fates`` are those of the next posts, ``down_until`` a time before which nothing is answered, and a late
    entry appears ``delay`` seconds after it was sent, or after the system answers again.
    """

    clock: Clock = field(default_factory=Clock)
    known: frozenset[str] = frozenset({"7"})
    fates: deque[Fate] = field(default_factory=deque)
    down_until: float = 0.0
    delay: float = 5.0
    status: str = "approved"
    refuse_status: bool = False
    status_fails: int = 0
    shown: list[Entry] = field(default_factory=list)
    late: list[tuple[float, Entry]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    name: str = "fake"

    def url(self, ticket: str) -> str:
        return f"fake://{ticket}"

    def read(self, ticket: str) -> Ticket:
        self._reach("read", ticket)
        return Ticket(id=ticket, subject="a subject", system=self.name)

    def last_posted(self, ticket: str, run: str) -> int:
        self._reach("ask", ticket)
        return max((entry.last for entry in self.shown if entry.run == run), default=0)

    def posted(self, ticket: str, run: str) -> tuple[int, ...]:
        self._reach("list", ticket)
        return tuple(entry.last for entry in self.shown if entry.run == run)

    def entries(self, ticket: str, files: str) -> tuple[interface.Entry, ...]:
        self._reach("entries", ticket)
        return tuple(
            interface.Entry(
                e.run, e.last, e.text, tuple(data for name, data in e.files if name.endswith(files))
            )
            for e in self.shown
        )

    def post(self, ticket: str, post: Post) -> None:
        self._reach("post", ticket)
        fate = self.fates.popleft() if self.fates else "taken"
        try:
            files = tuple((path.name, path.read_bytes()) for path in post.attachments)
        except OSError as error:
            raise TicketRefused(str(error)) from error
        entry = Entry(post.run, post.last, harmless(post.text), post.public, files)
        match fate:
            case "taken":
                self.shown.append(entry)
            case "refused-files":
                if files:
                    raise TicketRefused("413")
                self.shown.append(entry)
            case "unreachable":
                raise TicketUnreachable("connection refused")
            case "refused":
                raise TicketRefused("no")
            case "altered" | "lost" | "killed-after":
                self.shown.append(entry)
                raise {"altered": TicketAltered, "lost": TicketDown}.get(fate, Killed)("taken")
            case "late" | "killed-late":
                self.late.append((max(self.clock.now, self.down_until) + self.delay, entry))
                raise {"late": TicketDown}.get(fate, Killed)("timeout")
            case "dropped" | "hidden" | "killed-before" | "bug":
                raise {"dropped": TicketDown, "hidden": TicketAltered, "bug": ZeroDivisionError}.get(
                    fate, Killed
                )("lost")

    def started(self, ticket: str, change: Change) -> None:
        self._reach("started", ticket)
        self._move("in progress")

    def finished(self, ticket: str, final: Final) -> bool:
        self._reach("finished", ticket)
        before = self.status
        self._move(final.value)
        return self.status != before

    def _move(self, status: str) -> None:
        if self.status_fails:
            self.status_fails -= 1
            raise TicketDown("500")
        if self.refuse_status:
            raise TicketRefused("You can't change status")
        self.status = status

    def _reach(self, call: str, ticket: str) -> None:
        self.calls.append(call)
        if self.clock.now < self.down_until:
            raise TicketUnreachable("connection refused")
        if ticket not in self.known:
            raise TicketRefused(f"there is no ticket {ticket[:80]}")
        due = [pair for pair in self.late if pair[0] <= self.clock.now]
        self.shown += [entry for _, entry in due]
        self.late = [pair for pair in self.late if pair not in due]
