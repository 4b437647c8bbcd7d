"""The snapshot guard over the lab's vCenter: there and back, and every way in which it fails."""

from __future__ import annotations

import pytest

from remediate.adapters.vmware.names import name_for
from remediate.adapters.vmware.snapshot import VmSnapshot
from remediate.errors import StepFailed
from remediate.model.step import Context, Result, Status, Verdict
from tests.adapters.vmware.world import AUDITOR_VARS, World, until

pytestmark = pytest.mark.lab

GUARD = VmSnapshot(headroom="1 GiB")
CREATE, REVERT = "CreateSnapshot_Task", "RevertToSnapshot_Task"


def name(context: Context) -> str:
    return name_for(context.token, context.target.name)


def taken(world: World, step: VmSnapshot = GUARD, target: str = "web1") -> tuple[Context, Result]:
    """A snapshot that went well, and the context that knows of it."""
    context = world.context(target)
    context = world.context(target, before=step.observe(context))
    result = step.apply(context)
    assert result.status is Status.OK, result
    return world.context(target, before=context.before, data=result.data), result


def test_there_and_back(world: World) -> None:
    file = world.file("web1", "/etc/motd")
    before = file.read_bytes()
    context, result = taken(world)
    assert world.snapshots() == [name(context)] == [result.data["name"]]
    assert "quiesced" in result.summary
    assert [c.ok for c in GUARD.confirm_many([context])["web1"]] == [True]
    assert GUARD.observe(context) == context.before
    file.write_text("changed")

    undone = GUARD.undo_many([world.undoing(context)])["web1"]
    assert undone.status is Status.OK, undone
    assert file.read_bytes() == before
    assert world.power() == "poweredOn"
    assert GUARD.observe(context) == context.before

    assert GUARD.release(context).changed
    assert world.snapshots() == []
    assert not GUARD.release(context).changed


def test_many_in_one_call(world: World) -> None:
    contexts = [world.context("web1"), world.context("web2")]
    results = GUARD.apply_many(contexts)
    assert {n: r.status for n, r in results.items()} == {"web1": Status.OK, "web2": Status.OK}
    assert (len(world.snapshots("web1")), len(world.snapshots("web2"))) == (1, 1)


@pytest.mark.fault("VMware", "after", "duplicate", "done")
def test_a_second_attempt_adopts_the_first_ones(world: World) -> None:
    _, first = taken(world)
    second = GUARD.apply(world.context(attempt=2))
    assert second.data == first.data
    assert "earlier attempt" in second.summary
    assert world.faults.calls()[f"{CREATE} web1"] == 1


@pytest.mark.fault("VMware", "during", "disk full", "failed, nothing changed")
@pytest.mark.parametrize("fault", ["NoDiskSpace", "TooManySnapshotLevels", "FileLocked"])
def test_a_task_that_fails_has_failed(world: World, fault: str) -> None:
    world.faults.task_fails(CREATE, fault, vm="web1")
    results = GUARD.apply_many([world.context("web1"), world.context("web2")])
    assert results["web1"].status is Status.FAILED
    assert fault in results["web1"].summary
    assert results["web2"].status is Status.OK
    assert GUARD.probe(world.context()).verdict is Verdict.NOT_APPLIED


@pytest.mark.fault("VMware", "during", "duplicate", "failed, nothing changed")
def test_another_task_at_work_refuses_ours(world: World) -> None:
    world.faults.task_takes(CREATE, 1.0, vm="web1")
    other = world.machine().CreateSnapshot_Task(name="nightly", description="", memory=False, quiesce=False)
    result = GUARD.apply(world.context())
    assert (result.status, "TaskInProgress" in result.summary) == (Status.FAILED, True)
    assert not GUARD.quiesce(world.context())
    world.do(other)
    assert GUARD.quiesce(world.context())


def test_a_guest_that_can_t_be_quiesced(world: World) -> None:
    world.faults.task_fails(CREATE, "ApplicationQuiesceFault", vm="web1")
    strict = VmSnapshot(quiesced="require", headroom="1 GiB").apply(world.context())
    assert strict.status is Status.FAILED
    assert world.snapshots() == []

    world.faults.task_fails(CREATE, "ApplicationQuiesceFault", vm="web1")
    lenient = GUARD.apply(world.context())
    assert lenient.status is Status.OK
    assert lenient.data["quiesced"] is False
    assert "CRASH-CONSISTENT only: ApplicationQuiesceFault" in lenient.summary


def test_without_tools_nothing_is_quiesced(world: World) -> None:
    world.faults.tools_off("web1")
    refused = VmSnapshot(quiesced="require", headroom="1 GiB").apply(world.context())
    assert refused.status is Status.FAILED
    assert "VMware Tools do not run" in refused.summary
    assert "CRASH-CONSISTENT only: VMware Tools do not run" in GUARD.apply(world.context()).summary


def test_replies_lost_twice_make_one_snapshot(world: World) -> None:
    world.faults.reply_lost(CREATE, vm="web1", times=2)
    context = world.context()
    assert GUARD.apply(context).status is Status.IN_DOUBT
    until(lambda: GUARD.quiesce(context))
    assert GUARD.probe(context).verdict is Verdict.APPLIED
    again = GUARD.apply(world.context(attempt=2))
    assert again.status is Status.OK
    assert world.snapshots() == [name(context)]
    # Without what the lost reply would have told, the name alone leads back to it.
    assert GUARD.undo_many([world.undoing(context)])["web1"].status is Status.OK


