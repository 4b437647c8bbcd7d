"""Cases for the shipped engine over a simulated world: every case is a value, so a failing one replays.

``python -m tests.engine.cases FIRST COUNT`` runs that many seeds and prints what was reached.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from remediate.checker import Violation, check
from remediate.engine.fold import replay
from remediate.errors import Exit
from remediate.model.base import canonical
from remediate.model.event import Event
from remediate.model.plan import Plan
from remediate.model.runbook import Scope
from remediate.model.step import StepClass
from tests.engine.sim import Crash, Sim, make_plan

FAULTS = (
    "fail", "fail-after", "doubt", "doubt-after", "late", "verify", "crash-before", "crash-after",
    "undo-fail", "undo-doubt",
)  # fmt: skip
#: A run may take so many processes; what dies more often than its crashes allow never ends.
_PROCESSES = 8


@dataclass(frozen=True)
class Case:
    """A plan, what goes wrong on which step and target, and where processes die."""

    plan: Plan
    faults: tuple[tuple[str, str, str], ...] = ()
    crashes: tuple[tuple[int, bool], ...] = ()
    """For each process in turn: the append at which it dies (0: never), and whether that append is lost."""
    unreachable: tuple[tuple[str, float, float], ...] = ()
    """Targets that answer nothing between these seconds."""
    foreign: tuple[tuple[str, str, int], ...] = ()
    """Targets on which somebody else changes a fact, after so many appends."""

    def run(self) -> Ending:
        """Until a process ends by itself; then the record and the targets are judged."""
        sim = Sim(self.plan)
        for step, target, fault in self.faults:
            sim.world.faults.setdefault((step, target), []).append(fault)
        start = sim.clock()
        sim.world.unreachable = lambda name: any(
            n == name and a <= sim.clock() - start < b for n, a, b in self.unreachable
        )
        meddled = _Meddler(sim, list(self.foreign))
        code = None
        for crash, lose in [*self.crashes, *[(0, False)] * _PROCESSES]:
            sim.journal.appends, sim.journal.crash_at, sim.journal.lose = 0, crash, lose
            try:
                code = meddled.process()
                break
            except Crash:
                sim.clock.now += 1.0
        facts = {} if meddled.done else sim.world.facts
        return Ending(code, sim.journal.events, check(self.plan, sim.journal.events, facts))


@dataclass
class _Meddler:
    """Somebody else, who changes facts of targets at given moments."""

    sim: Sim
    plans: list[tuple[str, str, int]]
    done: list[tuple[str, str]] = field(default_factory=list)
    _seen: int = 0

    def process(self) -> Exit:
        """One process, with the foreign changes between its records."""
        record = self.sim.journal.record

        def recording(*bodies: object) -> None:
            record(*bodies)  # type: ignore[arg-type]
            self._seen += 1
            for target, key, after in list(self.plans):
                if self._seen >= after:
                    self.plans.remove((target, key, after))
                    self.sim.world.facts[target][key] = "theirs"
                    self.done.append((target, key))

        self.sim.journal.record = recording  # type: ignore[method-assign]
        try:
            return self.sim.process()
        finally:
            self.sim.journal.record = record  # type: ignore[method-assign]


@dataclass(frozen=True)
class Ending:
    """How a case ended."""

    code: Exit | None
    events: list[Event]
    violations: tuple[Violation, ...]

    def problems(self) -> list[str]:
        """What must not be; empty if all is well."""
        never = ["it never ended (L1)"] if self.code is None else []
        return [*never, *map(str, self.violations)]


def states(plan: Plan, events: list[Event]) -> Iterator[bytes]:
    """A digest of what the engine knows after each event, times left out."""
    for length in range(1, len(events) + 1):
        state = replay(plan, events[:length])
        cells = {f"{i}{n}": [c.phase.name, c.undo.name, str(c.verified)] for (i, n), c in state.cells.items()}
        targets = {
            n: [str(t.settled), str(t.rolling), str(t.inspected), canonical(t.known).decode()]
            for n, t in state.targets.items()
        }
        yield canonical(
            {"cells": cells, "targets": targets, "wave": state.wave, "stop": bool(state.stopping)}
        )


def exhaustive(step_class: StepClass) -> Iterator[Case]:
    """3 steps on 2 targets: each fault on each step of each target, and a death at each point of each of
    those, before and after the record is on disk."""
    for wave, scope in ((0, Scope.RUN), (1, Scope.TARGET)):
        plan = make_plan(2, 2, wave=wave, scope=scope, step_class=step_class, patience=5)
        cells = [(s.id, t) for s in plan.steps for t in s.targets]
        for faults in [(), *(((step, target, fault),) for (step, target), fault in product(cells, FAULTS))]:
            length = len(Case(plan, faults).run().events)
            yield Case(plan, faults)
            for crash, lose in product(range(1, length + 1), (False, True)):
                yield Case(plan, faults, ((crash, lose),))


def recovered_twice(step_class: StepClass) -> Iterator[Case]:
    """Deaths at each point of each recovery too, for the faults that leave the most to recover."""
    plan = make_plan(2, 2, step_class=step_class, patience=5)
    for fault in ("doubt-after", "fail-after", "crash-after"):
        faults = (("s2-change", "t2", fault),)
        length = len(Case(plan, faults).run().events)
        for first, second in product(range(1, length + 1), range(1, 12)):
            yield Case(plan, faults, ((first, False), (second, True)))


def random_case(seed: int) -> Case:
    """Larger plans, several faults, several deaths, outages and foreign changes."""
    r = random.Random(seed)  # noqa: S311 - a case, not a secret
    plan = make_plan(
        r.randint(1, 4), r.randint(1, 3), wave=r.choice([0, 1, 2]), budget=r.choice([0, 0, 1, 2]),
        scope=r.choice(list(Scope)), step_class=r.choice(list(StepClass)), batch=r.random() < 0.3,
        soak=r.choice([0.0, 3.0]), patience=r.choice([2.0, 10.0]),
        irreversible="for good" if r.random() < 0.1 else None,
    )  # fmt: skip
    names = list(plan.by_name)
    faults = []
    for _ in range(r.choice([0, 0, 1, 1, 2, 4])):
        step = r.choice(plan.steps)
        faults.append((step.id, r.choice(step.targets), r.choice(FAULTS)))
    crashes = tuple((r.randint(1, 30), r.random() < 0.5) for _ in range(r.choice([0, 0, 1, 2, 4])))
    begin = r.uniform(0, 5)
    away = (r.choice(names), begin, begin + r.uniform(0.1, 30))
    theirs = (r.choice(names), r.choice(sorted(plan.original(names[0]))), r.randint(1, 25))
    return Case(
        plan,
        tuple(faults),
        crashes,
        (away,) if r.random() < 0.2 else (),
        (theirs,) if r.random() < 0.2 else (),
    )


def seeds(first: int, count: int) -> Counter[str]:
    """Run them; how often each exit code was reached.

    Raises:
        AssertionError: one of them broke a promise; its seed is named.
    """
    codes: Counter[str] = Counter()
    for seed in range(first, first + count):
        ending = random_case(seed).run()
        if problems := ending.problems():
            raise AssertionError(f"seed {seed}: {'; '.join(problems)}")
        codes[str(int(ending.code or 0))] += 1
    return codes


def main() -> None:
    """Run the seeds that the command line names."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    codes = seeds(first, count)
    print(f"{count} seeds from {first}: no violation; exit codes {dict(sorted(codes.items()))}")


if __name__ == "__main__":
    main()
