"""The run turns back in the same instant in which a step is begun somewhere: both go through one journal."""

from __future__ import annotations

from remediate.engine.action import Record
from remediate.engine.fold import replay
from remediate.engine.machine import decide
from remediate.engine.runner import Message, Runner
from remediate.errors import Exit
from remediate.model.event import (
    Body,
    Event,
    Inspected,
    Intent,
    Outcome,
    RollbackStarted,
    RunFinished,
    RunStarted,
    Verb,
)
from remediate.model.plan import Plan
from remediate.model.runbook import Scope
from remediate.model.step import Result, Status
from tests.engine.sim import Clock, Sim, SimInbox, compare, make_plan

FAILED = Result(status=Status.FAILED, summary="it failed")


def told(plan: Plan, *bodies: Body) -> list[Event]:
    """Events with these bodies."""
    started = RunStarted(
        plan=plan.digest, plan_id="p-1", ticket="7", runbook="sim", runner="bob", tool_version="0",
        targets=len(plan.targets), steps=len(plan.steps),
    )  # fmt: skip
    return [Event(n, "r-1", n, 1.0 * n, b, "", "") for n, b in enumerate((started, *bodies), 1)]


def intent(target: str) -> Intent:
    """The backup, which is the first step, is begun."""
    return Intent(verb=Verb.APPLY, step="s1-backup", target=target, attempt=1)


def failed(target: str) -> Outcome:
    """And fails."""
    return Outcome(verb=Verb.APPLY, step="s1-backup", target=target, attempt=1, result=FAILED)


def test_who_was_touched_meanwhile_belongs_to_the_rollback() -> None:
    """Else it would be read back, be as this run knows it, and be called verified new."""
    plan = make_plan(targets=3, changes=1)
    looks = [Inspected(wave=0, target=name, ok=True) for name in plan.by_name]
    turned = RollbackStarted(targets=("t1",), reason="it failed", stop=True)
    events = told(plan, *looks, intent("t1"), failed("t1"), intent("t2"), turned)
    (action,) = decide(replay(plan, events), 100.0)
    assert isinstance(action, Record)
    assert isinstance(action.body, RollbackStarted)
    assert (action.body.targets, action.body.stop) == (("t2",), False)


def test_a_rollback_reaches_no_further_than_its_plan_says() -> None:
    """What stays as it is according to the plan's scope is not swept up afterwards."""
    sim = Sim(make_plan(targets=4, wave=2, scope=Scope.WAVE))
    sim.world.faults["s2-change", "t3"] = ["fail"]
    assert sim.process() is Exit.ROLLED_BACK
    named = [b.targets for b in (e.body for e in sim.journal.events) if isinstance(b, RollbackStarted)]
    assert named == [("t3", "t4")]


class _LastFirst(SimInbox):
    """The action that was asked for last goes on first; the others, while the turning back is recorded."""

    def get(self, timeout: float) -> Message | None:
        if not self._messages and timeout > 0 and self._work:
            self._work.pop()()
        return super().get(timeout)

    def rush(self) -> None:
        while self._work:
            self._work.pop()()


def test_no_step_is_begun_after_the_decision_to_turn_back() -> None:
    plan = make_plan(targets=2, changes=1)
    sim = Sim(plan, Clock())
    sim.world.faults["s2-change", "t2"] = ["fail"]
    inbox = _LastFirst(sim.clock)
    sim.journal.deliver = inbox.put
    sim.journal.record(told(plan)[0].body)
    plain = sim.journal.record

    def record(*bodies: Body) -> None:
        plain(*bodies)
        if any(isinstance(b, RollbackStarted) for b in bodies):
            inbox.rush()

    sim.journal.record = record  # type: ignore[method-assign]
    state = replay(plan, sim.journal.events)
    runner = Runner(plan, state, sim.world, sim.journal, inbox, inbox, sim.clock, compare)
    assert runner.run() is Exit.ROLLED_BACK
    bodies = [e.body for e in sim.journal.events]
    turned = next(n for n, b in enumerate(bodies) if isinstance(b, RollbackStarted))
    assert not [b for b in bodies[turned:] if isinstance(b, Intent) and b.verb is Verb.APPLY]
    assert isinstance(bodies[-1], RunFinished)
    assert ("s2-change", "t1") not in sim.world.applied
