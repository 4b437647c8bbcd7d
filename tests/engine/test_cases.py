"""The shipped engine over small plans exhaustively and larger ones by seeds; the checker judges each run.

By default a part of them, for the time; ``REMEDIATE_THOROUGH=1`` takes them all, and a million seeds.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable
from itertools import chain, islice

import pytest

from remediate.model.step import StepClass
from tests.engine.broken_disks import first_lives, recoveries
from tests.engine.cases import KEPT, live, random_case, seeds
from tests.engine.exhaustive import one_death, states, two_deaths
from tests.engine.sabotage import SABOTAGES
from tests.engine.simulation import Simulation
from tests.reliability import record

THOROUGH = bool(os.environ.get("REMEDIATE_THOROUGH"))
_EVERY = 1 if THOROUGH else 3
_SEEDS = 1_000_000 if THOROUGH else 10_000
_PARTS = 8


@pytest.mark.parametrize("step_class", StepClass)
def test_every_fault_and_death_of_a_small_plan(step_class: StepClass) -> None:
    reached: set[Hashable] = set()
    count = 0
    for trial in islice(chain(one_death(step_class), two_deaths(step_class)), 0, None, _EVERY):
        ending = trial.run()
        assert ending.problems() == [], trial
        count += 1
        # Until the first death it is the run without one.
        reached.update(states(trial.plan, ending.events, trial.deaths[0][0] - 1 if trial.deaths else 0))
    assert len(reached) > 1000, f"{len(reached)} states in {count} runs"
    print(f"class {step_class.value}: {count} runs, {len(reached)} states, no violation")
    record(
        "explored", f"3 steps on 2 targets, class {step_class.value}", count, f"{len(reached):,} states", 0
    )


def test_every_trouble_of_the_disk_of_a_small_run() -> None:
    """An error, the end of the process, a loss of power: at each write and sync, in recovery too."""
    happened: Counter[str] = Counter()
    count = 0
    for case in chain(first_lives(), islice(recoveries(), 0, None, 1 if THOROUGH else 11)):
        ending = Simulation(case).run()
        assert ending.problems == (), case
        happened += ending.happened
        count += 1
    reached = f"{happened['deaths']:,} deaths, {happened['halts']:,} full or broken disks"
    record("explored", "each trouble of the disk at each write and sync, in recovery too", count, reached, 0)


@pytest.mark.parametrize("part", range(_PARTS))
def test_seeds(part: int) -> None:
    first, last = part * _SEEDS // _PARTS, (part + 1) * _SEEDS // _PARTS
    happened = seeds(range(first, last))
    assert {"exit 0", "exit 4", "exit 5", "deaths", "halts", "slept", "replaced"} <= happened.keys()
    reached = f"{happened['deaths']:,} deaths, {happened['halts']:,} full or broken disks"
    record("explored", f"seeds {first:,} to {last - 1:,}", last - first, reached, 0)


@pytest.mark.parametrize(("seed", "guard"), KEPT.items())
def test_a_seed_that_once_failed(seed: int, guard: str) -> None:
    """It holds, and fails again without the guard: if not, the seed means something else by now."""
    assert live(seed).problems == ()
    with pytest.MonkeyPatch.context() as patch:
        SABOTAGES[guard](patch)
        assert live(seed).problems != ()


def test_a_seed_replays() -> None:
    for seed in range(40):
        assert random_case(seed) == random_case(seed)
        first, second = live(seed), live(seed)
        assert first.events == second.events
        assert first.happened == second.happened
