"""Who goes on next, where the program has threads: chance, that falls the same way for the same seed."""

from __future__ import annotations

import queue
from collections.abc import Callable
from random import Random

from remediate.engine.runner import Done, Message
from remediate.journal.interface import Journal, Lease
from remediate.journal.writer import Writer
from remediate.model.event import Body, Event
from tests.engine.clock import Clock, Crash
from tests.engine.sim import SimInbox
from tests.engine.ticket import Mail

#: A process may make so many moves, else it counts as endless (L1).
_MOVES = 20_000


class Schedule(SimInbox):
    """An inbox and a pool on one thread: chance picks who of those that could go on does."""

    def __init__(self, clock: Clock, random: Random, mail: Mail) -> None:
        super().__init__(clock)
        self._random, self._mail = random, mail
        self._resumed: list[Callable[[], object]] = []
        self.writer: SimWriter | None = None
        self._moves = 0

    def put(self, item: Message) -> None:
        """See `Inbox.put`. A process that died on a worker is dead at once."""
        if isinstance(item, Done) and item.error is not None and not isinstance(item.error, Exception):
            raise item.error
        super().put(item)

    def resume(self, work: Callable[[], object]) -> None:
        """See `Pool.resume`."""
        self._resumed.append(work)

    def get(self, timeout: float) -> Message | None:
        """See `Inbox.get`."""
        if timeout > 0 and not self._messages:
            self._moves += 1
            if self._moves > _MOVES:
                raise AssertionError("it goes on for ever (L1)")
            self._move(timeout)
        return self._messages.popleft() if self._messages else None

    def _move(self, timeout: float) -> None:
        if not self.others():
            self._clock.now += max(0.001, min(timeout, self._mail.due - self._clock.monotonic))

    def others(self) -> bool:
        """Whoever else could go on: one of them does; False if nobody could."""
        ready = self._ready()
        if ready:
            ready[self._random.randrange(len(ready))]()
            self._clock.now += self._random.choice((0.0, 0.0, 0.01, 0.3))
        return bool(ready)

    def _ready(self) -> list[Callable[[], object]]:
        ready: list[Callable[[], object]] = []
        if self._work:
            ready.append(self._fresh)
        ready += [self._again] * len(self._resumed)
        if self.writer is not None and self.writer.waiting:
            ready.append(self._write)
        if self._mail.due <= self._clock.monotonic:
            ready.append(self._mail.step)
        return ready

    def _fresh(self) -> None:
        self._work.popleft()()

    def _again(self) -> None:
        self._resumed.pop(self._random.randrange(len(self._resumed)))()

    def _write(self) -> None:
        assert self.writer is not None
        self.writer.write(self._random.choice((1, 2, 512)))

    def end(self) -> None:
        """What has begun is waited for, as a pool does when it closes."""
        self._work.clear()
        while self._resumed or (self.writer is not None and self.writer.waiting):
            if self._resumed:
                self._again()
            if self.writer is not None and self.writer.waiting:
                self.writer.write(512)


class SimWriter(Writer):
    """The shipped group commit, but when it writes is not for its thread to say."""

    def __init__(
        self,
        journal: Journal,
        lease: Lease,
        clock: Callable[[], float],
        deliver: Callable[[list[Event]], None],
        after: int,
        others: Callable[[], bool],
    ) -> None:
        # All but the thread, which would cost more than all the rest.
        self._journal, self._lease, self._clock, self._deliver = journal, lease, clock, deliver
        self._last, self._queue, self._failed = after, queue.SimpleQueue(), None
        self._others = others

    @property
    def waiting(self) -> bool:
        """Whether there is anything to write."""
        return not self._queue.empty()

    def write(self, count: int) -> None:
        """One batch. A process that dies in it is dead: it does not come back to say so."""
        count = min(count, self._queue.qsize())
        self._write([item for _ in range(count) if (item := self._queue.get()) is not None])
        if isinstance(self._failed, Crash):
            raise self._failed

    def record(self, *bodies: Body) -> None:
        """See `Writer.record`."""
        problem: list[BaseException | None] = []
        self.post(bodies, problem.append)
        while not problem:
            # Who waits here holds up nobody else.
            self._others()
        if problem[0] is not None:
            raise problem[0]
