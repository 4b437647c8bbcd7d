"""One thread that writes: callers wait for their records to be durable, and share each fsync."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from remediate.journal.interface import Journal, Lease
from remediate.model.event import Body, Event

#: Called when the records are durable and delivered, or with the reason why they never will be.
Then = Callable[[BaseException | None], None]
_BATCH = 512


class _Item(NamedTuple):
    bodies: Sequence[Body]
    then: Then


class Writer:
    """Group commit for one run. Every event of the run, also another process's, is delivered in order.

    Args:
        clock: epoch seconds.
        deliver: called on the writer's thread with each batch of events after it is durable.
        after: number of the last event that the caller already knows.
    """

    def __init__(
        self,
        journal: Journal,
        lease: Lease,
        clock: Callable[[], float],
        deliver: Callable[[list[Event]], None],
        after: int,
    ) -> None:
        self._journal, self._lease, self._clock, self._deliver = journal, lease, clock, deliver
        self._last = after
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._loop, name="journal-writer", daemon=True)
        self._thread.start()

    def record(self, *bodies: Body) -> None:
        """Return when these are durable and delivered.

        Raises:
            StaleLease: another runner took over.
            JournalUnwritable: they are not written, and nothing more will be.
        """
        written = threading.Lock()
        written.acquire()
        problem: list[BaseException | None] = []

        def then(error: BaseException | None) -> None:
            problem.append(error)
            written.release()

        self.post(bodies, then)
        written.acquire()
        if problem[0] is not None:
            raise problem[0]

    def post(self, bodies: Sequence[Body], then: Then) -> None:
        """Write these soon; ``then`` is called on the writer's thread. Without bodies: only look what
        other processes wrote meanwhile (requests, decisions)."""
        self._queue.put(_Item(bodies, then))

    def close(self) -> None:
        """Write what is queued, then stop."""
        self._queue.put(None)
        self._thread.join()

    def _loop(self) -> None:
        stop = False
        while not stop:
            items = [self._queue.get()]
            while len(items) < _BATCH and not self._queue.empty():
                items.append(self._queue.get())
            stop = None in items
            self._write([item for item in items if item is not None])

    def _write(self, batch: list[_Item]) -> None:
        try:
            if self._failed is not None:
                raise self._failed
            self._commit([body for item in batch for body in item.bodies])
        except BaseException as error:  # every caller has to hear of it: none of them may act
            self._failed = error
        for item in batch:
            item.then(self._failed)

    def _commit(self, bodies: list[Body]) -> None:
        run = self._lease.run
        own = self._journal.append(run, bodies, self._clock(), self._lease) if bodies else []
        if not own or own[0].number != self._last + 1:
            before = self._journal.events(run, self._last)
            own = [e for e in before if not own or e.number < own[0].number] + own
        if own:
            self._last = own[-1].number
            self._deliver(own)
