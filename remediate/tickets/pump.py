"""What the outbox does, one move at a time, without a thread.

There is no cursor: the marker of the newest entry on the ticket says what is there, and it is read afresh
right before every post. So a process may die at any line here; the next one asks the ticket and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

from remediate.errors import Exit, RemediateError
from remediate.model.event import Event, Final, RunFinished, RunStarted, RunTaken
from remediate.tickets.doubt import NEVER, Doubt
from remediate.tickets.entries import Composer
from remediate.tickets.interface import (
    Change,
    EntryList,
    Post,
    TicketAltered,
    TicketDown,
    TicketRefused,
    TicketSystem,
    TicketUnreachable,
)
from remediate.tickets.status import StatusKeeper

_FINAL: dict[int, Final] = {Exit.VERIFIED_NEW: Final.NEW, Exit.ROLLED_BACK: Final.ORIGINAL}


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds.

    ``settle``: for how long the ticket must answer without showing an entry in doubt, before it is posted
    again; at least the ticket system's own timeout. ``linger``: to collect internal events for one entry.
    ``rarely``: between attempts after the system said no. ``slowest``: between attempts when it is down.
    """

    settle: float = 15.0
    linger: float = 5.0
    rarely: float = 300.0
    slowest: float = 60.0


class Pump:
    """Carries events from the journal to the ticket. For one thread at a time.

    Args:
        system: where the ticket is.
        ticket: its id.
        composer: what events look like.
        events: the run's events with a number above the given one, in order.
        change: shown in the ticket's own fields, where the system has such; None leaves them alone.
        problem: told in words what goes wrong; must not block.
        clock: seconds, monotonic.
        pace: how often.
    """

    def __init__(
        self,
        system: TicketSystem,
        ticket: str,
        composer: Composer,
        events: Callable[[int], Sequence[Event]],
        change: Change | None,
        problem: Callable[[str], None],
        clock: Callable[[], float],
        pace: Pace,
    ) -> None:
        self._system, self._ticket, self._composer, self._events = system, ticket, composer, events
        self._tell, self._clock, self._pace = problem, clock, pace
        self._status = StatusKeeper(system, ticket, composer.run, change, self._post_note, self._problem)
        self._notes = change is not None
        self._doubt = Doubt(pace.settle)
        self._begun = False
        #: Up to this event takeovers were looked for; whether this process's own is among them.
        self._looked, self._taken = 0, True
        self._pending: list[Event] = []
        self._known: int | None = None
        self._since: float | None = None
        self._failures = 0
        #: An entry that was taken but isn't shown: waited for, never posted again.
        self._held = 0
        #: Up to this event, files are not attached: the system refused an entry with them.
        self._bare = 0
        self._told = ""
        self._delivered = False
        #: How often the end was asked for, and which of these times everything stood on the ticket.
        self.closing = self.closed = 0

    @property
    def changed(self) -> bool:
        """Whether the ticket lacked an entry, or its end, that it has by now."""
        return self._delivered or self._status.moved

    def begin(self) -> None:
        """A process before this one may have died with a post on its way: there are events already."""
        if not self._begun:
            earlier = self._events(0)
            if earlier:
                # It may also have been a note on the status, of which the run's entries tell nothing.
                self._doubt.arise(NEVER if self._notes else earlier[-1].number)
                self._looked, self._taken = earlier[-1].number, False
            self._begun = True

    def step(self) -> float | None:
        """Ask the ticket, and post at most one entry.

        Returns:
            Seconds after which to call again; None: when there is news.
        """
        try:
            delay = self._move()
        except TicketAltered as error:
            self._problem(f"the ticket's log is not as it was written: {error.problem}")
            return 0.0
        except TicketRefused as error:
            self._problem(f"the ticket system refuses: {error.problem}")
            return self._pace.rarely
        except TicketDown as error:
            self._doubt.silence()
            self._problem(f"the ticket system is down, the log waits: {error.problem}")
        except Exception as error:  # whatever it is: the log goes on later, and the run goes on now
            self._problem(f"the ticket's log is held up: {type(error).__name__}: {error}")
        else:
            self._failures = 0
            return delay
        self._failures += 1
        return float(min(self._pace.slowest, 2 ** min(self._failures - 1, 10)))

    def _move(self) -> float | None:
        closing = self.closing
        self.begin()
        self._notice_takeovers()
        self._fetch()
        entry = self._composer.next(self._pending, self._bare)
        if self._known is not None and closing == self.closed:
            if entry is None:
                self._since = None
                return None
            if wait := self._lingering(entry):
                return wait
        if self._ask():
            return 0.0
        if self._held:
            return self._pace.rarely
        wait = self._doubt.wait(self._clock())
        if entry is None:
            return self._close(closing, wait)
        return wait or self._deliver(entry)

    def _notice_takeovers(self) -> None:
        """Whoever took the run over while this process slept may have a post on its way, too."""
        for event in self._events(self._looked):
            self._looked = event.number
            if isinstance(event.body, RunTaken):
                if self._taken:
                    self._doubt.arise(NEVER)
                self._taken = True

    def _fetch(self) -> None:
        if self._known is not None:
            after = self._pending[-1].number if self._pending else self._known
            self._pending.extend(self._events(after))

    def _lingering(self, entry: Post) -> float:
        """Seconds in which more internal events may still join this entry."""
        now = self._clock()
        if self._since is None:
            self._since = now
        full = entry.last < self._pending[-1].number
        return 0.0 if entry.public or full else max(0.0, self._since + self._pace.linger - now)

    def _ask(self) -> bool:
        """Read from the ticket how far it is; True if that was not what we knew."""
        last = self._system.last_posted(self._ticket, self._composer.run)
        self._doubt.answered(last, self._clock())
        if last >= self._held:
            self._held = 0
        if last == self._known:
            return False
        if last and not self._events(last - 1):
            raise RemediateError(
                f"the ticket tells of event #{last}, which the journal does not hold",
                "find out which journal belongs to this run",
            )
        if self._known is not None and last < self._known:
            # Restored from a backup, hidden from us, or an answer from a stale copy: wait and see which.
            self._problem(f"the ticket went back from event #{self._known} to #{last}")
            self._doubt.arise(self._known)
            self._pending = []
        self._advance(last)
        return True

    def _advance(self, last: int) -> None:
        self._known = last
        self._pending = [event for event in self._pending if event.number > last]

    def _deliver(self, entry: Post) -> float:
        if isinstance(self._pending[0].body, RunStarted):
            self._status.started(wait=0.0)
        try:
            self._post(entry)
        except TicketAltered:
            self._held = entry.last
            raise
        except TicketRefused as error:
            if not entry.attachments:
                raise
            self._problem(f"the ticket system refuses an entry with files: {error.problem}")
            self._bare = entry.last
            return 0.0
        self._advance(entry.last)
        self._delivered = True
        self._since = None
        self._told = ""
        return 0.0

    def _post(self, entry: Post) -> None:
        try:
            self._system.post(self._ticket, entry)
        except (TicketUnreachable, TicketRefused):
            raise
        except Exception:
            self._doubt.arise(entry.last if entry.run == self._composer.run else NEVER)
            raise

    def _post_note(self, note: Post) -> None:
        self._post(replace(note, text=self._composer.scrub(note.text)))

    def _close(self, closing: int, wait: float) -> float | None:
        if closing == self.closed:
            return None
        run = self._composer.run
        if self._pending:
            last = self._pending[-1].number
            return wait or self._deliver(
                Post(run, last, f"The log of run {run} is complete up to event #{last}.")
            )
        self._find_doubles()
        endings = [(e.number, e.body.exit_code) for e in self._events(0) if isinstance(e.body, RunFinished)]
        if endings:
            # After the last entry, for a reply would open a ticket that is resolved already.
            number, code = endings[-1]
            if wait := self._status.finished(number, _FINAL.get(code, Final.HUMAN), wait):
                return wait
        self.closed = closing
        return None

    def _find_doubles(self) -> None:
        if isinstance(self._system, EntryList):
            numbers = self._system.posted(self._ticket, self._composer.run)
            if again := [number for before, number in pairwise(numbers) if number <= before]:
                self._problem(f"entries that stand on the ticket twice, taken late: {again}")

    def _problem(self, text: str) -> None:
        if text == self._told:
            return
        self._told = text
        with suppress(Exception):  # a display that fails must not end the log
            self._tell(self._composer.scrub(text))
