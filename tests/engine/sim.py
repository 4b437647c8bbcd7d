"""A world without I/O that drives the shipped engine: targets, journal, clock and threads are simulated.

Everything runs on one thread in an order that depends on nothing but its inputs, so a failing case replays.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from remediate.engine.fold import replay
from remediate.engine.port import Job
from remediate.engine.runner import Message, Runner
from remediate.engine.state import RunState
from remediate.errors import Exit, InDoubt, StaleLease, StepFailed
from remediate.model.base import State, canonical
from remediate.model.change import Ticket, Window
from remediate.model.event import Body, Event, RunStarted, RunTaken
from remediate.model.plan import Artefact, Plan, PlannedStep, PlannedWave, RunbookRef
from remediate.model.runbook import Risk, Scope
from remediate.model.step import CheckResult, Estimate, Level, Probe, Result, Role, Status, StepClass, Verdict
from remediate.model.target import Target

T = TypeVar("T")
START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


class Crash(BaseException):
    """The process dies here: nothing after this line happens."""


@dataclass
class Clock:
    """Time that only moves when somebody waits."""

    now: float = START.timestamp()

    def __call__(self) -> float:
        return self.now


class SimInbox:
    """An inbox whose waiting moves the clock; work that was started runs when nothing else is there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._messages: deque[Message] = deque()
        self._work: deque[Callable[[], object]] = deque()
        self.timers: list[tuple[float, int, Callable[[], None]]] = []

    def put(self, item: Message) -> None:
        self._messages.append(item)

    def get(self, timeout: float) -> Message | None:
        if not self._messages and timeout > 0 and self._work:
            self._work.popleft()()
        if not self._messages and timeout > 0:
            self._clock.now += timeout
            while self.timers and self.timers[0][0] <= self._clock.now:
                heapq.heappop(self.timers)[2]()
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


Fault = str
"""``fail`` (ends without effect), ``fail-after`` (effect, then failure), ``doubt`` (no effect, no word),
``doubt-after`` (effect, no word), ``verify`` (checks fail), ``undo-fail`` (first undo fails), ``late``
(no word; the effect comes later), ``crash-before``, ``crash-after`` (the process dies around the effect)."""


