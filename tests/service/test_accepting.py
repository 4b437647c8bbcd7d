"""A target that needs a human: kept as it is by a signed word, or put back over what others wrote."""

from __future__ import annotations

import pytest

from remediate.errors import Exit, InputError, Refused
from remediate.model.event import Accepted, Event, Overwrite, RunFinished, Verified
from remediate.model.plan import Plan
from remediate.report.lines import event_text
from remediate.report.markdown import render
from remediate.report.run import run_document
from remediate.service import auditing
from remediate.service.approving import accept, let_overwrite
from remediate.service.running import Screen, execute
from remediate.service.runs import load_run
from tests.service.world import World


@pytest.fixture
def meddled(world: World) -> World:
    """Somebody else wrote to the file before it could be put back."""
    world.plan(fail=True)
    world.approve()

    def meddle(_plan: Plan, event: Event) -> None:
        world.seen.append(event)
        if isinstance(event.body, Verified) and not event.body.ok:
            world.file.write_text("someone else's\n")

    assert execute(world.project, world.root / "fix.plan.json", Screen(meddle)) is Exit.NEEDS_HUMAN
    return world


def run_of(world: World) -> str:
    """The only run."""
    return world.project.journal.runs()[0]


def test_other_plans_may_have_it_again(meddled: World) -> None:
    meddled.plan("other.plan.json")
    meddled.approve("other.plan.json")
    with pytest.raises(Refused, match="here is held by run"):
        meddled.run("other.plan.json")
    body = accept(meddled.project, run_of(meddled), "here", meddled.root / "keys/carol", "it is right so")
    assert body.by == "carol"
    assert meddled.project.journal.locks() == []
    assert meddled.file.read_text() == "someone else's\n"
    assert meddled.run("other.plan.json") is Exit.VERIFIED_NEW
    assert "carol keeps it as it is" in event_text(Event(1, "r", 1, 0.0, body, "", ""), None)


def test_nothing_more_is_tried_on_it(meddled: World) -> None:
    run = run_of(meddled)
    accept(meddled.project, run, "here", meddled.root / "keys/carol")
    meddled.file.write_text("new\n")
    assert meddled.run() is Exit.NEEDS_HUMAN
    assert meddled.file.read_text() == "new\n"
    assert meddled.project.journal.locks() == []
    kinds = [type(e.body) for e in load_run(meddled.project, run).events]
    assert kinds.count(RunFinished) == 2
    assert kinds.index(Accepted) < len(kinds) - 1
    assert auditing.audit_runs(meddled.project, run) == []


def test_only_who_may_decide_and_only_what_waits(meddled: World) -> None:
    run = run_of(meddled)
    meddled.settings('\n[approval]\ndecide_roles = ["owner"]\n')
    with pytest.raises(Refused, match="none of the roles owner"):
        accept(meddled.project, run, "here", meddled.root / "keys/carol")
    meddled.settings("")
    with pytest.raises(InputError, match="there does not wait for a human"):
        accept(meddled.project, run, "there", meddled.root / "keys/carol")
    assert meddled.project.journal.locks() != []
    accept(meddled.project, run, "here", meddled.root / "keys/carol")
    with pytest.raises(InputError, match="here does not wait"):
        accept(meddled.project, run, "here", meddled.root / "keys/carol")


def test_a_word_that_was_put_into_the_journal_is_found(meddled: World) -> None:
    meddled.tampered = True
    run = run_of(meddled)
    body = accept(meddled.project, run, "here", meddled.root / "keys/carol")
    forged = body.envelope.replace('"target":"here"', '"target":"there"')
    assert forged != body.envelope
    false = Accepted(target="here", by="carol", envelope=forged)
    journal = meddled.project.journal
    journal.append(run, [false], meddled.clock(), journal.acquire(run, (), "x|y|1|1", meddled.clock(), 60))
    assert any("decision on here" in finding for finding in auditing.audit_runs(meddled.project, run))


def undo_of(world: World) -> str:
    """The step whose undo was held back."""
    ((step, target),) = load_run(world.project, run_of(world)).held_undos
    assert target == "here"
    return step


def run_report(world: World) -> str:
    """The report of the run, as text."""
    loaded = load_run(world.project, run_of(world))
    return render(run_document(loaded.plan, loaded.events))


def test_an_undo_may_overwrite_by_a_signed_word(meddled: World) -> None:
    run, step = run_of(meddled), undo_of(meddled)
    told = run_report(meddled)
    assert f"remediate decide {run} {step} here overwrite" in told
    body = let_overwrite(meddled.project, run, step, "here", meddled.root / "keys/carol", "theirs is wrong")
    assert "carol lets its undo overwrite" in event_text(Event(1, "r", 1, 0.0, body, "", ""), None)
    assert meddled.file.read_text() == "someone else's\n", "a word changes nothing by itself"
    assert meddled.run() is Exit.ROLLED_BACK
    assert "decide" not in run_report(meddled)
    assert not meddled.file.exists(), "as before the run"
    assert meddled.project.journal.locks() == []
    assert auditing.audit_runs(meddled.project, run) == []
    with pytest.raises(InputError, match="does not wait for a human"):
        let_overwrite(meddled.project, run, step, "here", meddled.root / "keys/carol")


def test_only_that_undo_and_only_who_may_decide(meddled: World) -> None:
    run, step = run_of(meddled), undo_of(meddled)
    with pytest.raises(InputError, match="does not wait for a human"):
        let_overwrite(meddled.project, run, "s99", "here", meddled.root / "keys/carol")
    meddled.settings('\n[approval]\ndecide_roles = ["owner"]\n')
    with pytest.raises(Refused, match="none of the roles owner"):
        let_overwrite(meddled.project, run, step, "here", meddled.root / "keys/carol")
    meddled.settings("")
    assert meddled.run() is Exit.NEEDS_HUMAN
    assert meddled.file.read_text() == "someone else's\n", "held back again, without a word"


def test_a_forged_word_to_overwrite_is_found(meddled: World) -> None:
    meddled.tampered = True
    run, step = run_of(meddled), undo_of(meddled)
    body = let_overwrite(meddled.project, run, step, "here", meddled.root / "keys/carol")
    false = Overwrite(step=step, target="here", by="carol", envelope=body.envelope.replace(step, "s77"))
    meddled.project.journal.append(run, [false], meddled.clock(), None)
    assert any(f"decision on {step}" in finding for finding in auditing.audit_runs(meddled.project, run))
