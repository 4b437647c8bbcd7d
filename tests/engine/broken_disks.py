"""Every trouble of the disk at every write and sync of a small run, and of the process that recovers it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from tests.engine.case import Case, Troubles
from tests.engine.disk import Trouble
from tests.engine.house import House
from tests.engine.plans import make_plan
from tests.engine.simulation import Simulation
from tests.engine.targets import Fault

#: Those that leave the most to record: a rollback of both targets, and an attempt whose end nobody saw.
_FAULTS: tuple[Fault, ...] = ("fail-after", "doubt-after")


def first_lives() -> Iterator[Case]:
    """Each trouble at each operation of the first process."""
    for base in _bases():
        for operation in range(1, _operations(base, 0) + 1):
            for trouble in get_args(Trouble):
                yield _with(base, Troubles(disk=((operation, trouble),)))


def recoveries() -> Iterator[Case]:
    """The first process is killed at every fifth operation; then each trouble at each one of the second."""
    for base in _bases():
        for death in range(1, _operations(base, 0) + 1, 5):
            killed = _with(base, Troubles(disk=((death, "killed-after"),)))
            for operation in range(1, _operations(killed, 1) + 1):
                for trouble in get_args(Trouble):
                    yield _with(killed, Troubles(disk=((operation, trouble),)))


def _bases() -> Iterator[Case]:
    plan = make_plan(2, 2, patience=5)
    yield Case(0, plan)
    for fault in _FAULTS:
        yield Case(0, plan, faults=(("s3-change", "t2", fault),))


def _with(case: Case, more: Troubles) -> Case:
    return Case(case.seed, case.plan, case.faults, lives=(*case.lives, more))


def _operations(case: Case, life: int) -> int:
    """How often the process with this number, counted from 0, writes or syncs."""
    house = House(case)
    simulation = Simulation(case, house)
    for _ in range(life):
        simulation.one_life()
        house.clock.now += 60.0
    simulation.one_life()
    return house.disk.operations
