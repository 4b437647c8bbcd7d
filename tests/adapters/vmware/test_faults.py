"""vCenter fails while `remediate run` is at work: how the machines end, and what it leaves in vCenter."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from remediate.lab import pool
from remediate.lab.vcenter import VCenter
from remediate.model.event import Verb
from tests.adapters.vmware.place import Place, motds
from tests.adapters.vmware.world import LAYOUT, World, until

pytestmark = pytest.mark.lab

CREATE, REVERT = "CreateSnapshot_Task", "RevertToSnapshot_Task"
NEW, ORIGINAL, HUMAN = "verified-new", "verified-original", "needs-human"


def slow(world: World) -> None:
    """Longer than one attempt may take, which is 1 s."""
    world.faults.task_takes(CREATE, 2.5, vm="web1")


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(slow, id="slower than a step may be"),
        pytest.param(lambda w: w.faults.task_vanishes(CREATE, vm="web1"), id="task vanished"),
        pytest.param(lambda w: w.faults.session_expires(CREATE, vm="web1"), id="session expired"),
        pytest.param(lambda w: w.faults.request_lost(CREATE, vm="web1"), id="request lost"),
    ],
)
def test_what_is_no_failure_ends_new_with_one_snapshot(
    world: World, place: Place, happens: Callable[[World], None]
) -> None:
    place.plan()
    happens(world)
    assert place.execute(REMEDIATE_LIMITS_STEP_TIMEOUT="1s") == 0, place.log
    assert place.finals() == {"web1": NEW, "web2": NEW}
    assert [len(world.snapshots(name)) for name in ("web1", "web2")] == [1, 1]


def test_replies_lost_on_the_way_and_on_the_way_back(world: World, place: Place) -> None:
    before = motds(world)
    place.plan("fail=true")
    # As many as would make a stub that repeats calls take a second snapshot.
    world.faults.reply_lost(CREATE, vm="web1", times=2)
    world.faults.reply_lost(REVERT, vm="web1")
    assert place.execute() == 4, place.log
    assert place.finals() == {"web1": ORIGINAL, "web2": ORIGINAL}
    assert motds(world) == before
    assert len(world.snapshots("web1")) == 1


def test_a_guest_that_can_t_be_quiesced_is_told_on_the_ticket(world: World, place: Place) -> None:
    place.plan()
    world.faults.task_fails(CREATE, "ApplicationQuiesceFault", vm="web1")
    assert place.execute() == 0, place.log
    assert "web1, CRASH-CONSISTENT only: ApplicationQuiesceFault" in place.log


@pytest.mark.parametrize("fault", ["NoDiskSpace", "TooManySnapshotLevels", "TaskInProgress"])
def test_no_snapshot_no_change(world: World, place: Place, fault: str) -> None:
    before = motds(world)
    place.plan()
    if fault == "TaskInProgress":
        world.faults.call_fails(CREATE, fault, vm="web1")
    else:
        world.faults.task_fails(CREATE, fault, vm="web1")
    assert place.execute() == 4, place.log
    assert place.finals() == {"web1": ORIGINAL, "web2": ORIGINAL}
    assert fault in place.log
    assert motds(world) == before
    assert world.snapshots("web1") == []


def test_a_session_that_ends_while_a_task_is_waited_for(world: World, place: Place) -> None:
    place.plan()
    world.faults.task_takes(CREATE, 1.5, vm="web1")
    run = place.start("run", "fix.plan.json")
    until(lambda: f"{CREATE} web1" in world.faults.calls())
    world.faults.end_sessions()
    assert place.ended(run) == 0, place.log
    world.reconnect()
    assert len(world.snapshots("web1")) == 1
    assert world.faults.calls()[f"{CREATE} web1"] == 1


@pytest.mark.fault("VMware", "after", "vanished", "left to a human")
def test_a_machine_that_vanishes_in_the_middle(world: World, place: Place) -> None:
    place.plan("fail=true")
    world.faults.task_takes(CREATE, 1.0, vm="web2")
    run = place.start("run", "fix.plan.json", REMEDIATE_LIMITS_STEP_TIMEOUT="20s")
    until(lambda: world.snapshots("web1"))
    world.faults.unregister("web1")
    assert place.ended(run) == 5, place.log
    assert place.finals() == {"web1": HUMAN, "web2": ORIGINAL}
    assert "no virtual machine with instance UUID" in place.log


def test_a_revert_that_restores_nothing_is_found_out(world: World, place: Place) -> None:
    place.plan("fail=true")
    world.faults.effects(real=False)
    assert place.execute() == 5, place.log
    assert place.finals() == {"web1": HUMAN, "web2": HUMAN}
    assert "file:/etc/motd" in place.log
    assert "verified original" not in place.log


def test_a_stopped_service_is_back_after_the_revert(world: World, place: Place) -> None:
    before = motds(world)
    place.plan("service=nginx")
    assert place.execute() == 4, place.log
    assert place.finals() == {"web1": ORIGINAL, "web2": ORIGINAL}
    assert motds(world) == before
    undone = place.outcomes(Verb.UNDO, "vm-snapshot")
    assert [o.result.summary[:11] for o in undone] == ["reverted to"] * 2, undone
    # Not only its unit: whoever asks it from outside is answered.
    until(lambda: all(pool.health(world.hosts.machine(name).address) == 200 for name in ("web1", "web2")))


@pytest.fixture
def center(world: World) -> Iterator[VCenter]:
    """The lab's vCenter, which runs again in the end."""
    made = VCenter(LAYOUT)
    try:
        yield made
    finally:
        made.up(lambda _line: None)
        world.reconnect()


@pytest.mark.parametrize(
    "back",
    [
        pytest.param(True, marks=pytest.mark.fault("VMware", "late", "vanished", "undone"), id="for a while"),
        pytest.param(
            False, marks=pytest.mark.fault("VMware", "late", "vanished", "left to a human"), id="for good"
        ),
    ],
)
def test_vcenter_is_down_during_the_undo(world: World, place: Place, center: VCenter, back: bool) -> None:
    before = motds(world)
    place.plan("fail=true")
    world.faults.task_takes(REVERT, 1.0, vm="web1")
    run = place.start("run", "fix.plan.json", REMEDIATE_LIMITS_STEP_TIMEOUT="4s")
    until(lambda: f"{REVERT} web1" in world.faults.calls())
    center.down()
    if back:
        center.up(lambda _line: None)
        assert place.ended(run) == 4, place.log
        assert place.finals() == {"web1": ORIGINAL, "web2": ORIGINAL}
        assert motds(world) == before
        return
    assert place.ended(run) == 5, place.log
    assert set(place.finals().values()) == {HUMAN}


@pytest.mark.parametrize(("method", "late"), [(CREATE, False), (REVERT, False), (REVERT, True)])
def test_killed_and_run_again(world: World, place: Place, method: str, late: bool) -> None:
    """By `kill -9`, while the tasks run or after their end."""
    before = motds(world)
    place.plan("fail=true")
    world.faults.task_takes(method, 1.0)
    run = place.start("run", "fix.plan.json")
    until(lambda: f"{method} web2" in world.faults.calls())
    run.kill()
    if late:
        until(lambda: not [t for t in world.machine("web2").recentTask if t.info.state == "running"])
    assert place.execute() == 4, place.log
    assert place.finals() == {"web1": ORIGINAL, "web2": ORIGINAL}
    assert motds(world) == before
    assert [len(world.snapshots(name)) for name in ("web1", "web2")] == [1, 1]
    assert [world.faults.calls()[f"{CREATE} {name}"] for name in ("web1", "web2")] == [1, 1]
