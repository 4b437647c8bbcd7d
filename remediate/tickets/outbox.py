"""Carries a run's events from the journal to its ticket, whatever happens to the ticket system meanwhile.

What the ticket shows is the only cursor (see `pump`): entries appear in order, none is lost, and a process
may die at any instant.

What remains: a post whose reply was lost may be taken later than anybody can know, for example by a server
that was frozen. After such a doubt, and when events were journaled before this process began, the ticket
must have answered for `Pace.settle` seconds on end without showing the entry; only then is it posted
again. A server that takes the first one even later shows that entry twice. No ticket system's API prevents
that; it is found at the end where entries can be listed (`EntryList`), and told as a problem.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from remediate.errors import Refused, Waiting
from remediate.model.event import Event
from remediate.tickets.entries import Composer
from remediate.tickets.interface import Change, TicketDown, TicketRefused, TicketSystem
from remediate.tickets.pump import Pace, Pump

#: Looked at the journal again after this many seconds, also when nobody called `Outbox.wake`.
IDLE = 5.0


class Outbox:
    """The log of one run on one ticket, kept by a thread of its own that never holds the run up.

    Args:
        system: where the ticket is.
        ticket: its id.
        run: id of the run.
        events: the run's events with a number above the given one, from the journal, in order.
        render: a readable line for an event, None for one that is not for the ticket.
        attachments: files that belong to an event.
        scrub: takes secrets out of text; a file in which it finds one is not attached.
        change: shown in the ticket's own fields, where the system has such; None leaves them alone.
        problem: told in words what goes wrong, from the outbox's thread; must not block.
        clock: seconds, monotonic.
        pace: how often.
    """

    def __init__(
        self,
        system: TicketSystem,
        ticket: str,
        run: str,
        events: Callable[[int], Sequence[Event]],
        render: Callable[[Event], str | None],
        attachments: Callable[[Event], tuple[Path, ...]] = lambda _event: (),
        scrub: Callable[[str], str] = str,
        *,
        change: Change | None = None,
        problem: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
        pace: Pace = Pace(),  # noqa: B008 -- frozen
    ) -> None:
        self._system, self._ticket, self._run = system, ticket, run
        composer = Composer(run, render, attachments, scrub)
        self._pump = Pump(system, ticket, composer, events, change, problem, clock, pace)
        self._bell = threading.Condition()
        self._news = self._urgent = self._stopping = False
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Before a run starts: the ticket must be there and show what stands on it.

        Raises:
            Waiting: the ticket system does not answer.
            Refused: there is no such ticket, or the account has no right to it.
        """
        try:
            self._system.read(self._ticket)
            self._system.last_posted(self._ticket, self._run)
        except TicketDown as error:
            raise Waiting(
                f"the ticket system is down: {error.problem}",
                "nothing was begun; start again when it answers",
            ) from error
        except TicketRefused as error:
            raise Refused(f"ticket {self._ticket}: {error.problem}", error.advice) from error

    def start(self) -> None:
        """Begin to post. To be called before the run's first event, else the first entry has to settle."""
        self._pump.begin()
        with self._bell:
            self._stopping = False
            if self._thread is None:
                name = f"outbox {self._run}"
                self._thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """There are new events in the journal. Never blocks."""
        with self._bell:
            self._news = True
            self._bell.notify_all()

    def flush(self, timeout: float) -> bool:
        """Post what is left, at once; True if everything up to the last event stands on the ticket.

        After about ``timeout`` seconds it gives up waiting: the thread goes on trying, and this may be
        called again.
        """
        with self._bell:
            self._pump.closing += 1
            wanted = self._pump.closing
            self._urgent = True
        self.start()
        with self._bell:
            self._bell.notify_all()
            return self._bell.wait_for(lambda: self._pump.closed >= wanted, timeout)

    @property
    def changed(self) -> bool:
        """Whether this process has put anything on the ticket, or moved its status at the run's end."""
        return self._pump.changed

    def stop(self, timeout: float = 1.0) -> None:
        """End the thread; a call that goes on is waited for, at most ``timeout`` seconds."""
        with self._bell:
            self._stopping = True
            self._bell.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _work(self) -> None:
        while True:
            delay = self._pump.step()
            with self._bell:
                self._bell.notify_all()
                self._bell.wait_for(partial(self._due, delay), IDLE if delay is None else delay)
                if self._stopping:
                    self._thread = None
                    return
                self._news = self._urgent = False

    def _due(self, delay: float | None) -> bool:
        # News doesn't cut a wait short: there would be an attempt for every event while the system is down.
        return self._stopping or self._urgent or (delay is None and self._news)
