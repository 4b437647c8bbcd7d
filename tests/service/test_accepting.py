"""A target that needs a human is kept as it is by a signed word, and let go."""

from __future__ import annotations

import pytest

from remediate.errors import Exit, InputError, Refused
from remediate.model.event import Accepted, Event, RunFinished, Verified
from remediate.model.plan import Plan
from remediate.report.lines import event_text
from remediate.service import auditing
from remediate.service.approving import accept
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
    run = run_of(meddled)
    body = accept(meddled.project, run, "here", meddled.root / "keys/carol")
    forged = body.envelope.replace('"target":"here"', '"target":"there"')
    assert forged != body.envelope
    false = Accepted(target="here", by="carol", envelope=forged)
    journal = meddled.project.journal
    journal.append(run, [false], meddled.clock(), journal.acquire(run, (), "x|y|1|1", meddled.clock(), 60))
    assert any("decision on here" in finding for finding in auditing.audit_runs(meddled.project, run))
