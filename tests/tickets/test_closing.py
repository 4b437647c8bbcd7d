"""A finished run whose ticket lacks something: an earlier process died over it."""

from __future__ import annotations

from collections import deque

import pytest

from remediate.errors import Exit, Refused, Waiting
from remediate.model.event import Progress
from remediate.model.plan import Plan
from remediate.service import running
from remediate.service.project import Project
from remediate.service.running import Screen
from remediate.service.runs import load_run
from remediate.service.ticketing import make_outbox
from remediate.tickets.interface import TicketDown, TicketSystem
from tests.service.world import World

from .fake import FakeTickets


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """With one run that has ended well; these tests only read it."""
    found = World.make(tmp_path_factory.mktemp("closing") / "project")
    found.done()
    return found


@pytest.fixture
def tickets() -> FakeTickets:
    """A ticket system with a status, on which nothing of the run stands yet."""
    return FakeTickets(known=frozenset({"T-1"}))


def _project(world: World, tickets: FakeTickets) -> Project:
    project = world.project
    system: TicketSystem = tickets
    project.__dict__["tickets"] = system
    return project


def _again(world: World, tickets: FakeTickets) -> Exit:
    """What `remediate run FILE` does of a plan whose run has ended."""
    project = _project(world, tickets)
    return running.resume(project, project.find_run("last"), Screen())


def _lines(world: World, tickets: FakeTickets) -> None:
    """The whole log, without the status: the process died between the two."""
    project = _project(world, tickets)
    run = project.find_run("last")
    outbox = make_outbox(project, _plan(world), run, lambda _: None, status=False)
    assert outbox.flush(20)
    outbox.stop()
    assert tickets.status == "approved"


def _plan(world: World) -> Plan:
    return load_run(world.project, "last").plan


def test_ticket_that_lacks_only_its_status(world: World, tickets: FakeTickets) -> None:
    _lines(world, tickets)
    before = list(tickets.shown)
    assert _again(world, tickets) is Exit.VERIFIED_NEW
    assert tickets.status == "verified-new"
    assert tickets.shown == before
    for _ in range(2):
        with pytest.raises(Refused, match="used up by run"):
            _again(world, tickets)
    assert tickets.shown == before


def test_ticket_that_lacks_its_last_entries(world: World, tickets: FakeTickets) -> None:
    assert _again(world, tickets) is Exit.VERIFIED_NEW
    before = list(tickets.shown)
    assert before
    assert tickets.status == "verified-new"
    with pytest.raises(Refused, match="used up by run"):
        _again(world, tickets)
    assert tickets.shown == before


def test_status_that_is_refused_is_noted_once(world: World, tickets: FakeTickets) -> None:
    _lines(world, tickets)
    tickets.refuse_status = True
    assert _again(world, tickets) is Exit.VERIFIED_NEW
    (note,) = [entry for entry in tickets.shown if entry.run.endswith(".status")]
    assert "every system is changed and verified, but the ticket's status could not be set" in note.text
    before = list(tickets.shown)
    with pytest.raises(Refused, match="used up by run"):
        _again(world, tickets)
    assert tickets.shown == before


def test_ticket_system_that_is_down_says_so_at_once(world: World, tickets: FakeTickets) -> None:
    tickets.down_until = 1e9
    with pytest.raises(TicketDown):
        _again(world, tickets)


def test_ticket_that_cannot_be_completed(world: World, tickets: FakeTickets) -> None:
    world.settings("[limits]\nclosing = 0.2\n")
    try:
        tickets.fates = deque(["refused"] * 9)
        with pytest.raises(Waiting, match="could not be completed"):
            _again(world, tickets)
    finally:
        world.settings("")


def test_later_run_has_the_status_of_its_own(world: World, tickets: FakeTickets) -> None:
    """Somebody repeats the command of an old plan while another one is carried out for the same ticket."""
    _lines(world, tickets)
    project = _project(world, tickets)
    first = project.journal.events(run := project.find_run("last"))[0].body
    other = first.model_copy(update={"plan": "b" * 64, "plan_id": "p-2"})
    lease = project.journal.acquire("r-later", [], "test", 0.0, 1e9)
    project.journal.append("r-later", [other, Progress(text="on")], 0.0, lease)
    tickets.status = "in progress"
    with pytest.raises(Refused, match="used up by run"):
        running.resume(project, run, Screen())
    assert tickets.status == "in progress"
