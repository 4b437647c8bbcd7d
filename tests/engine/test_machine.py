"""The engine over a simulated world: every path ends in a state that somebody knows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from remediate.errors import Exit
from remediate.model.change import Window
from remediate.model.event import Decided, Final, Intent, RollbackStarted, Verb
from remediate.model.results import UNDO_SECONDS
from remediate.model.runbook import Scope
from remediate.model.step import Estimate, Role, StepClass, Verdict
from tests.engine.sim import START, Crash, Sim, make_plan


def finals(sim: Sim) -> dict[str, Final | None]:
    return {n: t.settled for n, t in sim.state.targets.items()}


def original(sim: Sim, target: str) -> bool:
    return sim.world.facts[target] == sim.plan.original(target)


def test_all_goes_well() -> None:
    sim = Sim(make_plan(targets=4, wave=2))
    assert sim.process() is Exit.VERIFIED_NEW
    assert set(finals(sim).values()) == {Final.NEW}
    assert len(sim.world.applied) == 4 * 3
    assert not any(original(sim, n) for n in sim.plan.by_name)


def test_steps_go_in_order_over_a_wave_before_the_next_wave() -> None:
    sim = Sim(make_plan(targets=4, wave=2, changes=1))
    sim.process()
    steps = [s for s, _ in sim.world.applied]
    assert steps == ["s1-backup"] * 2 + ["s2-change"] * 2 + ["s1-backup"] * 2 + ["s2-change"] * 2


@pytest.mark.parametrize("fault", ["fail", "fail-after", "verify"])
def test_a_failure_rolls_everything_back_in_reverse(fault: str) -> None:
    sim = Sim(make_plan(targets=4, wave=2))
    sim.world.faults["s3-change", "t4"] = [fault]
    assert sim.process() is Exit.ROLLED_BACK
    assert set(finals(sim).values()) == {Final.ORIGINAL}
    assert all(original(sim, n) for n in sim.plan.by_name)
    undone = [e.body for e in sim.journal.events if isinstance(e.body, Intent) and e.body.verb is Verb.UNDO]
    order = [(sim.plan.step_index[b.step], b.target) for b in undone]
    second = [i for i, t in order if t in ("t3", "t4")]
    assert second == sorted(second, reverse=True)
    assert [t for _, t in order[: len(second)]] == [t for _, t in order if t in ("t3", "t4")]


def test_the_failing_step_itself_is_undone() -> None:
    sim = Sim(make_plan(targets=1))
    sim.world.faults["s2-change", "t1"] = ["fail-after"]
    sim.process()
    undone = {
        e.body.step for e in sim.journal.events if isinstance(e.body, Intent) and e.body.verb is Verb.UNDO
    }
    assert undone == {"s2-change", "s1-backup"}


def test_a_backup_restores_where_its_step_stood_not_at_the_end() -> None:
    """Drain, patch (protected by a backup), return: the host is whole before it takes traffic again."""
    plan = make_plan(targets=1, changes=3)
    backup, drain, patch, back = plan.steps
    backup = backup.model_copy(update={"protects": (patch.id,), "observed": patch.observed})
    patch = patch.model_copy(update={"undoable": False})
    sim = Sim(plan.model_copy(update={"steps": (backup, drain, patch, back)}))
    sim.world.faults[back.id, "t1"] = ["fail"]
    plain = sim.world.undo

    def undo(step, jobs):  # type: ignore[no-untyped-def]
        if step != backup.id:
            for job in jobs:
                sim.world.facts[job.target].update(job.before)
        return plain(step, jobs)

    sim.world.undo = undo  # type: ignore[method-assign]
    assert sim.process() is Exit.ROLLED_BACK
    undone = [
        e.body.step for e in sim.journal.events if isinstance(e.body, Intent) and e.body.verb is Verb.UNDO
    ]
    assert undone == [back.id, backup.id, drain.id]


def test_a_plan_of_checks_alone_ends_verified_new() -> None:
    plan = make_plan(targets=2, changes=1)
    check = plan.steps[1].model_copy(update={"role": Role.CHECK, "observed": {"t1": {}, "t2": {}}})
    sim = Sim(plan.model_copy(update={"steps": (check,)}))
    assert sim.process() is Exit.VERIFIED_NEW
    assert sim.world.applied == []


def test_the_failure_budget_is_cumulative() -> None:
    sim = Sim(make_plan(targets=6, wave=2, budget=1))
    sim.world.faults["s2-change", "t1"] = ["fail"]
    assert sim.process() is Exit.ROLLED_BACK
    assert finals(sim)["t1"] is Final.ORIGINAL
    assert [f for n, f in finals(sim).items() if n != "t1"] == [Final.NEW] * 5

    sim = Sim(make_plan(targets=6, wave=2, budget=1))
    sim.world.faults["s2-change", "t1"] = ["fail"]
    sim.world.faults["s2-change", "t5"] = ["fail"]
    assert sim.process() is Exit.ROLLED_BACK
    assert set(finals(sim).values()) == {Final.ORIGINAL}


@pytest.mark.parametrize(
    ("scope", "new"),
    [(Scope.RUN, set[str]()), (Scope.WAVE, {"t1", "t2"}), (Scope.TARGET, {"t1", "t2"})],
)
def test_the_scope_of_a_rollback(scope: Scope, new: set[str]) -> None:
    sim = Sim(make_plan(targets=6, wave=2, scope=scope))
    sim.world.faults["s3-change", "t3"] = ["fail"]
    assert sim.process() is Exit.ROLLED_BACK
    assert {n for n, f in finals(sim).items() if f is Final.NEW} == new
    assert not {n for n in ("t5", "t6") if sim.state.targets[n].touched}


def test_doubt_is_probed_and_settled() -> None:
    for fault in ("doubt", "doubt-after", "late"):
        sim = Sim(make_plan(targets=2))
        sim.world.faults["s2-change", "t2"] = [fault]
        assert sim.process() is Exit.VERIFIED_NEW, fault
        assert len(set(sim.world.applied)) == len(sim.world.applied), f"{fault}: applied twice"


def test_an_opaque_step_in_doubt_needs_a_human_and_keeps_its_lock() -> None:
    sim = Sim(make_plan(targets=2, step_class=StepClass.OPAQUE))
    sim.world.faults["s2-change", "t2"] = ["doubt-after"]
    assert sim.process() is Exit.NEEDS_HUMAN
    assert finals(sim) == {"t1": Final.ORIGINAL, "t2": Final.HUMAN}
    assert sim.world.applied.count(("s2-change", "t2")) == 1


@pytest.mark.parametrize("verdict", [Verdict.APPLIED, Verdict.NOT_APPLIED])
def test_a_decision_holds_once_the_target_was_read(verdict: Verdict) -> None:
    """What the attempt left is known before it is undone: it is ours, nobody else's."""
    sim = Sim(make_plan(targets=1, step_class=StepClass.OPAQUE))
    sim.world.faults["s2-change", "t1"] = ["doubt-after" if verdict is Verdict.APPLIED else "doubt"]
    assert sim.process() is Exit.NEEDS_HUMAN
    sim.journal.record(
        Decided(step="s2-change", target="t1", attempt=1, verdict=verdict, by="dan", envelope="{}")
    )
    sim.world.unreachable = lambda _: True
    assert sim.process() is Exit.NEEDS_HUMAN
    sim.world.unreachable = lambda _: False
    assert sim.process() is Exit.ROLLED_BACK
    assert sim.world.applied.count(("s2-change", "t1")) == (verdict is Verdict.APPLIED)
    assert sim.world.facts["t1"] == sim.plan.original("t1")


