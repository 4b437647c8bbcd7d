"""What the engine promises of its way forward, each over one small simulated run that only that decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import pytest

from remediate.checker import check
from remediate.engine.perform import Performer
from remediate.engine.port import Job
from remediate.errors import Exit, JournalUnwritable, StaleLease
from remediate.model.change import Window
from remediate.model.event import (
    Body,
    Intent,
    Outcome,
    Verb,
)
from remediate.model.runbook import Scope
from remediate.model.step import Result
from tests.engine.sim import START, Crash, Sim, compare, make_plan
from tests.engine.small import Effect, before_each, bounded, instead

# -- as approved --


def test_what_can_not_be_read_is_not_begun() -> None:
    sim = bounded(Sim(make_plan(targets=2)))
    sim.world.unreachable = lambda name: name == "t2"
    assert sim.process() is Exit.ROLLED_BACK
    assert sim.world.applied == []

    sim = bounded(Sim(make_plan(targets=2, changes=1)))
    sim.world.unreachable = lambda name: name == "t2" and sim.state.targets["t2"].inspected
    assert sim.process() is Exit.ROLLED_BACK
    assert not sim.state.targets["t2"].touched


def test_a_step_is_not_begun_on_what_somebody_changed_meanwhile() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    before_each(sim, "s2-change", lambda: sim.world.facts["t1"].update({"file:/2": "theirs"}))
    assert sim.process() is Exit.NEEDS_HUMAN
    assert ("s3-change", "t1") not in sim.world.applied
    assert sim.world.facts["t1"]["file:/2"] == "theirs"


def test_after_a_takeover_what_was_not_begun_is_inspected_again() -> None:
    plan = make_plan(targets=1)
    sim = bounded(Sim(plan.model_copy(update={"steps": plan.steps[1:]})))
    sim.journal.crash_at, sim.journal.lose = 3, True
    with pytest.raises(Crash):
        sim.process()
    assert sim.state.targets["t1"].inspected
    sim.world.facts["t1"]["file:/2"] = "theirs"
    assert sim.process() is Exit.ROLLED_BACK
    assert sim.world.applied == []


# -- in time --


@pytest.mark.parametrize(("seconds", "code"), [(54, Exit.ROLLED_BACK), (55, Exit.VERIFIED_NEW)])
def test_a_later_wave_needs_time_to_undo_the_earlier_ones(seconds: int, code: Exit) -> None:
    """The last change takes 10 s, its verification 5 s, and there are four steps of 10 s to undo."""
    window = Window(start=START, end=START + timedelta(seconds=seconds))
    sim = bounded(Sim(make_plan(targets=2, wave=1, changes=1, window=window)))
    assert sim.process() is code


def test_what_waited_for_its_turn_asks_whether_it_may_still_begin() -> None:
    sim = Sim(make_plan(targets=2))
    done: list[Body] = []
    performer = Performer(
        sim.plan,
        sim.world,
        done.extend,
        lambda work, jobs: [work(j) for j in jobs],
        sim.clock,
        compare,
        forward=lambda name: name == "t1",
    )
    jobs = [Job(name, 1, known=sim.plan.original(name)) for name in sim.plan.by_name]
    begun = next(performer.apply("s1-backup", jobs))
    assert [b.target for b in begun if isinstance(b, Intent)] == ["t1"]


def test_nothing_goes_forward_once_the_run_turned_back() -> None:
    sim = bounded(Sim(make_plan(targets=4, wave=2, scope=Scope.WAVE)))
    sim.world.faults["s2-change", "t1"] = ["fail"]
    assert sim.process() is Exit.ROLLED_BACK
    assert not any(sim.state.targets[name].touched for name in ("t3", "t4"))


def test_a_target_that_rolls_back_does_not_go_forward() -> None:
    sim = bounded(Sim(make_plan(targets=2, budget=1)))
    sim.world.faults["s2-change", "t1"] = ["fail"]
    assert sim.process() is Exit.ROLLED_BACK
    assert ("s3-change", "t1") not in sim.world.applied
    assert ("s3-change", "t2") in sim.world.applied


# -- written down first --


def test_every_effect_has_a_durable_intent() -> None:
    sim = bounded(Sim(make_plan(targets=2)))
    sim.world.faults["s3-change", "t2"] = ["fail-after"]
    naked: list[tuple[str, str]] = []

    def watched(verb: Verb, plain: Effect) -> Effect:
        def act(step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
            told = {
                (b.step, b.target, b.attempt)
                for b in (e.body for e in sim.journal.events)
                if isinstance(b, Intent) and b.verb is verb
            }
            naked.extend((step, j.target) for j in jobs if (step, j.target, j.attempt) not in told)
            return plain(step, jobs)

        return act

    instead(sim, "apply", watched(Verb.APPLY, sim.world.apply))
    instead(sim, "undo", watched(Verb.UNDO, sim.world.undo))
    assert sim.process() is Exit.ROLLED_BACK
    assert naked == []


def test_without_a_journal_nothing_is_done() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    plain = sim.journal.post

    def full(bodies: Sequence[Body], then: Callable[[BaseException | None], None]) -> None:
        if any(isinstance(b, Intent) for b in bodies):
            then(JournalUnwritable("no room"))
        else:
            plain(bodies, then)

    setattr(sim.journal, "post", full)  # noqa: B010 - a method of this one only
    with pytest.raises(JournalUnwritable):
        sim.process()
    assert sim.world.applied == []


def test_a_lost_lease_ends_the_run_whatever_was_under_way() -> None:
    sim = bounded(Sim(make_plan(targets=1)))

    def late(step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        raise StaleLease("somebody else has the run")

    instead(sim, "apply", late)
    with pytest.raises(StaleLease):
        sim.process()


def test_a_backup_whose_verification_nobody_saw_is_verified() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.journal.crash_at, sim.journal.lose = 5, True
    with pytest.raises(Crash):
        sim.process()
    assert isinstance(sim.journal.events[-1].body, Outcome)
    assert sim.process() is Exit.VERIFIED_NEW
    assert check(sim.plan, sim.journal.events) == ()
