"""Power and hardware of the lab's machines."""

from __future__ import annotations

import pytest

from remediate.adapters.vmware.power import VmPower
from remediate.adapters.vmware.reconfigure import VmReconfigure
from remediate.adapters.vmware.snapshot import VmSnapshot
from remediate.errors import InDoubt, StepFailed
from remediate.model.step import Step, Verdict
from tests.adapters.vmware.world import World, reach, until

pytestmark = pytest.mark.lab

ON, OFF, RESET = VmPower(state="on"), VmPower(state="off"), VmPower(state="reset")
HARD = VmPower(state="off", guest_shutdown=False)
POWER_OFF = "PowerOffVM_Task"


def test_looking_changes_nothing(world: World) -> None:
    for step in (ON, OFF, RESET):
        assert step.observe(world.context()) == step.observe(world.planning()) == {"vm:power": "on"}
    assert not any("Power" in call for call in world.faults.calls())


def test_there_and_back(world: World) -> None:
    context = world.context(before=OFF.observe(world.context()))
    assert OFF.probe(context).verdict is Verdict.NOT_APPLIED
    assert OFF.apply(context).changed
    assert world.power() == "poweredOff"
    assert "ShutdownGuest web1" in world.faults.calls()
    assert not OFF.apply(context).changed
    assert [c.ok for c in OFF.confirm(context)] == [True]
    assert OFF.probe(context).verdict is Verdict.APPLIED

    assert OFF.undo(context).changed
    assert not OFF.undo(context).changed
    assert OFF.observe(context) == context.before
    # Back means that the guest answers, also over SSH.
    assert reach(context).facts(["file:/etc/motd"])


def test_a_reset_is_a_new_boot(world: World) -> None:
    context = world.context()
    before = reach(context).boot
    assert RESET.apply(context).changed
    assert reach(context).boot != before
    assert [c.ok for c in RESET.confirm(context)] == [True]


def test_a_guest_that_can_t_be_asked(world: World) -> None:
    world.faults.tools_off("web1")
    with pytest.raises(StepFailed, match="can't be asked to shut down"):
        OFF.observe(world.planning())
    with pytest.raises(StepFailed, match="can't be asked to shut down"):
        OFF.apply(world.context())
    assert world.power() == "poweredOn"
    assert HARD.apply(world.context()).changed
    assert world.power() == "poweredOff"
    with pytest.raises(StepFailed, match="nothing to reset"):
        RESET.apply(world.context())


def test_a_lost_reply_is_doubt_and_the_probe_settles_it(world: World) -> None:
    world.faults.reply_lost(POWER_OFF, vm="web1")
    context = world.context(before=HARD.observe(world.context()))
    with pytest.raises(InDoubt):
        HARD.apply(context)
    until(lambda: HARD.quiesce(context))
    assert until(lambda: HARD.probe(context)).verdict is Verdict.APPLIED


def test_a_task_that_fails_has_failed(world: World) -> None:
    world.faults.task_fails(POWER_OFF, "FileLocked", vm="web1")
    with pytest.raises(StepFailed, match="PowerOffVM: FileLocked"):
        HARD.apply(world.context())
    assert world.power() == "poweredOn"


def test_the_guest_s_old_connection_is_dropped(world: World) -> None:
    """The key that `guest_changed` drops is the one that host steps connect with."""
    guard = VmSnapshot(headroom="1 GiB")
    context = world.context()
    guard.apply(context)
    first = reach(context).session
    assert guard.undo_many([world.undoing(context)])["web1"].changed
    assert first.broken
    assert reach(context).session is not first


@pytest.mark.parametrize("step", [VmReconfigure(cpus=2), VmReconfigure(memory_mb=1024)])
def test_what_needs_a_power_cycle_refuses_the_plan(world: World, step: Step) -> None:
    with pytest.raises(StepFailed, match="hot add is off"):
        step.observe(world.planning())
    with pytest.raises(StepFailed, match="hot add is off"):
        step.apply(world.context())
    assert not any("Reconfig" in call for call in world.faults.calls())


def test_a_preview_shows_old_and_new(world: World) -> None:
    step = VmReconfigure(cpus=2, memory_mb=512, power_cycle=True)
    assert step.preview(world.planning()) == "-cpus = 1\n+cpus = 2\n"
    assert step.observe(world.planning())["vm:power"] == "on"


def test_notes_need_no_power_cycle(world: World) -> None:
    step = VmReconfigure(notes="owned by the shop team")
    before = step.observe(world.planning())
    context = world.context(before=before)
    assert step.probe(context).verdict is Verdict.NOT_APPLIED
    assert step.apply(context).changed
    assert not step.apply(context).changed
    assert [c.ok for c in step.confirm(context)] == [True, True]
    assert step.probe(context).verdict is Verdict.APPLIED
    assert step.undo(context).changed
    assert not step.undo(context).changed
    assert step.observe(context) == before


def test_hardware_with_a_power_cycle(world: World) -> None:
    step = VmReconfigure(cpus=2, memory_mb=1024, power_cycle=True)
    before = step.observe(world.planning())
    context = world.context(before=before)
    boot = reach(context).boot
    assert "with a power cycle" in step.apply(context).summary
    assert [c.ok for c in step.confirm(context)] == [True, True, True]
    assert world.power() == "poweredOn"
    assert reach(context).boot != boot
    assert step.undo(context).changed
    assert step.observe(context) == before


@pytest.mark.fault("VMware", "before", "half-applied", "done")
def test_a_power_cycle_that_was_cut_is_finished(world: World) -> None:
    step = VmReconfigure(cpus=2, power_cycle=True)
    context = world.context(before=step.observe(world.planning()))
    world.faults.reply_lost("ReconfigVM_Task", vm="web1")
    with pytest.raises(InDoubt):
        step.apply(context)
    assert until(lambda: world.machine().config.hardware.numCPU == 2)
    until(lambda: step.quiesce(context))
    # The values are there, but the machine is off: that is not what was to be reached.
    assert step.probe(context).verdict is Verdict.PARTIAL
    assert [c.ok for c in step.confirm(context)] == [True, False]
    assert "switched on again" in step.apply(context).summary
    assert step.probe(context).verdict is Verdict.APPLIED
    assert world.power() == "poweredOn"
    assert step.undo(context).changed


def test_a_revert_brings_the_hardware_back(world: World) -> None:
    guard, step = VmSnapshot(headroom="1 GiB"), VmReconfigure(notes="changed")
    context = world.context(before=guard.observe(world.context()))
    assert guard.apply(context).data
    assert step.apply(context).changed
    assert guard.observe(context) != context.before
    assert guard.undo_many([world.undoing(context)])["web1"].changed
    assert guard.observe(context) == context.before