def test_a_host_that_drops_off_is_in_doubt_and_settled_when_it_returns() -> None:
    sim = Sim(make_plan(targets=2, patience=120))
    begin = sim.clock() + 0.0
    sim.world.faults["s2-change", "t2"] = ["doubt-after"]
    sim.world.unreachable = lambda t: (
        t == "t2" and ("s2-change", "t2") in sim.world.applied and (sim.clock() < begin + 45)
    )
    assert sim.process() is Exit.VERIFIED_NEW
    assert sim.clock() >= begin + 45


def test_a_host_that_stays_away_needs_a_human_and_another_run_settles_it() -> None:
    sim = Sim(make_plan(targets=2, patience=20))
    sim.world.faults["s2-change", "t2"] = ["doubt-after"]
    gone = [True]
    sim.world.unreachable = lambda t: t == "t2" and ("s2-change", "t2") in sim.world.applied and gone[0]
    assert sim.process() is Exit.NEEDS_HUMAN
    assert finals(sim) == {"t1": Final.ORIGINAL, "t2": Final.HUMAN}
    gone[0] = False
    assert sim.process() is Exit.ROLLED_BACK
    assert finals(sim) == {"t1": Final.ORIGINAL, "t2": Final.ORIGINAL}


def test_drift_before_the_first_step_touches_nothing() -> None:
    sim = Sim(make_plan(targets=2))
    sim.world.facts["t2"]["file:/2"] = "someone else's"
    assert sim.process() is Exit.ROLLED_BACK
    assert sim.world.applied == []
    assert sim.world.facts["t2"]["file:/2"] == "someone else's"