def test_a_request_that_never_arrived(world: World) -> None:
    world.faults.request_lost(CREATE, vm="web1")
    context = world.context()
    assert GUARD.apply(context).status is Status.IN_DOUBT
    assert GUARD.quiesce(context)
    assert GUARD.probe(context).verdict is Verdict.NOT_APPLIED
    assert GUARD.apply(world.context(attempt=2)).status is Status.OK
    assert world.snapshots() == [name(context)]


@pytest.mark.fault("VMware", "late", "timeout", "in doubt, probed: applied")
def test_a_task_that_outlives_our_patience(world: World) -> None:
    world.faults.task_takes(CREATE, 3.0, vm="web1")
    context = world.context(timeout=1.0)
    result = GUARD.apply(context)
    assert result.status is Status.IN_DOUBT
    assert "its end was not seen within 1 s" in result.summary
    assert not GUARD.quiesce(context)
    until(lambda: GUARD.quiesce(context))
    assert GUARD.probe(context).verdict is Verdict.APPLIED


@pytest.mark.fault("VMware", "during", "vanished", "in doubt, probed: applied")
def test_a_task_that_vanishes(world: World) -> None:
    world.faults.task_vanishes(CREATE, vm="web1")
    context = world.context()
    result = GUARD.apply(context)
    assert result.status is Status.IN_DOUBT
    assert "vanished" in result.summary
    until(world.snapshots)
    assert GUARD.probe(context).verdict is Verdict.APPLIED


def test_a_machine_that_vanishes(world: World) -> None:
    taken(world)
    world.faults.unregister("web1")
    results = GUARD.apply_many([world.context("web1"), world.context("web2")])
    assert results["web1"].status is Status.FAILED
    assert "no virtual machine with instance UUID" in results["web1"].summary
    assert results["web2"].status is Status.OK


def test_a_session_that_expires_is_renewed(world: World) -> None:
    GUARD.observe(world.context())
    world.faults.end_sessions()
    world.reconnect()
    GUARD.observe(world.context())
    world.faults.session_expires(CREATE, vm="web1")
    assert GUARD.apply(world.context()).status is Status.OK
    assert len(world.snapshots()) == 1
    assert world.faults.calls()[f"{CREATE} web1"] >= 1


def test_only_our_own_is_reverted_to(world: World) -> None:
    context, _ = taken(world)
    machine = world.machine()
    world.do(machine.snapshot.currentSnapshot.RemoveSnapshot_Task(removeChildren=False))
    gone = GUARD.undo_many([world.undoing(context)])["web1"]
    assert (gone.status, "no snapshot is named" in gone.summary) == (Status.FAILED, True)

    world.do(machine.CreateSnapshot_Task(name=name(context), description="", memory=False, quiesce=False))
    other = GUARD.undo_many([world.undoing(context)])["web1"]
    assert (other.status, "is not the one that this run took" in other.summary) == (Status.FAILED, True)

    world.do(machine.CreateSnapshot_Task(name=name(context), description="", memory=False, quiesce=False))
    twice = GUARD.undo_many([world.undoing(context)])["web1"]
    assert (twice.status, "2 snapshots are named" in twice.summary) == (Status.FAILED, True)
    assert REVERT not in " ".join(world.faults.calls())


def test_children_of_ours_are_not_deleted(world: World) -> None:
    context, _ = taken(world)
    world.do(world.machine().CreateSnapshot_Task(name="nightly", description="", memory=False, quiesce=False))
    assert GUARD.release(context).status is Status.OK
    assert world.snapshots() == ["nightly"]


def test_power_is_put_back_as_it_was(world: World) -> None:
    world.do(world.machine().PowerOffVM_Task())
    context, result = taken(world)
    assert result.data["power"] == "off"
    world.do(world.machine().PowerOnVM_Task())
    assert GUARD.undo_many([world.undoing(context)])["web1"].status is Status.OK
    assert world.power() == "poweredOff"


def test_reasons_against_it_refuse_the_plan(world: World) -> None:
    assert GUARD.observe(world.planning())
    machine = world.machine()
    for number in range(3):
        world.do(
            machine.CreateSnapshot_Task(name=f"old {number}", description="", memory=False, quiesce=False)
        )
    world.faults.consolidation_needed("web1")
    world.faults.disable("web1", [CREATE])
    with pytest.raises(StepFailed) as refused:
        VmSnapshot(headroom="100%", oldest="0s").observe(world.planning())
    for part in ("web1", "chain of 3", "consolidat", "disabled CreateSnapshot", "GiB free", "'old 0' is"):
        assert part in refused.value.problem
    # In a run it keeps nothing from being read, and takes no snapshot.
    assert GUARD.observe(world.context())
    assert GUARD.apply(world.context()).status is Status.FAILED
    assert len(world.snapshots()) == 3


def test_a_user_without_the_privilege_is_refused(world: World) -> None:
    with pytest.raises(StepFailed, match=r"lacks the privilege VirtualMachine\.State\.CreateSnapshot"):
        GUARD.observe(world.planning(AUDITOR_VARS))
