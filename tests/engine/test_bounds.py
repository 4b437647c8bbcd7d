"""Every run ends after a bounded number of actions, whatever a target does or doesn't do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from remediate.engine.port import Job
from remediate.errors import Exit, InDoubt, StepFailed
from remediate.model.base import State
from remediate.model.event import Settled, Unread, Verb
from remediate.model.plan import Plan
from remediate.model.step import Result, Status, StepClass
from tests.engine.sim import Sim, make_plan
from tests.engine.small import before_each, bounded, instead, intents, read_back


def always(error: Exception) -> Sim:
    """A run of which one step fails; each undo ends with this error."""
    sim = bounded(Sim(make_plan(targets=1, patience=20)))
    sim.world.faults["s3-change", "t1"] = ["fail-after"]

    def undo(step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        raise error

    instead(sim, "undo", undo)
    return sim


def away(name: str) -> State:
    """Nobody answers."""
    raise TimeoutError(f"{name}: no route")


def test_an_undo_that_always_fails() -> None:
    sim = always(StepFailed("no"))
    assert sim.process() is Exit.NEEDS_HUMAN
    assert intents(sim, Verb.UNDO, "s3-change") == 3


def test_an_undo_of_which_no_word_ever_comes() -> None:
    sim = always(InDoubt("no word"))
    begin = sim.clock()
    assert sim.process() is Exit.NEEDS_HUMAN
    assert 20 <= sim.clock() - begin < 120


def test_a_doubt_that_nothing_settles() -> None:
    sim = bounded(Sim(make_plan(targets=1, step_class=StepClass.OPAQUE)))
    sim.world.faults["s2-change", "t1"] = ["doubt"]
    assert sim.process() is Exit.NEEDS_HUMAN


def test_a_target_that_goes_away_before_its_undo() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.world.faults["s2-change", "t1"] = ["verify"]
    gone = [False]
    before_each(sim, "s2-change", lambda: gone.__setitem__(0, True))
    sim.world.unreachable = lambda _: gone[0]
    assert sim.process() is Exit.NEEDS_HUMAN


def test_a_target_that_goes_away_before_its_end() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    read_back(sim, away)
    assert sim.process() is Exit.NEEDS_HUMAN


def test_a_target_that_stays_away_is_not_asked_all_the_time() -> None:
    sim = bounded(Sim(make_plan(targets=1, patience=600)))
    read_back(sim, away)
    assert sim.process() is Exit.NEEDS_HUMAN
    assert 10 <= sum(isinstance(e.body, Unread) for e in sim.journal.events) <= 30


def test_an_undo_that_somebody_else_stands_in_the_way_of() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.world.faults["s2-change", "t1"] = ["verify"]
    before_each(sim, "s2-change", lambda: sim.world.facts["t1"].update({"file:/1": "theirs"}))
    assert sim.process() is Exit.NEEDS_HUMAN
    assert intents(sim, Verb.UNDO, "s2-change") == 0
    (evidence,) = [e.body.evidence for e in sim.journal.events if isinstance(e.body, Settled)]
    assert "someone else changed this meanwhile" in evidence


def never(status: Status, retries: int) -> tuple[Plan, Sim]:
    """A run of which the first change always ends like this, and changes nothing."""
    plan = make_plan(targets=1)
    steps = tuple(s.model_copy(update={"retries": retries}) for s in plan.steps)
    sim = bounded(Sim(plan.model_copy(update={"steps": steps})))
    plain = sim.world.apply

    def apply(step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        if step != "s2-change":
            return plain(step, jobs)
        return {j.target: Result(status=status, summary="no") for j in jobs}

    instead(sim, "apply", apply)
    return sim.plan, sim


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_step_that_always_fails(retries: int) -> None:
    _, sim = never(Status.FAILED, retries)
    assert sim.process() is Exit.ROLLED_BACK
    assert intents(sim, Verb.APPLY, "s2-change") == 1 + retries


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_step_of_which_no_trace_is_ever_found(retries: int) -> None:
    """Doubt is worth one attempt more, also of a step without retries."""
    _, sim = never(Status.IN_DOUBT, retries)
    assert sim.process() is Exit.ROLLED_BACK
    assert intents(sim, Verb.APPLY, "s2-change") == 1 + max(retries, 1)


def test_a_target_that_is_not_as_approved() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.world.facts["t1"]["file:/1"] = "theirs"
    assert sim.process() is Exit.ROLLED_BACK
    assert sim.world.applied == []
