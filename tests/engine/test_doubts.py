"""What the engine does where nobody knows what became of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from remediate.checker import check
from remediate.engine.port import Job
from remediate.errors import Exit
from remediate.model.event import (
    Decided,
    Final,
    Outcome,
    Probed,
    Verb,
)
from remediate.model.step import Result, Status, StepClass, Verdict
from tests.engine.sim import Crash, Sim, make_plan
from tests.engine.small import at_work, before_each, bounded, finals, instead, intents

# -- one decision, with evidence --


def test_no_word_of_a_target_is_doubt() -> None:
    sim = bounded(Sim(make_plan(targets=2, batch=True)))
    plain = sim.world.apply

    def silent(step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        return {name: r for name, r in plain(step, jobs).items() if (step, name) != ("s2-change", "t2")}

    instead(sim, "apply", silent)
    assert sim.process() is Exit.VERIFIED_NEW
    probed = [e.body for e in sim.journal.events if isinstance(e.body, Probed)]
    assert [(p.step, p.target, p.verdict) for p in probed] == [("s2-change", "t2", Verdict.APPLIED)]


def test_a_step_after_which_nothing_can_be_read_is_in_doubt() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    plain, gone = sim.world.apply, [False]

    def cut(step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        gone.append(step == "s2-change")
        return plain(step, jobs)

    instead(sim, "apply", cut)
    sim.world.unreachable = lambda _: len(gone) > 1 and gone.pop()
    assert sim.process() is Exit.VERIFIED_NEW
    assert any(isinstance(e.body, Probed) and e.body.step == "s2-change" for e in sim.journal.events)


@pytest.mark.parametrize("step_class", StepClass)
def test_only_what_may_be_repeated_is_begun_again(step_class: StepClass) -> None:
    plan = make_plan(targets=1, step_class=step_class)
    steps = tuple(s.model_copy(update={"retries": 2}) for s in plan.steps)
    sim = bounded(Sim(plan.model_copy(update={"steps": steps})))
    sim.world.faults["s2-change", "t1"] = ["fail"]
    again = step_class in (StepClass.TOKENED, StepClass.STATE_BASED)
    assert sim.process() is (Exit.VERIFIED_NEW if again else Exit.ROLLED_BACK)
    assert intents(sim, Verb.APPLY, "s2-change") == 1 + again


def test_a_word_on_what_is_not_in_doubt_changes_nothing() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.world.faults["s3-change", "t1"] = ["verify"]
    before_each(sim, "s3-change", lambda: sim.world.facts["t1"].update({"file:/1": "theirs"}))
    assert sim.process() is Exit.NEEDS_HUMAN
    word = Decided(
        step="s2-change", target="t1", attempt=1, verdict=Verdict.NOT_APPLIED, by="dan", envelope="{}"
    )
    sim.journal.record(word)
    assert sim.state.finished is not None
    assert finals(sim) == {Final.HUMAN}


def test_what_is_in_doubt_is_probed_before_it_is_undone() -> None:
    """The other target failed, so this one rolls back while nobody knows yet what became of its step."""
    sim = bounded(Sim(make_plan(targets=2)))
    sim.world.faults |= {("s2-change", "t1"): ["fail"], ("s2-change", "t2"): ["doubt-after"]}
    assert sim.process() is Exit.ROLLED_BACK
    assert check(sim.plan, sim.journal.events) == ()


def test_a_word_holds_once_it_is_known_what_the_attempt_left() -> None:
    """It died before it read that; what the attempt left would look like somebody else's work."""
    sim = bounded(Sim(make_plan(targets=1, step_class=StepClass.OPAQUE)))
    sim.world.faults["s2-change", "t1"] = ["crash-after"]
    with pytest.raises(Crash):
        sim.process()
    sim.world.unreachable = lambda _: True
    assert sim.process() is Exit.NEEDS_HUMAN
    sim.journal.record(
        Decided(step="s2-change", target="t1", attempt=1, verdict=Verdict.APPLIED, by="dan", envelope="{}")
    )
    assert sim.process() is Exit.NEEDS_HUMAN
    sim.world.unreachable = lambda _: False
    assert sim.process() is Exit.ROLLED_BACK
    assert sim.world.facts["t1"] == sim.plan.original("t1")


def test_an_undo_that_was_cut_off_is_tried_again() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.world.faults["s3-change", "t1"] = ["fail-after"]
    plain, dies = sim.world.undo, ["s1-backup"]

    def undo(step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        if step in dies:
            dies.remove(step)
            raise Crash
        return plain(step, jobs)

    instead(sim, "undo", undo)
    with pytest.raises(Crash):
        sim.process()
    assert sim.process() is Exit.ROLLED_BACK
    assert sim.world.facts["t1"] == sim.plan.original("t1")


# -- dead before it is probed --


def test_nothing_is_believed_before_the_attempt_is_dead() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.world.faults["s2-change", "t1"] = ["doubt-after"]
    times = at_work(sim, 20)
    assert sim.process() is Exit.VERIFIED_NEW
    assert times
    assert min(times) >= 20


def test_nothing_is_undone_before_the_attempt_is_dead() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.world.faults["s2-change", "t1"] = ["fail-after"]
    times = at_work(sim, 20)
    assert sim.process() is Exit.ROLLED_BACK
    assert times
    assert min(times) >= 20


def test_a_time_to_settle_passes_before_a_probe() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.world.faults["s2-change", "t1"] = ["doubt-after"]
    assert sim.process() is Exit.VERIFIED_NEW
    (probed,) = [e.at for e in sim.journal.events if isinstance(e.body, Probed)]
    doubt = [Status.IN_DOUBT]
    (ended,) = [
        e.at for e in sim.journal.events if isinstance(e.body, Outcome) and e.body.result.status in doubt
    ]
    assert probed - ended >= 0.5


def test_a_word_does_not_hold_while_the_attempt_is_at_work() -> None:
    sim = bounded(Sim(make_plan(targets=1, step_class=StepClass.OPAQUE)))
    sim.world.faults["s2-change", "t1"] = ["doubt-after"]
    assert sim.process() is Exit.NEEDS_HUMAN
    sim.journal.record(
        Decided(step="s2-change", target="t1", attempt=1, verdict=Verdict.APPLIED, by="dan", envelope="{}")
    )
    at_work(sim, 10)
    assert sim.process() is Exit.ROLLED_BACK
    verdicts = [e.body.verdict for e in sim.journal.events if isinstance(e.body, Probed)]
    assert Verdict.RUNNING in verdicts
    assert verdicts[-1] is not Verdict.RUNNING
