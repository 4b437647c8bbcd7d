"""What speaks against a snapshot, over machines that are plain values; and the names of our snapshots."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from remediate.adapters.vmware import guard
from remediate.adapters.vmware.names import Owner, describe, name_for, owner, state_in
from remediate.adapters.vmware.reconfigure import VmReconfigure, obstacles
from remediate.adapters.vmware.snapshot import VmSnapshot
from remediate.adapters.vmware.values import Datastore, Disk, Machine, Power, Snapshot
from remediate.model.step import Token

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RULES = guard.Rules(depth=3, oldest=72 * 3600.0, headroom="20%", quiesce=True)
SOUND = Machine(
    moref="vm-1",
    name="web1",
    power=Power.ON,
    tools=True,
    tools_installed=True,
    hostname="web1",
    address="192.0.2.1",
    hardware={"cpus": 2, "memory_mb": 4096, "notes": ""},
    snapshots=(),
    current="",
    consolidation=False,
    disabled=(),
    disks=(Disk("Hard disk 1"),),
    datastores=(Datastore("datastore-1", "fast", 1000 * guard.GIB, 200 * guard.GIB),),
    tasks=(),
    hot_cpu_add=False,
    hot_cpu_remove=False,
    hot_memory_add=False,
    template=False,
)


def chain(length: int, hours: float = 1.0) -> Machine:
    """The machine on a chain of snapshots, the oldest of that age."""
    snapshots = tuple(
        Snapshot(f"snapshot-{n}", n, f"s{n}", "", NOW - timedelta(hours=hours), False, Power.OFF, n)
        for n in range(1, length + 1)
    )
    return replace(SOUND, snapshots=snapshots, current=f"snapshot-{length}")


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (replace(SOUND, template=True), "is a template"),
        (replace(SOUND, power=Power.SUSPENDED), "is suspended"),
        (replace(SOUND, consolidation=True), "need consolidation"),
        (replace(SOUND, disabled=("CreateSnapshot_Task",)), "disabled CreateSnapshot on it"),
        (replace(chain(1), disabled=("RevertToSnapshot_Task",)), "disabled RevertToSnapshot on it"),
        (replace(SOUND, tools=False), "Tools do not run"),
        (chain(3), "chain of 3 snapshots already, and 3 is the limit"),
        (chain(1, 73), "'s1' is 73 h old"),
        (replace(SOUND, disks=(Disk("Hard disk 2", raw_physical=True),)), "Hard disk 2 is a raw device"),
        (replace(SOUND, disks=(Disk("Hard disk 2", independent=True),)), "Hard disk 2 is independent"),
        (replace(SOUND, disks=(Disk("Hard disk 2", shared=True),)), "Hard disk 2 is shared"),
        (replace(SOUND, datastores=(Datastore("d", "slow", 100 << 30, 19 << 30),)), "slow has 19.0 GiB free"),
    ],
)
def test_each_reason_alone(machine: Machine, reason: str) -> None:
    found = guard.reasons(machine, RULES, NOW)
    assert len(found) == 1
    assert reason in found[0]


def test_no_reason() -> None:
    assert guard.reasons(SOUND, RULES, NOW) == []
    assert guard.reasons(chain(2, 71), RULES, NOW) == []
    # A machine that is off needs no quiescing; with nothing to revert to, vCenter disables reverting.
    still = replace(SOUND, power=Power.OFF, tools=False, disabled=("RevertToSnapshot_Task",))
    assert guard.reasons(still, RULES, NOW) == []


def test_the_hard_limit_holds_whatever_is_asked() -> None:
    rules = replace(RULES, depth=100)
    assert guard.reasons(chain(31), rules, NOW) == []
    assert guard.reasons(chain(32), rules, NOW)


@pytest.mark.parametrize(
    ("headroom", "enough"), [("20%", True), ("20.1%", False), ("200 GiB", True), ("201GiB", False)]
)
def test_headroom(headroom: str, enough: bool) -> None:
    assert (guard.reasons(SOUND, replace(RULES, headroom=headroom), NOW) == []) is enough


@pytest.mark.parametrize(
    "fields", [{"headroom": "much"}, {"depth": 33}, {"memory": True, "quiesced": "require"}]
)
def test_fields_that_make_no_sense(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        VmSnapshot.model_validate(fields)


def test_names_are_the_same_for_each_attempt_and_for_the_undo() -> None:
    names = {
        name_for(Token("r-0a1b2c3d", step, attempt), "web1")
        for step in ("b01-vm-snapshot", "b01-vm-snapshot-undo")
        for attempt in (1, 2)
    }
    assert names == {"remediate:r-0a1b2c3d:b01-vm-snapshot:web1"}
    assert owner(names.pop()) == Owner("r-0a1b2c3d", "b01-vm-snapshot", "web1")


@pytest.mark.parametrize(
    "name", ["nightly", "remediate", "remediate:r-xyz:b01:web1", "xremediate:r-0a:b01:web1"]
)
def test_other_names_are_nobody_s(name: str) -> None:
    assert owner(name) is None


def test_names_fit_into_vsphere() -> None:
    name = name_for(Token("r-0a1b2c3d", "b01-vm-snapshot", 1), "ü/%" * 60)
    assert len(name) == 80
    assert name.isascii()
    assert not set(name) & set("%/\\")


@pytest.mark.parametrize("power", [Power.ON, Power.OFF])
@pytest.mark.parametrize("tools", [True, False])
def test_the_description_tells_how_the_machine_was(power: Power, tools: bool) -> None:
    machine = replace(SOUND, power=power, tools=tools)
    assert state_in(describe(Token("r-1", "b01", 1), "web1", machine)) == (power, tools)
    assert state_in("whatever") is None


ABLE = replace(SOUND, hot_cpu_add=True, hot_cpu_remove=True, hot_memory_add=True)


@pytest.mark.parametrize(
    ("machine", "wanted", "obstacle"),
    [
        (SOUND, {"cpus": 4}, "CPU hot add is off"),
        (SOUND, {"cpus": 1}, "CPU hot remove is off"),
        (SOUND, {"memory_mb": 8192}, "memory hot add is off"),
        (ABLE, {"memory_mb": 2048}, "memory can't be taken away"),
        (ABLE, {"cpus": 4, "memory_mb": 8192}, ""),
        (SOUND, {"cpus": 2, "notes": "new"}, ""),
        (replace(SOUND, power=Power.OFF), {"cpus": 4, "memory_mb": 2048}, ""),
    ],
)
def test_what_a_running_machine_takes(machine: Machine, wanted: dict[str, object], obstacle: str) -> None:
    found = obstacles(machine, wanted)
    assert obstacle in found
    assert bool(found) is bool(obstacle)


def test_what_could_not_be_undone_is_an_obstacle() -> None:
    grown = {"memory_mb": 8192}
    assert not obstacles(ABLE, grown)
    assert "can't be taken away" in obstacles(ABLE, {"memory_mb": 4096}, grown)


def test_a_change_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="nothing to change"):
        VmReconfigure(power_cycle=True)