def test_undo_never_overwrites_a_foreign_change() -> None:
    sim = Sim(make_plan(targets=1))
    sim.world.faults["s3-change", "t1"] = ["verify"]
    plain = sim.world.verify

    def meddle(step, jobs):  # type: ignore[no-untyped-def]
        if step == "s3-change":
            sim.world.facts["t1"]["file:/1"] = "someone else's"
        return plain(step, jobs)

    sim.world.verify = meddle  # type: ignore[method-assign]
    assert sim.process() is Exit.NEEDS_HUMAN
    assert sim.world.facts["t1"]["file:/1"] == "someone else's"


@pytest.mark.parametrize("fault", ["undo-fail", "undo-doubt"])
def test_undo_is_tried_again(fault: str) -> None:
    sim = Sim(make_plan(targets=1))
    sim.world.faults["s2-change", "t1"] = ["fail-after", fault]
    assert sim.process() is Exit.ROLLED_BACK
    sim = Sim(make_plan(targets=1))
    sim.world.faults["s2-change", "t1"] = ["fail-after", *["undo-fail"] * 3]
    assert sim.process() is Exit.NEEDS_HUMAN


def test_an_irreversible_step_is_never_called_original() -> None:
    sim = Sim(make_plan(targets=1, irreversible="the mail is sent"))
    sim.world.faults["s3-change", "t1"] = ["fail"]
    assert sim.process() is Exit.NEEDS_HUMAN


def test_the_final_verification_can_still_roll_back() -> None:
    sim = Sim(make_plan(targets=2))
    sim.world.faults["", "t2"] = ["final"]
    assert sim.process() is Exit.ROLLED_BACK
    assert set(finals(sim).values()) == {Final.ORIGINAL}


def test_after_a_soak_the_checks_are_asked_again_before_the_next_wave() -> None:
    sim = Sim(make_plan(targets=2, wave=1, soak=300))
    sim.world.faults["", "t1"] = ["final"]
    assert sim.process() is Exit.ROLLED_BACK
    assert not sim.state.targets["t2"].touched
    assert sim.state.failed["t1"].startswith("acceptance: ")
    assert sim.clock() >= START.timestamp() + 300

    sim = Sim(make_plan(targets=3, wave=1, soak=300, budget=1))
    sim.world.faults["", "t1"] = ["final"]
    assert sim.process() is Exit.ROLLED_BACK
    assert finals(sim) == {"t1": Final.ORIGINAL, "t2": Final.NEW, "t3": Final.NEW}


def test_point_of_no_return() -> None:
    """Backup 15 s + undo 10; change 1: 15 + undo 20; change 2: 15 + undo 30: 60 s are just enough."""
    slow = Estimate(apply=10, verify=5, undo=10)
    for seconds, code in ((36, Exit.ROLLED_BACK), (46, Exit.VERIFIED_NEW)):
        window = Window(start=START, end=START + timedelta(seconds=seconds))
        sim = Sim(make_plan(targets=1, window=window, estimate=slow))
        assert sim.process() is code, seconds
    stops = [e.body for e in sim.journal.events if isinstance(e.body, RollbackStarted)]
    assert stops == []


