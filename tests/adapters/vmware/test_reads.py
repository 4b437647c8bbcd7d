"""What is read of machines and tasks, with how many calls, and how many tasks are begun at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from pyVmomi import vim

from remediate.adapters.vmware import tasks
from remediate.adapters.vmware.hardware import disks
from remediate.adapters.vmware.session import VCenter
from remediate.adapters.vmware.snapshot import VmSnapshot
from remediate.adapters.vmware.values import Disk, End
from remediate.errors import StepFailed
from remediate.lab.vcenter import instance_uuid
from remediate.model.step import Status
from tests.adapters.vmware.world import LAYOUT, World, until

#: pyvmomi's constructors have no types.
made: Any = vim
device = made.vm.device
SAFE = device.VirtualDisk.FlatVer2BackingInfo
RAW = device.VirtualDisk.RawDiskMappingVer1BackingInfo
CREATE, READ = "CreateSnapshot_Task", "RetrievePropertiesEx"


def drive(backing: Any, controller: int = 1000) -> Any:
    """One disk of a machine."""
    return device.VirtualDisk(
        key=2000, controllerKey=controller, backing=backing, deviceInfo=made.Description(label="Hard disk 1")
    )


@pytest.mark.parametrize(
    ("hardware", "seen"),
    [
        (drive(SAFE(diskMode="persistent", sharing="sharingNone")), Disk("Hard disk 1")),
        (drive(SAFE(diskMode="independent_persistent")), Disk("Hard disk 1", independent=True)),
        (drive(SAFE(diskMode="independent_nonpersistent")), Disk("Hard disk 1", independent=True)),
        (drive(RAW(compatibilityMode="virtualMode")), Disk("Hard disk 1")),
        (drive(RAW(compatibilityMode="physicalMode")), Disk("Hard disk 1", raw_physical=True)),
        (drive(SAFE(sharing="sharingMultiWriter")), Disk("Hard disk 1", shared=True)),
        (drive(SAFE(), controller=1001), Disk("Hard disk 1", shared=True)),
    ],
)
def test_what_a_snapshot_would_not_hold(hardware: Any, seen: Disk) -> None:
    buses = [
        device.ParaVirtualSCSIController(key=1000, busNumber=0, sharedBus="noSharing"),
        device.ParaVirtualSCSIController(key=1001, busNumber=1, sharedBus="physicalSharing"),
    ]
    assert disks(made.vm.VirtualHardware(device=[*buses, hardware])) == (seen,)


class Server:
    """Tasks that end at the second look; remembers how many ran at once, in all and on each datastore."""

    def __init__(self) -> None:
        self.running: dict[str, str] = {}
        self.most = self.most_on_one = 0
        self.looked: set[str] = set()

    def fire(self, start: Any) -> Any:
        """Start it."""
        return start()

    def task(self, name: str, store: str) -> Any:
        """A new task."""
        self.running[name] = store
        self.most = max(self.most, len(self.running))
        self.most_on_one = max(self.most_on_one, list(self.running.values()).count(store))
        return made.Task(name)

    def bulk(self, _vcenter: object, _kind: type, chosen: Sequence[Any], _paths: object) -> Any:
        """What the collector says."""
        found = {}
        for task in chosen:
            over = task._moId in self.looked
            self.looked.add(task._moId)
            if over:
                self.running.pop(task._moId, None)
            state = "success" if over else "running"
            found[task._moId] = (task, {"info.state": state, "info": made.TaskInfo(state=state)})
        return found


@pytest.mark.parametrize(("together", "per_lane"), [(3, 32), (32, 2), (4, 1)])
def test_no_more_at_once_than_allowed(monkeypatch: pytest.MonkeyPatch, together: int, per_lane: int) -> None:
    server = Server()
    monkeypatch.setattr(tasks, "bulk", server.bulk)
    monkeypatch.setattr(tasks, "_LONGEST", 0.001)
    monkeypatch.setattr(tasks, "_SHORTEST", 0.001)

    def job(number: int) -> tasks.Job:
        name, store = f"task-{number}", f"datastore-{number % 3}"
        return tasks.Job(name, lambda: server.task(name, store), frozenset({store}))

    jobs = [job(number) for number in range(12)]
    ended = tasks.perform(cast("VCenter", server), jobs, 10.0, tasks.Limits(together, per_lane))
    assert {e.end for e in ended.values()} == {End.DONE}
    assert len(ended) == 12
    assert server.most == min(together, 3 * per_lane)
    assert server.most_on_one <= per_lane


@pytest.mark.lab
@pytest.mark.parametrize("limit", ["together", "per_datastore"])
def test_the_guard_keeps_its_limits(world: World, limit: str) -> None:
    world.faults.task_takes(CREATE, 2.0, vm="web1")
    guard = VmSnapshot.model_validate({"headroom": "1 GiB", limit: 1})
    results = guard.apply_many([world.context("web1", timeout=1.0), world.context("web2", timeout=1.0)])
    assert results["web1"].status is Status.IN_DOUBT
    assert "it was not begun" in results["web2"].summary
    assert f"{CREATE} web2" not in world.faults.calls()
    until(lambda: guard.quiesce(world.context()))


@pytest.mark.lab
def test_more_machines_need_no_more_reads(world: World) -> None:
    guard = VmSnapshot(headroom="1 GiB", quiesced="off")
    every = [world.context("web1"), world.context("web2")]
    counts = []
    for chosen in (every, every[:1]):
        assert guard.apply_many(chosen)["web1"].status is Status.OK  # finds them, and adopts later on
        world.faults.clear()
        assert guard.confirm_many(chosen)["web1"][0].ok
        counts.append(world.faults.calls()[READ])
    assert counts[0] == counts[1]


@pytest.mark.lab
def test_two_machines_with_one_uuid_are_none(world: World) -> None:
    world.faults.instance_uuid("web2", instance_uuid(LAYOUT, "web1"))
    with pytest.raises(StepFailed, match=r"has 2 virtual machines with instance UUID"):
        VmSnapshot(headroom="1 GiB").observe(world.planning())
    result = VmSnapshot(headroom="1 GiB").apply(world.context())
    assert result.status is Status.FAILED
    assert not any(CREATE in call for call in world.faults.calls())


@pytest.mark.lab
def test_a_machine_that_vcenter_is_at_work_on_refuses_the_plan(world: World) -> None:
    world.faults.task_takes(CREATE, 1.0, vm="web1")
    task = world.machine().CreateSnapshot_Task(name="nightly", description="", memory=False, quiesce=False)
    with pytest.raises(StepFailed, match=r"at work on it \(createSnapshot\): wait"):
        VmSnapshot(headroom="1 GiB").observe(world.planning())
    world.do(task)
    assert VmSnapshot(headroom="1 GiB").observe(world.planning())
