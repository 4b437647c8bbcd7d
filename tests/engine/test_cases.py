"""The shipped engine over small plans exhaustively and larger ones by seeds; the checker judges each run.

By default a part of them, for the time; ``REMEDIATE_THOROUGH=1`` takes them all.
"""

from __future__ import annotations

import os
from itertools import chain, islice

import pytest

from remediate.model.step import StepClass
from tests.engine.cases import exhaustive, random_case, recovered_twice, seeds, states

THOROUGH = bool(os.environ.get("REMEDIATE_THOROUGH"))
_EVERY = 1 if THOROUGH else 7
_SEEDS = 1_000_000 if THOROUGH else 2_500


@pytest.mark.parametrize("step_class", StepClass)
def test_every_fault_and_death_of_a_small_plan(step_class: StepClass) -> None:
    reached: set[bytes] = set()
    count = 0
    for case in islice(chain(exhaustive(step_class), recovered_twice(step_class)), 0, None, _EVERY):
        ending = case.run()
        assert ending.problems() == [], case
        count += 1
        if count % 5 == 0:
            reached.update(states(case.plan, ending.events))
    assert len(reached) > 200, f"{len(reached)} states in {count} runs"


def test_seeds() -> None:
    codes = seeds(0, _SEEDS)
    assert set(codes) == {"0", "4", "5"}


def test_a_seed_replays() -> None:
    first, second = random_case(4711).run(), random_case(4711).run()
    assert first.events == second.events