def test_a_measured_restore_counts_instead_of_its_estimate() -> None:
    """46 s are enough by the estimates; a backup whose own restore took 30 s needs 20 s more than planned."""
    for measured, code in ((30.0, Exit.ROLLED_BACK), (10.0, Exit.VERIFIED_NEW)):
        window = Window(start=START, end=START + timedelta(seconds=46))
        slow = Estimate(apply=10, verify=5, undo=10)
        sim = Sim(make_plan(targets=1, window=window, estimate=slow))
        plain = sim.world.apply

        def prove(step, jobs, plain=plain, measured=measured):  # type: ignore[no-untyped-def]
            data = {UNDO_SECONDS: measured} if step == "s1-backup" else {}
            return {n: r.model_copy(update={"data": data}) for n, r in plain(step, jobs).items()}

        sim.world.apply = prove  # type: ignore[method-assign]
        assert sim.process() is code, measured


def test_revoked_while_it_runs() -> None:
    sim = Sim(make_plan(targets=2))
    plain = sim.world.apply

    def revoke(step, jobs):  # type: ignore[no-untyped-def]
        sim.world.refuse = "carol revoked her approval"
        return plain(step, jobs)

    sim.world.apply = revoke  # type: ignore[method-assign]
    assert sim.process() is Exit.ROLLED_BACK
    assert all(original(sim, n) for n in sim.plan.by_name)


@pytest.mark.parametrize(
    "faults", [{}, {("s3-change", "t2"): ["fail-after"]}, {("s2-change", "t1"): ["verify"]}]
)
@pytest.mark.parametrize("lose", [False, True])
def test_a_crash_at_every_append_and_one_in_the_recovery(
    faults: dict[tuple[str, str], list[str]], lose: bool
) -> None:
    plan = make_plan(targets=2)
    reference = Sim(plan)
    reference.world.faults = {k: list(v) for k, v in faults.items()}
    expected = reference.process()
    appends = reference.journal.appends
    for first in range(2, appends + 1):
        for second in (0, 1, 2, 3):
            sim = Sim(plan)
            sim.world.faults = {k: list(v) for k, v in faults.items()}
            sim.journal.crash_at, sim.journal.lose = first, lose
            with pytest.raises(Crash):
                sim.process()
            sim.clock.now += 5
            if second:
                sim.journal.crash_at = sim.journal.appends + second
            code = sim.until_done()
            assert code in (expected, Exit.ROLLED_BACK, Exit.VERIFIED_NEW), (first, second)
            settled = {t.settled for t in sim.state.targets.values()}
            assert settled in ({Final.NEW}, {Final.ORIGINAL}), (first, second, settled)
            if code is Exit.ROLLED_BACK:
                assert all(original(sim, n) for n in plan.by_name)
            changes = [a for a in sim.world.applied if a[0] != "s1-backup"]
            assert len(set(changes)) == len(changes), "applied twice"


@pytest.mark.parametrize("fault", ["crash-before", "crash-after"])
@pytest.mark.parametrize("step", ["s1-backup", "s2-change", "s3-change"])
def test_a_crash_around_the_effect(fault: str, step: str) -> None:
    sim = Sim(make_plan(targets=2))
    sim.world.faults[step, "t1"] = [fault]
    assert sim.until_done() is Exit.VERIFIED_NEW
    assert len(set(sim.world.applied)) == len(sim.world.applied), "applied twice"


def test_interrupt_stops_safely_and_goes_on() -> None:
    sim = Sim(make_plan(targets=2))
    asked = iter([False] * 8 + [True] * 100)
    sim.interrupted = lambda: next(asked)
    assert sim.process() is Exit.INTERRUPTED
    sim.interrupted = lambda: False
    assert sim.process() is Exit.VERIFIED_NEW
    assert len(set(sim.world.applied)) == len(sim.world.applied)
