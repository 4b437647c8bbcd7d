"""One thread that writes: callers wait for their records to be durable, and share each fsync."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from remediate.journal.interface import Journal, Lease
from remediate.model.event import Body, Event

_STOP = None
_BATCH = 512


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
        self._queue: queue.SimpleQueue[tuple[Sequence[Body], Future[None]] | None] = queue.SimpleQueue()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._loop, name="journal-writer", daemon=True)
        self._thread.start()

    def record(self, *bodies: Body) -> None:
        """Return when these are durable and delivered.

        Raises:
            StaleLease: another runner took over.
            JournalUnwritable: they are not written, and nothing more will be.
        """
        done: Future[None] = Future()
        self._queue.put((bodies, done))
        done.result()

    def poll(self) -> None:
        """Deliver what other processes wrote meanwhile (requests, decisions)."""
        self.record()

    def close(self) -> None:
        """Write what is queued, then stop."""
        self._queue.put(_STOP)
        self._thread.join()

    def _loop(self) -> None:
        while (item := self._queue.get()) is not _STOP:
            batch = [item]
            stop = False
            while len(batch) < _BATCH and not self._queue.empty():
                more = self._queue.get()
                if more is _STOP:
                    stop = True
                    break
                batch.append(more)
            self._write(batch)
            if stop:
                return

    def _write(self, batch: list[tuple[Sequence[Body], Future[None]]]) -> None:
        try:
            if self._failed is not None:
                raise self._failed
            self._commit([body for bodies, _ in batch for body in bodies])
        except BaseException as error:  # every caller has to hear of it: none of them may act
            self._failed = error
            for _, done in batch:
                done.set_exception(error)
        else:
            for _, done in batch:
                done.set_result(None)

    def _commit(self, bodies: list[Body]) -> None:
        run = self._lease.run
        own = self._journal.append(run, bodies, self._clock(), self._lease) if bodies else []
        if not own or own[0].number != self._last + 1:
            before = self._journal.events(run, self._last)
            own = [e for e in before if not own or e.number < own[0].number] + own
        if own:
            self._last = own[-1].number
            self._deliver(own)
