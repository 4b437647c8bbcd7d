"""What can't be kept is not planned: no way back, no time for it, nothing to do, nothing to see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from remediate.errors import InputError, Refused
from remediate.model.base import State
from remediate.model.change import Window
from remediate.model.runbook import RiskLevel
from remediate.model.step import Context, Probe, Result, Role, Step, Verdict
from remediate.planning.expand import Draft, expand
from tests.planning.world import World

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class Change(Step):
    """Changes nothing that anybody could put back."""

    kind: ClassVar[str] = "test-sound-change"
    what: str = "x"

    def title(self) -> str:
        return f"change {self.what}"

    def observe(self, context: Context) -> State:
        return {}

    def apply(self, context: Context) -> Result:
        return Result()

    def probe(self, context: Context) -> Probe:
        return Probe(verdict=Verdict.UNKNOWN)


class Backup(Change):
    """Keeps it, and puts it back if asked to be of that kind."""

    kind: ClassVar[str] = "test-sound-backup"
    role: ClassVar[Role] = Role.BACKUP
    gives_back: bool = True

    @property
    def restores(self) -> bool:
        return self.gives_back


class Look(Change):
    """Checks whatever it is told to."""

    kind: ClassVar[str] = "test-sound-look"
    role: ClassVar[Role] = Role.CHECK


def expanded(steps: Iterable[Step], chosen: Sequence[str] = ("t1",)) -> list[Draft]:
    """What becomes of these steps on one target; a pattern selects ``chosen``."""
    return expand(steps, ["t1"], lambda _: chosen)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One target, which is this machine."""
    made = World(tmp_path)
    local = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    made.targets = (made.targets[0].model_copy(update={"vars": local}),)
    return made


def test_nothing_is_no_plan(world: World) -> None:
    with pytest.raises(Refused, match="no steps"):
        expanded([])
    with pytest.raises(Refused, match="selects none"):
        expanded([Change(on="db", irreversible="why")], chosen=())
    with pytest.raises(InputError, match="it checks nothing"):
        expanded([Look()])
    world.targets = ()
    with pytest.raises(Refused, match="no targets"):
        world.plan('yield Verify([Tcp("a", 80)])')


def test_a_change_that_nothing_would_undo() -> None:
    with pytest.raises(InputError, match="nothing would undo it"):
        expanded([Change()])
    assert expanded([Change(irreversible="why")])
    assert expanded([Change(protect=(Backup(),))])


def test_a_backup_that_only_keeps_reverses_nothing() -> None:
    with pytest.raises(InputError, match="nothing would undo it"):
        expanded([Change(protect=(Backup(gives_back=False),))])


def test_only_a_backup_protects() -> None:
    with pytest.raises(InputError, match="is no backup"):
        expanded([Change(protect=(Change(irreversible="why"), Backup()))])


def test_backups_come_first_and_know_what_they_protect() -> None:
    drafts = expanded([Change(what=what, protect=(Backup(),)) for what in ("a", "b")])
    assert [(d.step.role, d.protects) for d in drafts] == [
        (Role.BACKUP, [drafts[1].id, drafts[2].id]),
        (Role.CHANGE, []),
        (Role.CHANGE, []),
    ]


def test_what_nothing_undoes_is_of_high_risk(world: World) -> None:
    assert world.plan('yield Verify([Tcp("a", 80)])').risk.level is RiskLevel.MEDIUM
    assert world.plan('yield RunCommand(argv=["true"], irreversible="x")').risk.level is RiskLevel.HIGH


def test_a_plan_expires_with_its_window(world: World) -> None:
    world.window = Window(start=NEW_YEAR, end=NEW_YEAR + timedelta(hours=2))
    assert world.plan('yield Verify([Tcp("a", 80)])').expires == world.window.end
    world.window = Window(start=NEW_YEAR, end=NEW_YEAR + timedelta(days=3))
    assert world.plan('yield Verify([Tcp("a", 80)])').expires == NEW_YEAR + timedelta(days=1)


def test_a_window_holds_the_first_wave_and_its_rollback(world: World) -> None:
    step = 'yield Verify([Tcp("a", 80)], estimate=Estimate(apply=60, verify=30, undo=30))'
    world.window = Window(start=NEW_YEAR, end=NEW_YEAR + timedelta(seconds=120))
    assert world.plan(step).window == world.window
    world.window = Window(start=NEW_YEAR, end=NEW_YEAR + timedelta(seconds=119))
    with pytest.raises(Refused, match="can't hold even the first wave"):
        world.plan(step)


def test_a_target_that_can_not_be_read_is_not_planned(world: World) -> None:
    python = {"ansible_connection": "local", "ansible_python_interpreter": "/nowhere/python3"}
    world.targets = (world.targets[0].model_copy(update={"vars": python}),)
    with pytest.raises(Refused, match="1 of 1 targets can't be read"):
        world.plan('yield File(path="/tmp/x", content="x")')
