"""What the engine promises, each over one small simulated run that only that promise decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import pytest

from remediate.checker import check
from remediate.engine.perform import Performer
from remediate.engine.port import Job
from remediate.errors import Exit, JournalUnwritable, StaleLease
from remediate.model.base import State
from remediate.model.change import Window
from remediate.model.event import (
    Body,
    Decided,
    Final,
    Held,
    Intent,
    Outcome,
    Probed,
    Request,
    Requested,
    Verb,
)
from remediate.model.runbook import Scope
from remediate.model.step import CheckResult, Result, Role, Status, StepClass, Verdict
from tests.engine.sim import START, Crash, Sim, compare, make_plan

#: A step on targets; what came of it.
Effect = Callable[[str, Sequence[Job]], Mapping[str, Result]]


def finals(sim: Sim) -> set[Final | None]:
    """How its targets ended."""
    return {t.settled for t in sim.state.targets.values()}


def intents(sim: Sim, verb: Verb, step: str) -> int:
    """How often this was begun."""
    bodies = [e.body for e in sim.journal.events]
    return sum(isinstance(b, Intent) and b.verb is verb and b.step == step for b in bodies)


def bounded(sim: Sim, looks: int = 4000) -> Sim:
    """The simulation, which fails when the engine goes on for ever."""
    left = iter(range(looks))

    def asked() -> bool:
        assert next(left, None) is not None, "it goes on for ever"
        return False

    sim.interrupted = asked
    return sim


def instead(sim: Sim, name: str, does: Callable[..., object]) -> None:
    """The simulated targets do this instead of what they would."""
    setattr(sim.world, name, does)


def before_each(sim: Sim, step: str, happens: Callable[[], object]) -> None:
    """Something happens right before this step is verified."""
    plain = sim.world.verify

    def verify(name: str, jobs: Sequence[Job]) -> Mapping[str, tuple[CheckResult, ...]]:
        if name == step:
            happens()
        return plain(name, jobs)

    instead(sim, "verify", verify)


def read_back(sim: Sim, look: Callable[[str], State]) -> None:
    """The final read of a target is this."""
    instead(sim, "read_back", look)


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


def at_work(sim: Sim, seconds: float) -> list[float]:
    """Whatever was begun is at work for so long. Gives the times at which it is probed or undone."""
    start, times = sim.clock(), list[float]()
    plain_probe, plain_undo = sim.world.probe, sim.world.undo
    instead(sim, "quiesce", lambda *_: sim.clock() >= start + seconds)

    def probe(step: str, job: Job) -> object:
        times.append(sim.clock() - start)
        return plain_probe(step, job)

    def undo(step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        times.append(sim.clock() - start)
        return plain_undo(step, jobs)

    instead(sim, "probe", probe)
    instead(sim, "undo", undo)
    return times


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


# -- how a target ends --


def test_what_changed_before_the_final_read_is_not_new() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    read_back(sim, lambda name: {**sim.world.facts[name], "file:/1": "theirs"})
    assert sim.process() is not Exit.VERIFIED_NEW


def test_what_changed_before_the_final_read_is_not_original() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.world.faults["s2-change", "t1"] = ["fail-after"]
    read_back(sim, lambda name: {**sim.world.facts[name], "file:/1": "theirs"})
    assert sim.process() is Exit.NEEDS_HUMAN


def test_a_target_of_which_nothing_is_read_is_not_original() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.world.faults["s2-change", "t1"] = ["fail-after"]
    read_back(sim, lambda _: {})
    assert sim.process() is Exit.NEEDS_HUMAN


def test_what_can_not_be_read_back_needs_a_human() -> None:
    sim = bounded(Sim(make_plan(targets=1)))

    def away(_name: str) -> State:
        raise TimeoutError("no route")

    read_back(sim, away)
    assert sim.process() is Exit.NEEDS_HUMAN


def test_the_final_read_is_a_fresh_one() -> None:
    sim = bounded(Sim(make_plan(targets=2)))
    read: list[str] = []
    plain = sim.world.inspect

    def look(name: str) -> State:
        read.append(name)
        return plain(name)

    read_back(sim, look)
    assert sim.process() is Exit.VERIFIED_NEW
    assert read == ["t1", "t2"]


def test_an_abort_undoes_the_whole_run() -> None:
    sim = bounded(Sim(make_plan(targets=4, wave=2, changes=1, scope=Scope.TARGET)))
    asked = [Requested(what=Request.ABORT, by="bob")]

    def abort() -> None:
        if asked and sim.state.wave == 1:
            sim.journal.record(asked.pop())

    before_each(sim, "s2-change", abort)
    assert sim.process() is Exit.ROLLED_BACK
    assert asked == []
    assert finals(sim) == {Final.ORIGINAL}


def test_a_backup_that_restored_nothing_has_failed() -> None:
    sim = bounded(Sim(make_plan(targets=1)))
    sim.world.faults["s2-change", "t1"] = ["fail-after"]
    instead(sim, "undo", lambda _, jobs: {j.target: Result(summary="restored") for j in jobs})
    assert sim.process() is Exit.NEEDS_HUMAN
    ended = [
        e.body.result.status
        for e in sim.journal.events
        if isinstance(e.body, Outcome) and e.body.verb is Verb.UNDO and e.body.step == "s1-backup"
    ]
    assert ended == [Status.FAILED] * 3


# -- nothing is not success --


@pytest.mark.parametrize("answer", ["error", "nothing"])
def test_a_verification_without_an_answer_has_failed(answer: str) -> None:
    sim = bounded(Sim(make_plan(targets=1)))

    def verify(step: str, jobs: Sequence[Job]) -> Mapping[str, tuple[CheckResult, ...]]:
        if answer == "error":
            raise TimeoutError("no route")
        return {}

    instead(sim, "verify", verify)
    assert sim.process() is Exit.ROLLED_BACK


def test_a_plan_of_checks_fails_with_its_check() -> None:
    plan = make_plan(targets=1, changes=1)
    only = plan.steps[1].model_copy(update={"role": Role.CHECK, "observed": {"t1": {}}})
    sim = bounded(Sim(plan.model_copy(update={"steps": (only,)})))
    sim.world.faults["s2-change", "t1"] = ["verify"]
    assert sim.process() is Exit.ROLLED_BACK
    assert not any(isinstance(e.body, Held) for e in sim.journal.events)