@dataclass
class World:
    """Targets as dictionaries; steps set ``key -> value``; faults are given by (step, target)."""

    plan: Plan
    clock: Clock
    facts: dict[str, State] = field(default_factory=dict)
    backups: dict[tuple[str, str], State] = field(default_factory=dict)
    faults: dict[tuple[str, str], list[Fault]] = field(default_factory=dict)
    applied: list[tuple[str, str]] = field(default_factory=list)
    unreachable: Callable[[str], bool] = lambda _: False
    refuse: str = ""
    late: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in self.plan.by_name:
            self.facts[name] = dict(self.plan.original(name))

    def _step(self, step: str) -> PlannedStep:
        return self.plan.steps[self.plan.step_index[step]]

    def _reach(self, target: str) -> None:
        for due, effect in list(self.late):
            if due <= self.clock():
                effect()
                self.late.remove((due, effect))
        if self.unreachable(target):
            raise TimeoutError("no route")

    def authorise(self, now: float) -> str:
        return self.refuse

    def together(self, step: str) -> bool:
        return self._step(step).params.get("batch") is True

    def inspect(self, target: str) -> State:
        self._reach(target)
        return dict(self.facts[target])

    read_back = inspect

    def observe(self, step: str, target: str) -> State:
        self._reach(target)
        return {k: self.facts[target][k] for k in self._step(step).observed[target]}

    def apply(self, step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        return {j.target: self._one(step, j) for j in jobs}

    def _one(self, step: str, job: Job) -> Result:
        faults = self.faults.get((step, job.target), [])
        fault = faults.pop(0) if faults and faults[0] not in ("verify", "undo-fail", "undo-doubt") else ""
        planned = self._step(step)

        def effect() -> None:
            self.applied.append((step, job.target))
            if planned.role is Role.BACKUP:
                self.backups[step, job.target] = self.observe(step, job.target)
            else:
                self.facts[job.target].update(dict.fromkeys(planned.observed[job.target], f"{step}"))

        if fault == "crash-before":
            raise Crash
        if fault == "fail":
            return Result(status=Status.FAILED, summary="it failed")
        if fault == "doubt":
            return Result(status=Status.IN_DOUBT, summary="no word")
        if fault == "late":
            self.late.append((self.clock() + 0.2, effect))
            return Result(status=Status.IN_DOUBT, summary="no word")
        effect()
        match fault:
            case "crash-after":
                raise Crash
            case "fail-after":
                return Result(status=Status.FAILED, summary="it failed half-way")
            case "doubt-after":
                raise InDoubt("the reply was lost")
        return Result(summary="done")

    def verify(self, step: str, jobs: Sequence[Job]) -> Mapping[str, tuple[CheckResult, ...]]:
        found = {}
        for job in jobs:
            bad = "verify" in self.faults.get((step, job.target), [])
            found[job.target] = (CheckResult(title="health", ok=not bad, expected="200", actual="500"),)
        return found

    def quiesce(self, step: str, job: Job) -> bool:
        self._reach(job.target)
        return not self.late

    def probe(self, step: str, job: Job) -> Probe:
        self._reach(job.target)
        planned = self._step(step)
        if planned.step_class is StepClass.OPAQUE:
            return Probe(verdict=Verdict.UNKNOWN, evidence="nothing shows it")
        if planned.role is Role.BACKUP:
            known = (step, job.target) in self.backups
            return Probe(verdict=Verdict.APPLIED if known else Verdict.NOT_APPLIED)
        now = self.observe(step, job.target)
        if now == job.before:
            return Probe(verdict=Verdict.NOT_APPLIED)
        return Probe(verdict=Verdict.APPLIED)

    def undo(self, step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        return {j.target: self._back(step, j) for j in jobs}

    def _back(self, step: str, job: Job) -> Result:
        self._reach(job.target)
        faults = self.faults.get((step, job.target), [])
        if "undo-fail" in faults:
            faults.remove("undo-fail")
            raise StepFailed("undo failed")
        if "undo-doubt" in faults:
            faults.remove("undo-doubt")
            raise InDoubt("undo: no word")
        planned = self._step(step)
        if planned.role is Role.BACKUP:
            self.facts[job.target].update(self.backups[step, job.target])
        return Result(summary="restored")

    def accept(self, target: str) -> tuple[CheckResult, ...]:
        self._reach(target)
        bad = "final" in self.faults.get(("", target), [])
        return (CheckResult(title="acceptance", ok=not bad, expected="yes", actual="no"),)


def make_plan(
    targets: int = 2,
    changes: int = 2,
    *,
    wave: int = 0,
    budget: int = 0,
    scope: Scope = Scope.RUN,
    step_class: StepClass = StepClass.STATE_BASED,
    batch: bool = False,
    window: Window | None = None,
    soak: float = 0.0,
    patience: float = 60.0,
    irreversible: str | None = None,
    estimate: Estimate | None = None,
) -> Plan:
    """A plan of one backup, ``changes`` changes and a gate, in waves of ``wave`` targets (0: one wave)."""
    names = tuple(f"t{i}" for i in range(1, targets + 1))
    estimate = estimate or Estimate(apply=10, verify=5, undo=10)
    keys = [f"file:/{i}" for i in range(1, changes + 1)]
    all_keys: State = dict.fromkeys(keys, "old")
    steps = [
        PlannedStep(
            id="s1-backup",
            role=Role.BACKUP,
            kind="sim-backup",
            title="back up",
            params={},
            targets=names,
            step_class=StepClass.STATE_BASED,
            level=Level.COMPARED,
            estimate=estimate,
            protects=tuple(f"s{i + 1}-change" for i in range(1, changes + 1)),
            observed={n: dict(all_keys) for n in names},
        )
    ]
    steps += [
        PlannedStep(
            id=f"s{i + 1}-change",
            role=Role.CHANGE,
            kind="sim-change",
            title=f"change {i}",
            params={"batch": batch},
            targets=names,
            step_class=step_class,
            estimate=estimate,
            observed={n: {keys[i - 1]: "old"} for n in names},
            irreversible=irreversible if i == 1 else None,
            undoable=True,
        )
        for i in range(1, changes + 1)
    ]
    size = wave or targets
    return Plan(
        id="p-1", tool_version="0", created=START, expires=START + timedelta(days=1), author="alice",
        ticket=Ticket(id="T-1"), inputs={}, inventory="inv", inventory_digest="0" * 64,
        runbook=RunbookRef(name="sim", source=Artefact(path="runbooks/sim.py", sha256="0" * 64, size=1)),
        targets=tuple(Target(name=n, address=n) for n in names),
        waves=tuple(PlannedWave(targets=names[i : i + size], soak=soak) for i in range(0, targets, size)),
        failure_budget=budget, rollback=scope, steps=tuple(steps),
        risk=Risk(outage="none", data_loss="none"), window=window, doubt_patience=patience,
    )  # fmt: skip


def compare(expected: State, actual: State) -> str:
    """Keys that differ."""
    keys = sorted(k for k in {*expected, *actual} if expected.get(k) != actual.get(k))
    return ", ".join(f"{k}: {expected.get(k)} -> {actual.get(k)}" for k in keys)


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


__all__ = ["Clock", "Crash", "Sim", "StaleLease", "World", "compare", "digest", "make_plan"]
