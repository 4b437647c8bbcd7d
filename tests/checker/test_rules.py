"""Each rule finds a record that contradicts its invariant, and nothing in a true one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import pytest

from remediate.checker import RULES, Anchor, Outside, check
from remediate.errors import Exit
from remediate.model.base import State
from remediate.model.change import Window
from remediate.model.event import (
    Body,
    Decided,
    Event,
    Final,
    Inspected,
    Intent,
    Outcome,
    Probed,
    RollbackStarted,
    RunFinished,
    RunStarted,
    RunTaken,
    Settled,
    Verb,
    Verified,
)
from remediate.model.plan import Plan
from remediate.model.step import CheckResult, StepClass, Verdict
from tests.engine.sim import START, Sim, make_plan

Edit = Callable[[list[Event]], list[Event]]


def ran(fault: str = "", *, plan: Plan | None = None, crash_at: int = 0) -> Sim:
    """A run, by default of two targets, with one fault on the first change of the last target."""
    sim = Sim(plan or make_plan(2, 2, patience=5))
    if fault:
        sim.world.faults["s2-change", sim.plan.targets[-1].name] = [fault]
    sim.journal.crash_at = crash_at
    sim.until_done()
    return sim


def told(events: Sequence[Event]) -> list[Event]:
    """Numbered anew, so that only the rule in question has something to say."""
    return [replace(event, number=number) for number, event in enumerate(events, 1)]


def without(meets: Callable[[Body], bool]) -> Edit:
    """The record without what meets this."""
    return lambda events: told([e for e in events if not meets(e.body)])


def changed(meets: Callable[[Body], bool], **fields: object) -> Edit:
    """The record with these fields in the first body that meets this."""

    def edit(events: list[Event]) -> list[Event]:
        place = next(i for i, e in enumerate(events) if meets(e.body))
        body = events[place].body.model_copy(update=fields)
        return [*events[:place], replace(events[place], body=body), *events[place + 1 :]]

    return edit


def again(meets: Callable[[Body], bool], **fields: object) -> Edit:
    """The record with the first body that meets this told twice."""

    def edit(events: list[Event]) -> list[Event]:
        place = next(i for i, e in enumerate(events) if meets(e.body))
        twin = replace(events[place], body=events[place].body.model_copy(update=fields))
        return told([*events[: place + 1], twin, *events[place + 1 :]])

    return edit


def is_a(kind: type, **fields: object) -> Callable[[Body], bool]:
    """Whether a body is of this kind, with these fields."""
    return lambda body: isinstance(body, kind) and all(getattr(body, k) == v for k, v in fields.items())


def moved_to_end(meets: Callable[[Body], bool]) -> Edit:
    """The record with the first body that meets this told last."""

    def edit(events: list[Event]) -> list[Event]:
        place = next(i for i, e in enumerate(events) if meets(e.body))
        return told([*events[:place], *events[place + 1 : -1], events[place], events[-1]])

    return edit


def repeated(meets: Callable[[Body], bool], times: int) -> Edit:
    """The record with the first body that meets this told so often more."""

    def edit(events: list[Event]) -> list[Event]:
        place = next(i for i, e in enumerate(events) if meets(e.body))
        return told([*events[:place], *[events[place]] * times, *events[place:]])

    return edit


def appended(meets: Callable[[Body], bool]) -> Edit:
    """The record with the first body that meets this told once more, at its end."""
    return lambda events: told([*events, next(e for e in events if meets(e.body))])


def rehashed(events: list[Event]) -> list[Event]:
    """The record with another hash in its fourth event."""
    return [*events[:3], replace(events[3], hash="f" * 64), *events[4:]]


FORWARD = is_a(Intent, verb=Verb.APPLY, step="s2-change", target="t1")
BACK = is_a(Intent, verb=Verb.UNDO, step="s2-change", target="t2")
DONE = is_a(Outcome, verb=Verb.APPLY, step="s2-change", target="t1")

CASES = [
    ("V1", "", changed(is_a(RunStarted), plan="0" * 64), "was started with plan"),
    ("V1", "", changed(is_a(RunStarted), approvals=("bob",)), "runs what bob approved"),
    ("V1", "", changed(FORWARD, step="s9-other"), "is not in the plan"),
    ("V1", "", changed(FORWARD, target="t9"), "is not in the plan"),
    ("V1", "", again(is_a(RunStarted)), "started twice"),
    ("V1", "", without(is_a(RunStarted)), "does not begin"),
    ("V2", "", without(is_a(Inspected, target="t1")), "not found as approved"),
    ("V2", "", changed(is_a(Inspected, target="t1"), ok=False), "not found as approved"),
    ("V2", "", changed(FORWARD, before={"file:/1": "theirs"}), "not as known"),
    ("V4", "", without(is_a(Verified, step="s1-backup", target="t1")), "without the verified backup"),
    ("V4", "", without(is_a(Intent, step="s1-backup", target="t1")), "without"),
    ("V5", "", without(FORWARD), "ended without an intent"),
    ("V5", "", again(DONE), "ended without an intent"),
    ("V6", "", lambda events: [*events[:5], *events[6:]], "belongs"),
    ("V7", "doubt-after", again(is_a(Probed, verdict=Verdict.APPLIED), verdict=Verdict.NOT_APPLIED), "then"),
    ("V8", "doubt-after", without(is_a(Probed, target="t2")), "in doubt"),
    ("V9", "fail-after", changed(BACK, before={"file:/1": "theirs"}), "foreign change of file:/1"),
    ("V10", "", without(is_a(Settled, target="t1")), "t1 has no end"),
    ("V10", "", changed(is_a(RunFinished), exit_code=4), "exit code 4"),
    ("V10", "", without(is_a(Verified, step="s3-change", target="t1")), "is not verified"),
    ("V10", "", without(is_a(Outcome, step="s3-change", target="t1")), "not known to be done"),
    ("V10", "fail-after", without(is_a(Outcome, verb=Verb.UNDO, target="t2")), "never undone"),
    ("V11", "fail-after", without(is_a(RollbackStarted)), "no rollback of it"),
    ("V11", "verify", moved_to_end(is_a(Intent, verb=Verb.UNDO, step="s2-change")), "out of order"),
    ("V12", "", changed(is_a(RunStarted), targets=0), "it started 0 targets"),
    ("V14", "", rehashed, "event 5 does not follow event 4"),
    ("L1", "", appended(FORWARD), "intent follows the run's end"),
    ("L1", "fail-after", repeated(BACK, 30), "had 31 undos"),
    ("L1", "", repeated(FORWARD, 2), "had 3 attempts; 2 are allowed"),
    ("L1", "doubt-after", repeated(is_a(Probed), 30), "had 31 probes"),
]  # fmt: skip


@pytest.mark.parametrize(("invariant", "fault", "edit", "says"), CASES)
def test_a_record_that_contradicts_it(invariant: str, fault: str, edit: Edit, says: str) -> None:
    sim = ran(fault)
    assert check(sim.plan, sim.journal.events, sim.world.facts) == ()
    found = check(sim.plan, edit(list(sim.journal.events)))
    assert any(v.invariant == invariant and says in v.text for v in found), found


#: The number of the last event of the run without a fault.
ENDS = 25
OUTSIDE = [
    ("V13", Outside(told=(1, 5, 5)), "event 5 after event 5"),
    ("V13", Outside(told=(1, 9, 5)), "event 5 after event 9"),
    ("V13", Outside(told=(1, 5)), "its ticket tells up to event 5"),
    ("V13", Outside(told=()), "its ticket tells up to event 0"),
    ("V14", Outside(told=(1, 9999)), "its end was cut off"),
    ("V14", Outside(anchors=(Anchor(1, 1, "f" * 64),)), "event 1 is not the one"),
    ("V14", Outside(anchors=(Anchor(1, 2, ""),)), "event 1 is not the one"),
    ("V14", Outside(told=(1, ENDS), witnessed=frozenset({"run-started"})), "no checkpoint of event 1"),
    ("V15", Outside(secret=lambda text: "run-started" in text), "event 1 (run-started) holds a secret"),
    ("V15", Outside(writings={"log.md": "s3"}, secret=lambda text: text == "s3"), "log.md holds a secret"),
]


@pytest.mark.parametrize(("invariant", "beside", "says"), OUTSIDE)
def test_what_others_hold_contradicts_it(invariant: str, beside: Outside, says: str) -> None:
    sim = ran()
    found = check(sim.plan, sim.journal.events, beside=beside)
    assert any(v.invariant == invariant and says in v.text for v in found), found
    assert {v.invariant for v in found} == {invariant}


def test_what_others_hold_agrees() -> None:
    sim = ran()
    events = sim.journal.events
    beside = Outside(
        told=(1, 4, len(events)),
        anchors=(Anchor(1, 1, ""), Anchor(len(events), len(events), "")),
        witnessed=frozenset({"run-started", "run-finished"}),
        writings={"log.md": "harmless"},
        secret=lambda text: "s3cr3t" in text,
    )
    assert check(sim.plan, events, beside=beside) == ()


def test_of_a_run_that_goes_on_the_ticket_tells_so_far() -> None:
    sim = ran()
    assert check(sim.plan, sim.journal.events[:5], beside=Outside(told=(1,))) == ()


def test_every_rule_has_a_case() -> None:
    """V3 has its cases below."""
    cases = {case[0] for case in CASES} | {case[0] for case in OUTSIDE}
    assert cases | {"V3"} == set(RULES)
    assert set(RULES) == {f"V{number}" for number in range(1, 16)} | {"L1"}


def test_forward_after_the_rollback_began() -> None:
    sim = ran("fail")
    events = list(sim.journal.events)
    place = next(i for i, e in enumerate(events) if isinstance(e.body, RollbackStarted))
    late = next(e for e in events if FORWARD(e.body))
    found = check(sim.plan, told([*events[: place + 1], late, *events[place + 1 :]]))
    assert any(v.invariant == "V3" and "after the rollback" in v.text for v in found)


def test_forward_outside_the_window() -> None:
    plan = make_plan(2, 2, window=Window(start=START, end=START.replace(hour=6)))
    sim = ran(plan=plan)
    assert check(plan, sim.journal.events) == ()
    events = [replace(e, at=e.at + 86400) if FORWARD(e.body) else e for e in sim.journal.events]
    assert [v.invariant for v in check(plan, events)] == ["V3"]


def test_an_attempt_that_was_cut_off_is_in_doubt() -> None:
    """A takeover between intent and outcome, and the next process goes on as if it had seen the outcome."""
    sim = ran()
    events = list(sim.journal.events)
    place = next(i for i, e in enumerate(events) if FORWARD(e.body)) + 1
    taken = replace(events[place], body=RunTaken(runner="bob", tool_version="0"))
    looked = [replace(taken, body=Inspected(wave=0, target=name, ok=True)) for name in sim.plan.by_name]
    cut = [e for e in events[place:] if not DONE(e.body)]
    found = check(sim.plan, told([*events[:place], taken, *looked, *cut]))
    assert any(v.invariant == "V8" and "verified while it was in doubt" in v.text for v in found)


def test_only_what_may_be_repeated_is() -> None:
    for step_class in StepClass:
        sim = ran(plan=make_plan(1, 1, step_class=step_class))
        events = list(sim.journal.events)
        place = next(i for i, e in enumerate(events) if FORWARD(e.body))
        twice = told([*events[: place + 1], events[place], *events[place + 1 :]])
        found = [v for v in check(sim.plan, twice) if "of class" in v.text]
        assert bool(found) == (step_class in (StepClass.SELF_REVERTING, StepClass.OPAQUE))


@pytest.mark.parametrize(("fault", "final"), [("", Final.NEW), ("fail-after", Final.ORIGINAL)])
def test_a_target_that_is_not_what_its_end_says(fault: str, final: Final) -> None:
    sim = ran(fault)
    facts: dict[str, State] = {name: dict(state) for name, state in sim.world.facts.items()}
    facts["t2"]["file:/2"] = "something else"
    (found,) = check(sim.plan, sim.journal.events, facts)
    assert found.text == f"t2 ended {final.value}, and file:/2 is something else"


def test_one_that_needs_a_human_may_be_anything() -> None:
    sim = ran("doubt", plan=make_plan(1, 1, step_class=StepClass.OPAQUE, patience=1))
    sim.world.facts["t1"]["file:/1"] = "anything"
    assert check(sim.plan, sim.journal.events, sim.world.facts) == ()


@pytest.mark.parametrize(
    ("verdict", "code"), [(Verdict.APPLIED, Exit.VERIFIED_NEW), (Verdict.NOT_APPLIED, Exit.ROLLED_BACK)]
)
def test_a_human_decided(verdict: Literal[Verdict.APPLIED, Verdict.NOT_APPLIED], code: Exit) -> None:
    """What nobody can probe is settled by a signed word, and that is an end like any other."""
    sim = Sim(make_plan(1, 1, step_class=StepClass.OPAQUE, patience=1))
    applied = verdict is Verdict.APPLIED
    sim.world.faults["s2-change", "t1"] = ["doubt-after" if applied else "doubt"]
    assert sim.until_done() is Exit.NEEDS_HUMAN
    word = Decided(step="s2-change", target="t1", attempt=1, verdict=verdict, by="carol", envelope="{}")
    sim.journal.record(word)
    ended = sim.until_done()
    assert ended in (code, Exit.ROLLED_BACK)
    assert check(sim.plan, sim.journal.events, sim.world.facts) == ()


def test_a_run_that_goes_on_may_be_judged() -> None:
    sim = ran("verify", crash_at=7)
    for length in range(len(sim.journal.events)):
        assert check(sim.plan, sim.journal.events[:length]) == ()


def test_a_false_success() -> None:
    """Verified new, though the change failed and was never undone."""
    sim = ran("fail-after")
    end = [e for e in sim.journal.events if not isinstance(e.body, RollbackStarted)]
    lie = changed(is_a(Settled, target="t2"), final=Final.NEW)(told(end))
    assert any(v.invariant == "V10" and "verified new" in v.text for v in check(sim.plan, lie))
    bad = CheckResult(title="health", ok=False)
    failed = changed(is_a(Verified, step="s3-change", target="t1"), results=(bad,))(
        list(ran().journal.events)
    )
    assert any("is not verified" in v.text for v in check(sim.plan, failed))
