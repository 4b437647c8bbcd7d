"""Whole runs whose only backup is a snapshot: planned, approved and executed over the lab's hosts."""

from __future__ import annotations

import pytest

from remediate.errors import Exit, Refused
from remediate.model.event import Verb
from tests.adapters.vmware.place import Place, motds
from tests.adapters.vmware.world import World

pytestmark = pytest.mark.lab


def test_a_run_that_goes_well_keeps_its_snapshots(world: World, place: Place) -> None:
    plan = place.plan()
    assert place.run() is Exit.VERIFIED_NEW, place.log
    assert motds(world) == [b"new\n", b"new\n"]
    names = [f"remediate:r-{plan.digest[:8]}:b01-vm-snapshot:{name}" for name in ("web1", "web2")]
    assert [*world.snapshots("web1"), *world.snapshots("web2")] == names
    assert all(name in place.log for name in names)


def test_a_failure_is_rolled_back_by_revert(world: World, place: Place) -> None:
    before = motds(world)
    place.plan("fail=true")
    assert place.run() is Exit.ROLLED_BACK, place.log
    assert motds(world) == before
    assert set(place.finals().values()) == {"verified-original"}
    assert (world.power("web1"), world.power("web2")) == ("poweredOn", "poweredOn")
    undone = place.outcomes(Verb.UNDO, "vm-snapshot")
    assert [o.result.summary[:11] for o in undone] == ["reverted to"] * 2, undone


def test_reasons_against_a_snapshot_refuse_the_plan(world: World, place: Place) -> None:
    world.faults.free_space(1 << 20)
    with pytest.raises(Refused, match=r"web1: no snapshot of web1: datastore .* GiB free"):
        place.plan()


@pytest.mark.fault("VMware", "before", "disk full", "failed, nothing changed")
def test_no_room_any_more_when_it_runs(world: World, place: Place) -> None:
    place.plan()
    world.faults.free_space(1 << 20)
    before = motds(world)
    assert place.run() is Exit.ROLLED_BACK, place.log
    assert set(place.finals().values()) == {"verified-original"}
    assert motds(world) == before
    assert world.snapshots("web1") == []
