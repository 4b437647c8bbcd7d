"""Every fault on every step of every target of a small plan, and a death at every point of each of those."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

from remediate.checker import Violation, check
from remediate.engine.fold import fold
from remediate.engine.state import Cell, RunState, TargetState
from remediate.errors import Exit
from remediate.model.event import Body, Event
from remediate.model.plan import Plan
from remediate.model.runbook import Scope
from remediate.model.step import StepClass
from tests.engine.clock import Crash
from tests.engine.plans import make_plan
from tests.engine.sim import Sim
from tests.engine.targets import FAULTS, Fault

#: A run may take so many processes; what dies more often than its crashes allow never ends.
_PROCESSES = 8


@dataclass(frozen=True)
class Ending:
    """How a trial ended."""

    code: Exit | None
    events: list[Event]
    violations: tuple[Violation, ...]

    def problems(self) -> list[str]:
        """What must not be; empty if all is well."""
        never = ["it never ended (L1)"] if self.code is None else []
        return [*never, *map(str, self.violations)]


@dataclass(frozen=True)
class Trial:
    """A plan, what goes wrong on which step and target, and where processes die."""

    plan: Plan
    faults: tuple[tuple[str, str, Fault], ...] = ()
    deaths: tuple[tuple[int, bool], ...] = ()
    """For each process in turn: the append at which it dies, and whether that append is lost."""

    def sim(self) -> Sim:
        """The world in which it happens."""
        sim = Sim(self.plan)
        for step, target, fault in self.faults:
            sim.world.faults.setdefault((step, target), []).append(fault)
        return sim

    def run(self) -> Ending:
        """Until a process ends by itself; then the record and the targets are judged."""
        sim, code = self.sim(), None
        for death, lost in [*self.deaths, *[(0, False)] * _PROCESSES]:
            sim.journal.appends, sim.journal.crash_at, sim.journal.lose = 0, death, lost
            try:
                code = sim.process()
                break
            except Crash:
                sim.clock.now += 1.0
        return Ending(code, sim.journal.events, check(self.plan, sim.journal.events, sim.world.facts))


def one_death(step_class: StepClass) -> Iterator[Trial]:
    """3 steps on 2 targets, in one wave and in two: each fault alone, and with a death at each point."""
    for wave, scope in ((0, Scope.RUN), (1, Scope.TARGET)):
        plan = make_plan(2, 2, wave=wave, scope=scope, step_class=step_class, patience=5)
        cells = [(s.id, t) for s in plan.steps for t in s.targets]
        for faults in [(), *(((*cell, fault),) for cell, fault in product(cells, FAULTS))]:
            yield Trial(plan, faults)
            for death in _moments(Trial(plan, faults)):
                yield Trial(plan, faults, (death,))


def two_deaths(step_class: StepClass) -> Iterator[Trial]:
    """A death at each point of each recovery too, for the faults that leave the most to recover."""
    plan = make_plan(2, 2, step_class=step_class, patience=5)
    for fault in ("doubt-after", "fail-after", "crash-after"):
        faults = (("s2-change", "t2", fault),)
        for (first, lost), second in product(_moments(Trial(plan, faults)), range(1, 12)):
            if not lost:
                yield Trial(plan, faults, ((first, False), (second, True)))


def _moments(trial: Trial) -> Iterator[tuple[int, bool]]:
    """Where a process may die: after each append, and before it if anything happened since the last one."""
    sim = trial.sim()
    record = sim.journal.record
    at: list[tuple[int, Hashable, Hashable]] = []

    def recording(*bodies: Body) -> None:
        before = _outside(sim)
        record(*bodies)
        if bodies:
            at.append((sim.journal.appends, before, _outside(sim)))

    sim.journal.record = recording  # type: ignore[method-assign]
    # A fault that kills the process ends the part that is looked at: what follows is another process.
    with suppress(Crash):
        sim.process()
    last: Hashable = None
    for append, before, after in at:
        if before != last:
            yield append, True
        yield append, False
        last = after


def _outside(sim: Sim) -> Hashable:
    facts = tuple((name, *state.items()) for name, state in sim.world.facts.items())
    return sim.clock(), len(sim.world.applied), len(sim.world.late), len(sim.world.backups), repr(facts)


def states(plan: Plan, events: Iterable[Event], after: int = 0) -> Iterator[Hashable]:
    """What the engine knows after each event with a number above ``after``; times and tries left out."""
    state = RunState.new(plan)
    for event in events:
        fold(state, event)
        if event.number > after:
            yield _known(state)


def _known(state: RunState) -> Hashable:
    cells = tuple((*key, *_cell(cell)) for key, cell in sorted(state.cells.items()) if cell.attempt)
    targets = tuple(_target(target) for target in state.targets.values())
    end = state.finished.exit_code if state.finished else None
    return cells, targets, state.wave, bool(state.stopping), end, tuple(state.failed)


def _cell(cell: Cell) -> tuple[Hashable, ...]:
    return cell.phase.name, cell.undo.name, cell.verified, min(cell.attempt, 2)


def _target(target: TargetState) -> tuple[Hashable, ...]:
    known = tuple(map(repr, target.known.items()))
    return target.settled, target.rolling, target.inspected, target.touched, known
