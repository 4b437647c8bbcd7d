"""How targets end, and that nothing is no success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from remediate.engine.perform import Performer
from remediate.engine.port import Job
from remediate.errors import Exit
from remediate.model.base import State
from remediate.model.event import (
    Final,
    Held,
    Outcome,
    Request,
    Requested,
    Verb,
)
from remediate.model.runbook import Scope
from remediate.model.step import CheckResult, Result, Role, Status
from tests.engine.sim import Sim, compare, make_plan
from tests.engine.small import before_each, bounded, finals, instead, read_back

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


# -- secrets --


def test_an_error_tells_no_secret() -> None:
    sim = Sim(make_plan(targets=1))
    performer = Performer(
        sim.plan,
        sim.world,
        lambda _: None,
        lambda work, jobs: [work(j) for j in jobs],
        sim.clock,
        compare,
        forward=lambda _: True,
        scrub=lambda text: text.replace("hunter2", "[redacted]"),
    )

    def fail(*_: object) -> object:
        raise RuntimeError("no login with hunter2")

    job = Job("t1", 1, known=sim.plan.original("t1"))
    instead(sim, "apply", fail)
    doing = performer.apply("s1-backup", [job])
    next(doing)
    with pytest.raises(StopIteration) as ended:
        next(doing)
    instead(sim, "inspect", fail)
    told = f"{ended.value.value} {performer.inspect(0, job)}"
    assert told.count("no login with [redacted]") == 2
    assert "hunter2" not in told


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
