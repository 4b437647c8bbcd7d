"""One process of a simulated life: what `remediate.service.running` does around the engine, in short."""

from __future__ import annotations

from collections.abc import Callable

from remediate.engine.fold import replay
from remediate.engine.port import Job
from remediate.engine.runner import Runner
from remediate.engine.state import RunState
from remediate.errors import Exit, JournalUnwritable, StaleLease
from remediate.journal.tenure import Tenure
from remediate.model.event import Body, Event, Final, Requested, RunStarted, RunTaken, Verb
from remediate.tickets.interface import TicketDown
from tests.engine.case import TTL, Troubles
from tests.engine.house import House
from tests.engine.schedule import Schedule, SimWriter
from tests.engine.targets import compare

_CLOSING = 120.0


class Process:
    """Takes the run up, and drives it until it ends, halts or dies.

    Args:
        sleep: puts this process to sleep, while another one lives.
    """

    def __init__(self, house: House, troubles: Troubles, sleep: Callable[[], None]) -> None:
        self._house, self._troubles, self._sleep = house, troubles, sleep
        self._clock, self._plan = house.clock, house.case.plan
        self._name = house.born()
        self._appends = self._effects = 0
        house.disk.operations, house.disk.troubles = 0, dict(troubles.disk)
        self._journal = house.opened(self._written)
        self._mail = house.mail(self._journal)

    def run(self) -> Exit:
        """Its life.

        Raises:
            Crash: it died.
            JournalUnwritable: it halted.
            StaleLease: another one took over.
            Refused: another one has the run.
        """
        events = self._journal.events("r-1")
        state = replay(self._plan, events)
        if state.finished is not None and state.finished.exit_code != Exit.NEEDS_HUMAN:
            return Exit(state.finished.exit_code)
        if not events and not self._may_start():
            return Exit.WAITING
        self._lease = self._journal.acquire("r-1", self._plan.by_name, self._name, self._clock(), TTL)
        self._tenure = Tenure(self._journal, self._lease, self._clock, TTL, lambda: self._clock.monotonic)
        code = self._drive(state, self._first(events))
        kept = [n for n, t in state.targets.items() if t.settled in (None, Final.HUMAN) and not t.accepted]
        self._journal.release(self._lease, kept)
        self._mail.close(_CLOSING)
        return code

    def end(self) -> None:
        """Dead, or gone in good order."""
        self._house.alive.discard(self._name)

    def _may_start(self) -> bool:
        try:
            self._house.tickets.read("7")
            self._house.tickets.last_posted("7", "r-1")
        except TicketDown:
            return False
        return True

    def _first(self, events: list[Event]) -> Body:
        if events:
            return RunTaken(runner="bob", tool_version="0")
        return RunStarted(
            plan=self._plan.digest, plan_id="p-1", ticket="7", runbook="sim", runner="bob", tool_version="0",
            targets=len(self._plan.targets), steps=len(self._plan.steps),
        )  # fmt: skip

    def _drive(self, state: RunState, *first: Body) -> Exit:
        house = self._house
        schedule = Schedule(self._clock, house.random, self._mail)
        writer = SimWriter(
            self._journal, self._lease, self._clock, schedule.put, state.number, schedule.others
        )
        schedule.writer = writer
        house.world.acting = self._acting
        try:
            writer.record(*first)
            return Runner(
                self._plan, state, house.world, writer, schedule, schedule, self._clock, compare,
                observe=lambda _: self._mail.wake(), interrupted=self._interrupted, heartbeat=self._heartbeat,
                progress_every=20.0,
            ).run()  # fmt: skip
        except (JournalUnwritable, StaleLease):
            schedule.end()
            raise

    def _acting(self, verb: Verb, step: str, job: Job) -> None:
        """On the way to an effect. What was asleep for long asks first whether the run is still its own."""
        self._effects += 1
        if self._effects == self._troubles.asleep:
            self._sleep()
            self._house.world.acting = self._acting
        self._tenure.renew(2)
        self._house.effect(verb, step, job)

    def _heartbeat(self) -> None:
        self._tenure.renew(4)

    def _interrupted(self) -> bool:
        return 0 < self._troubles.interrupted <= self._appends

    def _written(self, events: list[Event]) -> None:
        """After each append, whatever the case says."""
        self._house.was_synced(events)
        self._appends += 1
        troubles, count = self._troubles, self._appends
        for target, key in (t[1:] for t in troubles.foreign if t[0] == count):
            self._house.meddle(target, key)
        for what in (a[1] for a in troubles.asked if a[0] == count):
            self._house.opened().append("r-1", [Requested(what=what, by="ann")], self._clock(), None)
        for seconds in (j[1] for j in troubles.jumps if j[0] == count):
            self._clock.jump(seconds)
        if troubles.revoked == count:
            self._house.world.refuse = "an approver took the approval back"
