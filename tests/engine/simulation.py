"""Whole lives of a run: the shipped engine, group commit, log and checker, over a simulated clock, disk,
targets and ticket that go wrong as the case says. One thread, so that a case replays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from remediate.checker import check
from remediate.engine.fold import replay
from remediate.errors import Exit, JournalUnwritable, Refused, StaleLease
from remediate.model.event import Event
from tests.engine.case import TTL, Case, Troubles
from tests.engine.clock import Crash
from tests.engine.house import House
from tests.engine.process import Process
from tests.engine.ticket import expected, told
from tests.tickets.fake import Killed

#: A run may take so many processes, else it counts as endless (L1).
_PROCESSES = 25
_CLOSING = 120.0


@dataclass(frozen=True)
class Ending:
    """How it ended; without problems, if every promise was kept."""

    code: Exit | None
    events: list[Event]
    problems: tuple[str, ...]
    happened: Counter[str]


class Simulation:
    """One case, from the first process to the last word on the ticket."""

    def __init__(self, case: Case, house: House | None = None) -> None:
        self._case, self._house = case, house or House(case)
        self.lives = list(case.lives)
        self._decisions = 3 if case.decided else 0

    def run(self) -> Ending:
        """Processes until one of them ends the run; then the ticket's; then everything is judged."""
        code: Exit | None = None
        for _ in range(_PROCESSES):
            code = self.one_life()
            if self._over(code):
                break
            waits = (600.0,) if code is Exit.WAITING else (0.1, 1.0, TTL)
            self._house.clock.now += self._house.random.choice(waits)
        else:
            self._house.problems.append("it never ended (L1)")
        self._complete_the_ticket()
        return self._judged(code)

    def _over(self, code: Exit | None) -> bool:
        events = self._house.opened().events("r-1")
        if not events and self._house.world.refuse:
            return True
        state = replay(self._case.plan, events)
        if code is None or state.finished is None:
            return False
        if code is Exit.NEEDS_HUMAN and self._decisions:
            self._decisions -= 1
            return not self._house.decide()
        return True

    def one_life(self) -> Exit | None:
        house = self._house
        process = Process(house, self.lives.pop(0) if self.lives else Troubles(), self._sleep)
        try:
            return process.run()
        except (Crash, Killed):
            house.happened["deaths"] += 1
        except JournalUnwritable:
            house.happened["halts"] += 1
        except StaleLease:
            house.happened["replaced"] += 1
        except Refused:
            house.happened["refused"] += 1
        finally:
            process.end()
            house.disk.troubles = {}
        return None

    def _sleep(self) -> None:
        """One process sleeps for longer than its lease, and another one lives meanwhile."""
        house = self._house
        house.happened["slept"] += 1
        house.clock.now += TTL + 1
        power = house.disk.versions
        self.one_life()
        if house.disk.versions != power:
            raise Crash  # the power failed for the sleeper, too

    def _complete_the_ticket(self) -> None:
        """As `remediate run` does with a run that is finished, as often as it takes."""
        house = self._house
        for _ in range(_PROCESSES):
            try:
                if house.mail(house.opened()).close(_CLOSING):
                    return
            except Killed:
                house.happened["deaths"] += 1
            house.clock.now += 300.0
        house.problems.append("the ticket was never completed (V13)")

    def _judged(self, code: Exit | None) -> Ending:
        house = self._house
        journal = house.opened()
        events = journal.events("r-1")
        house.clock.now += 1e6
        house.tickets.last_posted("7", "r-1")
        facts = {} if house.meddled else house.world.facts
        problems = [*house.problems, *journal.audit(), *map(str, check(self._case.plan, events, facts))]
        if told(house.tickets) != expected(events):
            problems.append(f"the ticket tells {told(house.tickets)} of {expected(events)} (V13)")
        return Ending(code, events, tuple(problems), house.happened)
