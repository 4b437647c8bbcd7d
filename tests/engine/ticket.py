"""A simulated ticket on the simulation's clock, and the shipped log that is carried to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from remediate.model.event import Event, Inspected
from remediate.tickets.entries import Composer
from remediate.tickets.interface import TicketRefused, TicketUnreachable
from remediate.tickets.pump import Pace, Pump
from tests.engine.clock import Clock
from tests.tickets.fake import Entry, FakeTickets, Fate

#: What may happen to a post. ``unreachable`` is also what too many requests (429) come to.
FATES: tuple[Fate, ...] = (
    "taken", "unreachable", "dropped", "lost", "late", "refused", "altered", "bug",
    "killed-before", "killed-after", "killed-late",
)  # fmt: skip
IDLE = 5.0


def line(event: Event) -> str | None:
    """A line that is found again on the ticket; not every event has one."""
    return None if isinstance(event.body, Inspected) else f"<{event.number}> {event.body.kind}"


_PACE = Pace()
_COMPOSER = Composer("r-1", line, lambda _: (), str)


@dataclass
class Weather:
    """What goes wrong with the ticket: the fates of posts in turn, and spans of seconds from the start."""

    fates: tuple[Fate, ...] = ()
    down: tuple[tuple[float, float], ...] = ()
    stale: tuple[tuple[float, float], ...] = ()
    """Spans in which it is read from a copy that lags behind."""


class SimTickets(FakeTickets):
    """The fake of the ticket tests, with outages by the clock and answers from a copy that is late.

    An entry is shown nine seconds after it was sent at the latest, which is less than the time to settle.
    """

    LAG = 4.0

    def __init__(self, clock: Clock, weather: Weather) -> None:
        super().__init__(fates=deque(weather.fates))
        self._time, self._weather, self._begin = clock, weather, clock.monotonic
        self._since: dict[int, float] = {}
        self.delay = 5.0

    def last_posted(self, ticket: str, run: str) -> int:
        """As of some seconds ago, if the answer is from a copy."""
        self._reach("ask", ticket)
        return max((e.last for e in self._visible() if e.run == run), default=0)

    def posted(self, ticket: str, run: str) -> tuple[int, ...]:
        """Likewise."""
        self._reach("list", ticket)
        return tuple(e.last for e in self._visible() if e.run == run)

    def _visible(self) -> list[Entry]:
        now = self.clock.now
        if not self._within(self._weather.stale):
            return self.shown
        return [e for i, e in enumerate(self.shown) if self._since[i] <= now - self.LAG]

    def _reach(self, call: str, ticket: str) -> None:
        self.clock.now = self._time.monotonic
        due = [(at, entry) for at, entry in self.late if at <= self.clock.now]
        self.late = [pair for pair in self.late if pair not in due]
        for at, entry in due:
            self._since[len(self.shown)] = at
            self.shown.append(entry)
        # What `post` shows, it shows as of now.
        self._since[len(self.shown)] = self.clock.now
        if self._within(self._weather.down):
            raise TicketUnreachable("connection refused")
        if ticket != "7":
            raise TicketRefused("there is no such ticket")

    def _within(self, spans: Sequence[tuple[float, float]]) -> bool:
        return any(a <= self.clock.now - self._begin < b for a, b in spans)


@dataclass
class Mail:
    """What one process carries to the ticket, whenever it is due."""

    tickets: SimTickets
    clock: Clock
    events: Callable[[int], Sequence[Event]]
    pump: Pump = field(init=False)
    due: float = 0.0
    _idle: bool = False

    def __post_init__(self) -> None:
        self.pump = Pump(
            self.tickets, "7", _COMPOSER, self.events, None, lambda _: None, self._seconds, _PACE
        )
        self.due = self.clock.monotonic

    def _seconds(self) -> float:
        return self.clock.monotonic

    def wake(self) -> None:
        """There are new events."""
        if self._idle:
            self.due = self.clock.monotonic

    def step(self) -> None:
        """One move, as the outbox's thread makes it."""
        delay = self.pump.step()
        self._idle = delay is None
        self.due = self.clock.monotonic + (IDLE if delay is None else delay)

    def close(self, seconds: float) -> bool:
        """Ask for the end; whether everything stood on the ticket before so many seconds."""
        self.pump.closing += 1
        end = self.clock.monotonic + seconds
        while self.clock.monotonic <= end:
            self.step()
            if self.pump.closed == self.pump.closing:
                return True
            self.clock.now += max(0.0, self.due - self.clock.monotonic)
        return False


def told(tickets: SimTickets) -> list[int]:
    """Numbers of the events whose lines stand on the ticket, in its order."""
    lines = (text for entry in tickets.shown for text in entry.text.split("\n"))
    return [int(text[1:].partition(">")[0]) for text in lines if text.startswith("<")]


def expected(events: Sequence[Event]) -> list[int]:
    """What a whole log tells."""
    return [event.number for event in events if line(event) is not None]
