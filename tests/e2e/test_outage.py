"""Request Tracker as the ticket system: what stands there, and what happens while it is down.

An outage blocks the beginning and the end of a run, never an undo; afterwards the log is complete, in order,
without a repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from remediate.lab.command import LabError
from remediate.lab.rt import RequestTracker
from tests.e2e.conftest import touching_nothing
from tests.e2e.outside import Change, Mode, Proxy, proxy, wait_until_posted
from tests.e2e.ticket import complete
from tests.e2e.world import World, differences

pytestmark = [pytest.mark.lab, pytest.mark.slow]

ONE = ("--limit", "web1")


@dataclass
class Desk:
    """A project whose tickets are in Request Tracker, behind a proxy; and one change request there."""

    world: World
    way: Proxy
    change: Change

    def approved(self, runbook: str, *args: str) -> str:
        """A plan for the change request that may run."""
        plan = self.world.plan(runbook, *args, ticket=str(self.change.number))
        self.world.approve(plan)
        return plan.name


@pytest.fixture
def desk(world: World) -> Iterator[Desk]:
    """Made anew for each test; the tracker is the lab's own, which keeps what it was told."""
    tracker = RequestTracker()
    try:
        number = tracker.create_change("e2e", "Please.", "customer@example.com")
    except LabError as error:
        pytest.fail(f"{error}: remediate lab up")
    with proxy() as way:
        url = f'url = "http://127.0.0.1:{way.port}"\ntimeout = 15.0'
        token = f'token = "file:{tracker.root / "token"}"'
        world.configure('[limits]\nclosing = "4s"', f'[ticket]\nsystem = "rt"\n\n[ticket.rt]\n{url}\n{token}')
        yield Desk(world, way, Change(number, tracker))
        way.set(Mode.UP)
        world.audit()


def test_success_is_on_the_ticket(desk: Desk) -> None:
    """Plan with the request for approval, every event once and in order, the result, the report."""
    world, change = desk.world, desk.change
    world.go("web1")
    world.edit("remediate.toml", lambda text: text.replace('closing = "4s"', 'closing = "60s"'))
    world.cli("run", desk.approved("hold", *ONE)).expect(0)
    found = change.entries()
    complete(world, found=found)
    assert "Please review and approve plan" in found[0].text
    assert change.attachment(found[0].attachments[-1]) == (world.root / "fix.plan.json").read_bytes()
    last = [e for e in found if e.public][-1]
    assert "verified new" in last.text
    report = next(name for name in last.attachments if "report" in name)
    assert b"web1" in change.attachment(report)
    world.cli("run", "fix.plan.json").expect(3)
    world.cli("rollback", "last").expect(4)
    complete(world, found=change.entries())


@pytest.mark.fault("ticket", "before", "vanished", "not begun, nothing touched")
@pytest.mark.parametrize("mode", [Mode.DOWN, Mode.SILENT])
def test_down_at_the_start(desk: Desk, mode: Mode) -> None:
    """Exit 6, and nothing is touched; when it is back, the same command runs."""
    plan = desk.approved("hold", *ONE)
    desk.world.go("web1")
    with touching_nothing(desk.world), _impatient(desk.world):
        desk.way.set(mode)
        done = desk.world.cli("run", plan).expect(6)
        assert "the ticket system is down" in done.err
        assert desk.world.events() == []
    desk.way.set(Mode.UP)
    desk.world.cli("run", plan)
    assert set(desk.world.finals().values()) == {"verified-new"}


@contextmanager
def _impatient(world: World) -> Iterator[None]:
    """A ticket system on a busy machine may take 15 s to answer; one that never answers, not as long."""
    world.edit("remediate.toml", lambda text: text.replace("timeout = 15.0", "timeout = 3.0"))
    yield
    world.edit("remediate.toml", lambda text: text.replace("timeout = 3.0", "timeout = 15.0"))


def test_down_while_planning(desk: Desk) -> None:
    """No plan without its ticket."""
    with touching_nothing(desk.world):
        desk.way.set(Mode.DOWN)
        number = str(desk.change.number)
        done = desk.world.cli("plan", "hold", "--ticket", number, "-o", "fix.plan.json")
        assert done.code != 0
        assert "Request Tracker can't be reached" in done.err
        assert not (desk.world.root / "fix.plan.json").exists()


def test_down_in_the_middle(desk: Desk) -> None:
    """The run goes on to its end; exit 6 says what the ticket lacks; the same command only completes it."""
    world, change = desk.world, desk.change
    running = world.start("run", desk.approved("hold", *ONE))
    intent = world.wait_for("intent", step="s02-command")
    wait_until_posted(change, world.run, intent.number)
    desk.way.set(Mode.DOWN)
    world.go("web1")
    done = running.wait().expect(6)
    assert "could not be completed" in done.err
    assert world.finals() == {"web1": "verified-new"}
    assert world.locks() == {}
    world.cli("run", "fix.plan.json").expect(6)
    count = world.count()
    desk.way.set(Mode.UP)
    _complete_later(world)
    assert world.count() == count, "only the ticket was written to"
    complete(world, found=change.entries())
    world.cli("run", "fix.plan.json").expect(3)


def _complete_later(world: World, code: int = 0) -> None:
    """After a doubt the ticket has to show itself for a while before anything is posted again."""
    world.edit("remediate.toml", lambda text: text.replace('closing = "4s"', 'closing = "120s"'))
    world.cli("run", "fix.plan.json").expect(code)


def test_down_during_a_rollback(desk: Desk) -> None:
    """Undo waits for nobody."""
    world, change = desk.world, desk.change
    before = world.fingerprints()
    running = world.start("run", desk.approved("hold", "broken=true", *ONE))
    intent = world.wait_for("intent", step="s02-command")
    wait_until_posted(change, world.run, intent.number)
    desk.way.set(Mode.SILENT)
    world.go("web1")
    running.wait().expect(6)
    assert differences(before, world.fingerprints()) == {}
    assert world.finals() == {"web1": "verified-original"}
    desk.way.set(Mode.UP)
    _complete_later(world, 4)
    complete(world, found=change.entries())


def test_replies_lost(desk: Desk) -> None:
    """The tracker takes an entry, and the reply is lost: the entry is not posted again."""
    world, change = desk.world, desk.change
    running = world.start("run", desk.approved("hold", *ONE))
    intent = world.wait_for("intent", step="s02-command")
    wait_until_posted(change, world.run, intent.number)
    desk.way.set(Mode.MUTE)
    world.go("web1")
    done = running.wait()
    desk.way.set(Mode.UP)
    # A quick ticket system shows within the time for closing that it has taken each entry.
    if done.code != 0:
        done.expect(6)
        _complete_later(world)
    complete(world, found=change.entries())
    world.cli("run", "fix.plan.json").expect(3)


@pytest.mark.fault("ticket", "late", "vanished", "stands once")
def test_killed_while_the_ticket_system_is_down(desk: Desk) -> None:
    world, change = desk.world, desk.change
    running = world.start("run", desk.approved("hold", *ONE))
    intent = world.wait_for("intent", step="s02-command")
    wait_until_posted(change, world.run, intent.number)
    desk.way.set(Mode.DOWN)
    running.kill()
    world.go("web1")
    world.cli("run", "fix.plan.json").expect(6)
    assert world.finals() == {"web1": "verified-new"}
    desk.way.set(Mode.UP)
    _complete_later(world)
    complete(world, found=change.entries())
