"""What outlives a process: the clock, the disk, the targets, the ticket, and everybody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from remediate.engine.fold import replay
from remediate.engine.port import Job
from remediate.engine.state import Phase
from remediate.model.event import Body, Decided, Event, Final, Intent, Overwrite, Verb
from remediate.model.step import Verdict
from tests.engine.case import Case
from tests.engine.clock import Clock
from tests.engine.disk import Disk, dice
from tests.engine.journal import SimJournal
from tests.engine.targets import World
from tests.engine.ticket import Mail, SimTickets


class House:
    """One simulated installation with one plan."""

    def __init__(self, case: Case) -> None:
        self.case, self.clock, self.random = case, Clock(), dice(case.seed)
        self.disk = Disk(self.random)
        self.world = World(case.plan, self.clock)
        for step, target, fault in case.faults:
            self.world.faults.setdefault((step, target), []).append(fault)
        self._begin = self.clock.monotonic
        self.world.unreachable = self._unreachable
        self.tickets = SimTickets(self.clock, case.weather)
        self.alive: set[str] = set()
        self.happened: Counter[str] = Counter()
        self.problems: list[str] = []
        self.meddled = False
        self._durable: set[tuple[Verb, str, str, int]] = set()
        self._born = 0

    def _unreachable(self, name: str) -> bool:
        now = self.clock.monotonic - self._begin
        return any(n == name and a <= now < b for n, a, b in self.case.unreachable)

    def born(self) -> str:
        """The name of a new process."""
        self._born += 1
        name = f"host|boot|{self._born}|0"
        self.alive.add(name)
        return name

    def opened(self, written: Callable[[list[Event]], None] | None = None) -> SimJournal:
        """The journal, as a new process finds it."""
        return SimJournal(self.disk, lambda name: name not in self.alive, written or self.was_synced)

    def mail(self, journal: SimJournal) -> Mail:
        """What carries the log to the ticket, for a new process."""
        mail = Mail(self.tickets, self.clock, lambda after: journal.events("r-1", after))
        mail.pump.begin()
        return mail

    def was_synced(self, events: list[Event]) -> None:
        """These are on the disk for good."""
        for body in (e.body for e in events):
            if isinstance(body, Intent):
                self._durable.add((body.verb, body.step, body.target, body.attempt))

    def effect(self, verb: Verb, step: str, job: Job) -> None:
        """V5, as the target sees it: the intent is on the disk by now."""
        if (verb, step, job.target, job.attempt) not in self._durable:
            self.problems.append(f"{verb.value} of {step} on {job.target} without a durable intent (V5)")

    def meddle(self, target: str, key: str) -> None:
        """Somebody else changes a fact."""
        self.world.facts[target][key] = "theirs"
        self.meddled = True

    def decide(self) -> bool:
        """A person looks at what needs one, and says what is true; whether there was anything to say."""
        journal = self.opened()
        state = replay(self.case.plan, journal.events("r-1"))
        words: list[Body] = []
        for (index, target), cell in state.cells.items():
            step = self.case.plan.steps[index].id
            if state.targets[target].settled is not Final.HUMAN:
                continue
            if cell.phase is Phase.DOUBT:
                words.append(self._verdict(step, target, cell.attempt))
            elif cell.undo in (Phase.HELD, Phase.FAILED):
                words.append(Overwrite(step=step, target=target, by="dan", envelope="{}"))
        if words:
            journal.append("r-1", words, self.clock(), None)
        return bool(words)

    def _verdict(self, step: str, target: str, attempt: int) -> Decided:
        true = Verdict.APPLIED if (step, target) in self.world.applied else Verdict.NOT_APPLIED
        return Decided(step=step, target=target, attempt=attempt, verdict=true, by="dan", envelope="{}")
