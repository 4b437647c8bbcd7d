"""Whole runs whose only backup is a snapshot: planned, approved and executed over the lab's hosts."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from remediate.errors import Exit, Refused
from remediate.lab.inventory import write_inventory
from remediate.lab.keys import key_pair
from remediate.model.event import Event, Outcome, Settled, Verb
from remediate.model.plan import Plan
from remediate.service import approving, planning
from remediate.service.project import Project
from remediate.service.running import Screen, execute
from tests.adapters.vmware.world import LAYOUT, TOTAL, World

pytestmark = pytest.mark.lab

RUNBOOK = '''
from remediate.authoring import Command, File, Risk, Runbook, VmSnapshot, Waves
from remediate.model.step import Estimate

QUICK = Estimate(apply=1, verify=1, undo=1)


class Motd(Runbook):
    """Write a new message of the day."""

    class Inputs(Runbook.Inputs):
        fail: bool = False

    targets = "web"
    strategy = Waves(canary=0, then="100%")
    risk = Risk(outage="none", data_loss="what the guest wrote since, when it is rolled back")
    doubt_patience = 20.0

    def steps(self, inputs):
        yield File(
            path="/etc/motd",
            content="new\\n",
            protect=[VmSnapshot(headroom="1 GiB")],
            verify=[Command(["false"])] if inputs.fail else [],
        )
'''
SETTINGS = """
[project]
inventory = "inventory"

[ssh]
known_hosts = "{known_hosts}"

[people.alice]
logins = ["{login}"]
roles = ["engineer"]

[people.carol]
principals = ["carol@lab"]
roles = ["change-manager"]
"""


@dataclass
class Place:
    """A project over the lab's hosts."""

    root: Path
    seen: list[Event] = field(default_factory=list)

    @classmethod
    def make(cls, root: Path) -> Place:
        """With one runbook, one ticket, and a key for carol."""
        for name in ("runbooks", "tickets/T-1", "keys"):
            (root / name).mkdir(parents=True)
        (root / "runbooks" / "motd.py").write_text(RUNBOOK)
        write_inventory(root / "inventory", TOTAL, LAYOUT)
        login = pwd.getpwuid(os.getuid()).pw_name
        (root / "remediate.toml").write_text(SETTINGS.format(known_hosts=LAYOUT.known_hosts, login=login))
        (root / "tickets/T-1/ticket.md").write_text("---\nsubject: s\nrequester: eve\n---\n")
        public = " ".join(key_pair(root / "keys" / "carol", "carol").split()[:2])
        (root / "allowed_signers").write_text(f'carol@lab namespaces="remediate-plan@remediate" {public}\n')
        return cls(root)

    @property
    def project(self) -> Project:
        """Opened anew, as each command does."""
        return Project.open(self.root)

    def plan(self, *settings: str) -> Plan:
        """Planned, saved and approved."""
        made = planning.make_plan(self.project, "motd", ticket="T-1", settings=settings)
        planning.save_plan(made, self.root / "fix.plan.json")
        planning.announce(self.project, made)
        approving.approve(self.project, self.root / "fix.plan.json", self.root / "keys" / "carol")
        return made

    def run(self) -> Exit:
        """Execute it."""
        screen = Screen(lambda _, event: self.seen.append(event), lambda: False)
        return execute(self.project, self.root / "fix.plan.json", screen)

    def finals(self) -> dict[str, str]:
        """How each target ended."""
        return {e.body.target: e.body.final.value for e in self.seen if isinstance(e.body, Settled)}

    def outcomes(self, verb: Verb, kind: str) -> list[Outcome]:
        """Outcomes of the steps of this kind."""
        bodies = [e.body for e in self.seen if isinstance(e.body, Outcome)]
        return [b for b in bodies if b.verb is verb and b.step.endswith(kind)]

    @property
    def log(self) -> str:
        """What stands on the ticket."""
        return (self.root / "tickets/T-1/log.md").read_text()


@pytest.fixture
def place(world: World, tmp_path: Path) -> Place:
    """Both hosts have the same old message."""
    for name in ("web1", "web2"):
        world.file(name, "/etc/motd").write_text("old\n")
    return Place.make(tmp_path / "project")


def motds(world: World) -> list[bytes]:
    return [world.file(name, "/etc/motd").read_bytes() for name in ("web1", "web2")]


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


def test_a_revert_that_restores_nothing_is_found_out(world: World, place: Place) -> None:
    place.plan("fail=true")
    world.faults.effects(real=False)
    assert place.run() is Exit.NEEDS_HUMAN, place.log
    assert set(place.finals().values()) == {"needs-human"}
    assert "/etc/motd" in place.log
    assert motds(world) == [b"new\n", b"new\n"]


def test_replies_lost_in_a_run(world: World, place: Place) -> None:
    before = motds(world)
    place.plan("fail=true")
    world.faults.reply_lost("CreateSnapshot_Task", vm="web1", times=2)
    world.faults.reply_lost("RevertToSnapshot_Task", vm="web1")
    assert place.run() is Exit.ROLLED_BACK, place.log
    assert motds(world) == before
    assert len(world.snapshots("web1")) == 1


def test_reasons_against_a_snapshot_refuse_the_plan(world: World, place: Place) -> None:
    world.faults.free_space(1 << 20)
    with pytest.raises(Refused, match=r"web1: no snapshot of web1: datastore .* GiB free"):
        place.plan()


def test_no_room_any_more_when_it_runs(world: World, place: Place) -> None:
    place.plan()
    world.faults.free_space(1 << 20)
    before = motds(world)
    assert place.run() is Exit.ROLLED_BACK, place.log
    assert set(place.finals().values()) == {"verified-original"}
    assert motds(world) == before
    assert world.snapshots("web1") == []
