"""Simulated lives by seeds: larger plans, and troubles of all kinds together.

``python -m tests.engine.cases FIRST COUNT`` lives that many, on all cores; with a count of 1 it tells what
happened.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from random import Random
from typing import get_args

from remediate.model.change import Window
from remediate.model.event import Request
from remediate.model.plan import Plan
from remediate.model.runbook import Scope
from remediate.model.step import StepClass
from tests.engine.case import Case, Troubles
from tests.engine.clock import START
from tests.engine.disk import Trouble, dice
from tests.engine.plans import make_plan
from tests.engine.simulation import Ending, Simulation
from tests.engine.targets import FAULTS
from tests.engine.ticket import FATES, Weather

#: Seeds that once broke a promise, and the guard that keeps it since (`tests.engine.sabotage`).
KEPT = {
    312: "whom a step touched meanwhile belongs to the rollback",
    39: "no step is begun after the decision to turn back",
    472: "no step is begun after the decision to turn back",
    45: "who slept asks whether the run is still its own",
}
_CHUNK = 500


def random_case(seed: int) -> Case:
    """The case of this seed."""
    r = dice(seed)
    plan = _plan(r)
    faults = []
    for _ in range(r.choice((0, 0, 1, 1, 2, 4))):
        step = r.choice(plan.steps)
        faults.append((step.id, r.choice(step.targets), r.choice(FAULTS)))
    begin = r.uniform(0, 5)
    away = (r.choice(list(plan.by_name)), begin, begin + r.uniform(0.1, 30))
    return Case(
        seed=seed,
        plan=plan,
        faults=tuple(faults),
        unreachable=(away,) if r.random() < 0.2 else (),
        lives=tuple(_troubles(r, plan) for _ in range(r.choice((0, 1, 1, 2, 2, 3)))),
        weather=_weather(r),
        decided=r.random() < 0.3,
    )


def _plan(r: Random) -> Plan:
    opens = START - timedelta(hours=1)
    closes = START + timedelta(seconds=r.uniform(20, 400))
    return make_plan(
        r.choice((1, 2, 2, 3, 4)), r.choice((1, 1, 2, 3)),
        wave=r.choice((0, 1, 2)), budget=r.choice((0, 0, 1, 2)),
        scope=r.choice(list(Scope)), step_class=r.choice(list(StepClass)), batch=r.random() < 0.3,
        soak=r.choice((0.0, 3.0)), patience=r.choice((2.0, 10.0)),
        window=Window(start=opens, end=closes) if r.random() < 0.2 else None,
        irreversible="for good" if r.random() < 0.1 else None,
    )  # fmt: skip


def _troubles(r: Random, plan: Plan) -> Troubles:
    def some(chance: float) -> tuple[int, ...]:
        return (r.randint(1, 30),) if r.random() < chance else ()

    names, keys = list(plan.by_name), sorted(plan.original(plan.targets[0].name))
    jump = r.choice((-7200.0, -30.0, 20.0, 3600.0))
    return Troubles(
        disk=tuple((at * 2 - r.randint(0, 1), r.choice(get_args(Trouble))) for at in some(0.5)),
        asleep=r.randint(1, 12) if r.random() < 0.2 else 0,
        foreign=tuple((at, r.choice(names), r.choice(keys)) for at in some(0.1)),
        asked=tuple((at, r.choice(list(Request))) for at in some(0.15)),
        # A window is judged by the clock that stood on the wall.
        jumps=() if plan.window else tuple((at, jump) for at in some(0.2)),
        revoked=sum(some(0.05)),
        interrupted=sum(some(0.05)),
    )


def _weather(r: Random) -> Weather:
    def spans(chance: float, longest: float) -> tuple[tuple[float, float], ...]:
        begin = r.choice((0.0, r.uniform(0, 60)))
        return ((begin, begin + r.uniform(1, longest)),) if r.random() < chance else ()

    fates = tuple(r.choice(FATES) for _ in range(r.choice((0, 0, 1, 2, 6))))
    return Weather(fates, spans(0.3, r.choice((20.0, 4000.0))), spans(0.2, 100.0))


def live(seed: int) -> Ending:
    """What becomes of this seed."""
    return Simulation(random_case(seed)).run()


def seeds(numbers: Iterable[int]) -> Counter[str]:
    """Live them; how often what happened.

    Raises:
        AssertionError: one of them broke a promise; its seed is named.
    """
    happened: Counter[str] = Counter()
    for seed in numbers:
        ending = live(seed)
        if ending.problems:
            raise AssertionError(
                f"seed {seed}: {'; '.join(ending.problems)} (python -m tests.engine.cases {seed} 1)"
            )
        happened += ending.happened
        happened[f"exit {'none' if ending.code is None else int(ending.code)}"] += 1
    return happened


def tell(seed: int) -> None:
    """A seed in words: what was to happen, what did, and what is wrong with it."""
    case, ending = random_case(seed), live(seed)
    for name in ("faults", "unreachable", "lives", "weather"):
        print(f"{name}: {getattr(case, name)}")
    for event in ending.events:
        body = event.body.model_dump(mode="json", exclude_defaults=True)
        print(f"{event.number:4} {event.at - START.timestamp():9.2f} {event.body.kind}: {body}")
    print(f"ended {ending.code}; {dict(ending.happened)}")
    for problem in ending.problems:
        print(f"PROBLEM {problem}")


def main() -> None:
    """Live the seeds that the command line names."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    if count == 1:
        tell(first)
        return
    chunks = [range(n, min(n + _CHUNK, first + count)) for n in range(first, first + count, _CHUNK)]
    with ProcessPoolExecutor() as pool:
        happened = sum(pool.map(seeds, chunks), Counter[str]())
    print(f"{count} seeds from {first}: no violation; {dict(sorted(happened.items()))}")


if __name__ == "__main__":
    main()
