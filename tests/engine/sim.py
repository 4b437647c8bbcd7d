"""A world without I/O that drives the shipped engine: targets, journal, clock and threads are simulated.

Everything runs on one thread in an order that depends on nothing but its inputs, so a failing case replays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from remediate.engine.fold import replay
from remediate.engine.port import Job
from remediate.engine.runner import Message, Runner
from remediate.engine.state import RunState
from remediate.errors import Exit, StaleLease
from remediate.model.base import State, canonical
from remediate.model.event import Body, Event, RunStarted, RunTaken
from remediate.model.plan import Plan
from tests.engine.clock import START, Clock, Crash
from tests.engine.plans import make_plan
from tests.engine.targets import World, compare

T = TypeVar("T")


class SimInbox:
    """An inbox whose waiting moves the clock, and a pool: work runs when nothing else is there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._messages: deque[Message] = deque()
        self._work: deque[Callable[[], object]] = deque()

    def put(self, item: Message) -> None:
        self._messages.append(item)

    def get(self, timeout: float) -> Message | None:
        if not self._messages and timeout > 0 and self._work:
            self._work.popleft()()
        if not self._messages and timeout > 0:
            self._clock.now += timeout
        return self._messages.popleft() if self._messages else None

    def start(self, work: Callable[[], object]) -> None:
        self._work.append(work)

    resume = start

    def each(self, work: Callable[[Job], T], jobs: Sequence[Job]) -> list[T]:
        return [work(j) for j in jobs]


@dataclass
class MemoryJournal:
    """Events of one run, and the point at which the process dies: after or before the N-th append."""

    clock: Clock
    events: list[Event] = field(default_factory=list)
    crash_at: int = 0
    lose: bool = False
    appends: int = 0
    deliver: Callable[[list[Event]], None] = lambda _: None

    def record(self, *bodies: Body) -> None:
        if not bodies:
            return
        self.appends += 1
        dies = self.appends == self.crash_at
        if dies and self.lose:
            raise Crash
        new = [
            Event(
                seq=len(self.events) + i,
                run="r-1",
                number=len(self.events) + i,
                at=self.clock(),
                body=body,
                prev="",
                hash="",
            )
            for i, body in enumerate(bodies, 1)
        ]
        self.events += new
        if dies:
            raise Crash
        self.deliver(new)

    def post(self, bodies: Sequence[Body], then: Callable[[BaseException | None], None]) -> None:
        self.record(*bodies)
        then(None)


@dataclass
class Sim:
    """One simulated installation: a world, a journal and as many processes as it takes."""

    plan: Plan
    clock: Clock = field(default_factory=Clock)
    world: World = field(init=False)
    journal: MemoryJournal = field(init=False)
    interrupted: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self.world = World(self.plan, self.clock)
        self.journal = MemoryJournal(self.clock)

    def process(self) -> Exit:
        """One process from start to end. Raises `Crash` when it dies on the way."""
        inbox = SimInbox(self.clock)
        state = replay(self.plan, self.journal.events)
        self.journal.deliver = inbox.put
        first: Body = (
            RunTaken(runner="bob", tool_version="0")
            if self.journal.events
            else RunStarted(
                plan=self.plan.digest, plan_id="p-1", ticket="T-1", runbook="sim", runner="bob",
                tool_version="0", targets=len(self.plan.targets), steps=len(self.plan.steps),
            )
        )  # fmt: skip
        self.journal.record(first)
        runner = Runner(
            self.plan, state, self.world, self.journal, inbox, inbox, self.clock, compare,
            interrupted=self.interrupted,
        )  # fmt: skip
        return runner.run()

    def until_done(self, limit: int = 6) -> Exit:
        """Processes until one of them ends by itself."""
        for _ in range(limit):
            try:
                return self.process()
            except Crash:
                self.clock.now += 1.0
        raise AssertionError("it never ended")

    @property
    def state(self) -> RunState:
        """What the journal adds up to."""
        return replay(self.plan, self.journal.events)


def digest(state: State) -> bytes:
    """A state's bytes, for comparing."""
    return canonical(state)


__all__ = ["START", "Clock", "Crash", "Sim", "StaleLease", "World", "compare", "digest", "make_plan"]
