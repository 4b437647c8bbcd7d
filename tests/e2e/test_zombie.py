"""A runner that is stopped around a call of an adapter, replaced and woken up changes nothing any more."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from tests.e2e.crash import Ready, again, at_call, leftovers, ready, trial
from tests.e2e.ticket import complete
from tests.e2e.world import FULL, Running, World, until
from tests.reliability import record

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.fixture(scope="module")
def upgrade(e2e_lab: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """web1 to 1.1-1, which works."""
    yield from ready(e2e_lab, tmp_path_factory.mktemp("upgrade"), "1.1-1", ("web1",), 0)


#: Where it stops; the first two by default.
MOMENTS = {
    "before apply s01-pool-member": "between an intent and its first request",
    "before request socket lb1": "between the last look at the lease and a request",
    "before request launch web1": "between the last look at the lease and a command",
    "after sending launch web1": "while the host works",
    "after apply s02-package": "between an effect and its outcome",
}


@pytest.mark.parametrize("moment", MOMENTS if FULL else list(MOMENTS)[:2])
def test_stopped_replaced_and_woken_up(e2e_lab: Hosts, upgrade: Ready, tmp_path: Path, moment: str) -> None:
    with trial(e2e_lab, upgrade, tmp_path / "project") as made:
        asleep = stopped(made.world, moment)
        done = again(made.world).expect(0)
        wakes_up(made.world, asleep)
        made.settled(done)
    if not FULL:
        record("crashes", "a runner stopped, replaced and woken up", MOMENTS[moment], "it changes nothing")


def test_command_that_was_not_sent_yet_is_not_carried_out(world: World) -> None:
    """Its process looked at the lease, and was stopped; another attempt has done it meanwhile."""
    world.go("web1")
    world.approved("hold", "--limit", "web1")
    asleep = stopped(world, "before request launch")
    again(world).expect(0)
    wakes_up(world, asleep)
    assert world.held("web1") == 1
    complete(world)
    where = MOMENTS["before request launch web1"]
    record("crashes", "a runner stopped, replaced and woken up", where, "it changes nothing")


def test_playbook_that_was_not_started_yet_is_not_started(world: World) -> None:
    world.approved("patch-package", "package=shop", "version=1.1-1", "--limit", "web1")
    asleep = stopped(world, "before ansible")
    again(world).expect(0)
    upgrades = world.upgrades("web1")
    wakes_up(world, asleep)
    assert world.upgrades("web1") == upgrades
    assert leftovers(world.run) == []
    complete(world)
    where = "between an intent and ansible-playbook"
    record("crashes", "a runner stopped, replaced and woken up", where, "it changes nothing")


def wakes_up(world: World, asleep: Running) -> None:
    """After another has ended the run: it writes nothing, neither here nor on the ticket."""
    count, log = world.count(), world.ticket_log()
    asleep.signal(signal.SIGCONT)
    assert "another runner took over" in asleep.wait().expect(3).err
    assert (world.count(), world.ticket_log()) == (count, log)


def stopped(world: World, moment: str) -> Running:
    """A runner that was stopped at this moment, and whose lease is over."""
    with (world.root / "remediate.toml").open("a") as settings:
        settings.write('\n[limits]\nlease = "3s"\n')
    asleep = world.start("run", "fix.plan.json", env=at_call(world, moment, "SIGSTOP"))
    until(lambda: _state(asleep) == "T", 60, f"stopped {moment}")
    until(lambda: not runner(world), 30, "its lease is over")
    return asleep


def _state(running: Running) -> str:
    assert running.process.poll() is None, running.said
    return Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def runner(world: World) -> str:
    """Who executes the only run, as `remediate runs` says."""
    rows = world.cli("runs", "--output", "json").expect(0).json()["runs"]
    return str(rows[0]["runner"])
