"""What `remediate snapshots` lists and deletes, over real runs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from remediate.cli.main import cli
from remediate.errors import Exit, Refused
from remediate.service import snapshots
from tests.adapters.vmware.place import Place
from tests.adapters.vmware.world import World

pytestmark = pytest.mark.lab

OTHERS = "remediate:r-ffffffff:b01-vm-snapshot:web1"


def command(place: Place, *words: str, answer: str = "") -> Result:
    """One call of the command line."""
    return CliRunner().invoke(cli, ["--project", str(place.root), "snapshots", *words], answer, obj=None)


def test_a_finished_run(world: World, place: Place) -> None:
    run = f"r-{place.plan().digest[:8]}"
    assert place.run() is Exit.VERIFIED_NEW
    world.do(
        world.machine("lb1").CreateSnapshot_Task(name="nightly", description="", memory=False, quiesce=False)
    )
    try:
        listed = json.loads(command(place, "--output", "json").output)["snapshots"]
        assert [(s["machine"], s["run"], s["status"]) for s in listed] == [
            (name, run, "verified new") for name in ("web1", "web2")
        ]
        assert not any(s["overdue"] or s["orphaned"] for s in listed)
        assert "verified new" in command(place).output
        assert json.loads(command(place, "--overdue", "--output", "json").output) == {"snapshots": []}

        # Nothing is overdue yet, and nobody says yes.
        assert "nothing to delete" in command(place, "clean", "--overdue", "--yes").output
        assert command(place, "clean", run, answer="n\n").exit_code != 0
        assert len(world.snapshots("web1")) == 1

        late = command(place, "clean", "--overdue", "--retention", "0s", "--yes", "--output", "json")
        assert [s["deleted"] for s in json.loads(late.output)["snapshots"]] == [True, True]
        assert (world.snapshots("web1"), world.snapshots("lb1")) == ([], ["nightly"])
    finally:
        world.do(world.machine("lb1").RemoveAllSnapshots_Task())


def test_a_run_that_needs_a_human_keeps_its_way_back(world: World, place: Place) -> None:
    run = f"r-{place.plan('fail=true').digest[:8]}"
    world.faults.effects(real=False)
    assert place.run() is Exit.NEEDS_HUMAN
    assert snapshots.choose(place.project, None, retention=0) == []
    with pytest.raises(Refused, match=f"run {run} is not finished"):
        snapshots.choose(place.project, run)
    assert len(world.snapshots("web1")) == 1


def test_another_project_s_are_only_deleted_by_name(world: World, place: Place) -> None:
    world.do(world.machine().CreateSnapshot_Task(name=OTHERS, description="", memory=False, quiesce=False))
    (found,) = snapshots.left(place.project)
    assert (found.status, found.orphaned, found.overdue) == ("unknown here", True, False)
    assert snapshots.choose(place.project, None, retention=0) == []
    assert command(place, "clean", "r-ffff", "--yes").output.strip() == "nothing to delete"
    done = command(place, "clean", "r-ffffffff", answer="y\n")
    assert done.exit_code == 0, done.output
    assert world.snapshots() == []


def test_a_deletion_that_fails_is_told(world: World, place: Place) -> None:
    world.do(world.machine().CreateSnapshot_Task(name=OTHERS, description="", memory=False, quiesce=False))
    world.faults.task_fails("RemoveSnapshot_Task", "FileLocked", vm="web1")
    done = snapshots.delete(place.project, snapshots.left(place.project))
    assert snapshots.exit_code(done) is Exit.NEEDS_HUMAN
    assert "FileLocked" in done[0][2]
    assert world.snapshots() == [OTHERS]
