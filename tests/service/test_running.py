"""Executing a plan: what has to hold before, what is kept, what is left of it."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from typing import Any

import pytest

from remediate.adapters.hosts.session import Answer, Session
from remediate.errors import Exit, InputError, Refused, StaleLease, Waiting
from remediate.journal.sqlite import SqliteJournal
from remediate.model.event import Body, Event, Intent
from remediate.service import control
from remediate.service.planning import History, read_plan
from remediate.service.running import Screen, execute
from remediate.service.runs import load_run, overview
from tests.service.world import World


def test_from_plan_to_rollback(world: World) -> None:
    plan = world.done()
    assert world.file.read_text() == "new\n"
    with pytest.raises(Refused, match="used up by run"):
        world.run()
    assert control.rollback(world.project, "last", Screen()) is Exit.ROLLED_BACK
    assert not world.file.exists()
    assert load_run(world.project, "last").plan == plan
    with pytest.raises(Refused, match="rolled back already"):
        control.rollback(world.project, "last", Screen())


def test_failed_check_rolls_back(world: World) -> None:
    world.file.write_text("old\n")
    world.file.chmod(0o640)
    world.plan(fail=True)
    world.approve()
    assert world.run() is Exit.ROLLED_BACK
    assert world.file.read_text() == "old\n"
    assert stat.S_IMODE(world.file.stat().st_mode) == 0o640


def test_all_reasons_are_told_at_once(world: World) -> None:
    """Nobody wants to hear of the next one only when the first is mended."""
    world.plan()
    world.approve()
    world.ahead = 8 * 86400
    with (world.root / "runbooks" / "write.py").open("a") as file:
        file.write("# changed\n")
    (world.root / "inventory" / "hosts.yml").write_text("all:\n  hosts:\n    other: {}\n")
    with pytest.raises(Refused) as caught:
        world.run()
    text = "\n".join(caught.value.reasons)
    for word in (
        "runbook source runbooks/write.py changed",
        "host here is gone",
        "the plan expired",
        "expired (",
    ):
        assert word in text
    assert not world.file.exists()


def test_window_that_closed_after_the_approval(world: World) -> None:
    world.plan(window="now/30m")
    world.approve()
    world.ahead = 1801
    with pytest.raises(Refused, match="the window closed at"):
        world.run()
    assert world.project.journal.locks() == []


def test_window_that_is_not_open_yet(world: World) -> None:
    world.plan(window="2099-01-01T00:00Z/2h")
    world.approve()
    with pytest.raises(Refused, match="the window opens at 2099-01-01 00:00 UTC"):
        world.run()


def test_window_that_is_too_late_for_the_first_wave(world: World) -> None:
    """Open, but it doesn't hold the first wave and its rollback any more. The plan isn't used up by that."""
    runbook = world.root / "runbooks" / "write.py"
    runbook.write_text(runbook.read_text().replace("apply=1", "apply=200"))
    world.plan(window="now/30m")
    world.approve()
    world.ahead = 1500
    with pytest.raises(Refused, match=r"of the window are left, and the first wave needs 7 min"):
        world.run()
    assert world.project.journal.runs() == []
    world.ahead = 0
    assert world.run() is Exit.VERIFIED_NEW


def test_plan_of_another_version_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.plan()
    world.approve()
    monkeypatch.setattr("remediate.__version__", "9.9")
    with pytest.raises(Refused, match=r"made by remediate .*, this is 9\.9"):
        world.run()


def test_unapproved_plan_leaves_nothing(world: World) -> None:
    world.plan()
    with pytest.raises(Waiting, match="carol or dan"):
        world.run()
    assert world.project.journal.locks() == []
    assert world.project.journal.runs() == []


def test_artefacts_are_taken_from_the_copies_when_a_run_goes_on(world: World) -> None:
    """The project may be edited while a run is interrupted: what was approved is what goes on."""
    interrupted_early(world)
    (world.root / "runbooks" / "write.py").write_text("edited = True\n")
    assert world.run() is Exit.VERIFIED_NEW
    assert world.file.read_text() == "new\n"


def interrupted_early(world: World) -> None:
    """A run that was stopped after its first step, the backup."""
    world.plan()
    world.approve()
    assert world.run(interrupted=lambda: any(e.body.kind == "intent" for e in world.seen)) is Exit.INTERRUPTED
    assert not world.file.exists()


def test_expired_approval_of_an_interrupted_run(world: World) -> None:
    """Nothing goes forward any more; what was done is undone."""
    interrupted_early(world)
    world.ahead = 2 * 86400
    assert world.run() is Exit.ROLLED_BACK
    assert not world.file.exists()


def test_what_a_run_keeps_is_private(world: World) -> None:
    world.done()
    state = world.root / ".remediate"
    for path in state.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_run_is_found_by_its_beginning(world: World) -> None:
    world.done()
    run = world.project.journal.runs()[0]
    for name in (run, run[:4], "last"):
        assert world.project.find_run(name) == run
    with pytest.raises(InputError, match="no run begins with 'r-x'"):
        world.project.find_run("r-x")
    world.file.unlink()
    world.done("two.plan.json")
    with pytest.raises(InputError, match="several runs begin with 'r-'"):
        world.project.find_run("r-")


def test_run_whose_folder_is_gone_is_still_listed(world: World) -> None:
    world.tampered = True
    world.done()
    run = world.project.journal.runs()[0]
    (world.root / ".remediate" / "runs" / run / "plan.json").unlink()
    (row,) = overview(world.project)
    assert row.run == run
    assert "No such file" in row.status


def test_stored_plan_that_was_exchanged_is_refused(world: World) -> None:
    world.tampered = True
    world.done()
    run = world.project.journal.runs()[0]
    world.file.unlink()
    world.plan("two.plan.json")
    stored = world.root / ".remediate" / "runs" / run / "plan.json"
    stored.write_bytes((world.root / "two.plan.json").read_bytes())
    with pytest.raises(InputError, match="is not the plan of run"):
        load_run(world.project, run)
    with pytest.raises(InputError, match="is not the plan of run"):
        control.rollback(world.project, run, Screen())


def test_exchanged_plan_is_never_executed(world: World) -> None:
    """Also not by `run` of an interrupted run, which takes the plan from the run's folder."""
    world.tampered = True
    interrupted_early(world)
    run = world.project.journal.runs()[0]
    stored = world.root / ".remediate" / "runs" / run / "plan.json"
    other = json.loads(stored.read_text())
    other["author"] = "mallory"
    from remediate.model.base import canonical

    stored.write_bytes(canonical(other) + b"\n")
    with pytest.raises((InputError, Refused)):
        world.run()


def test_estimates_come_from_earlier_runs(world: World) -> None:
    """From the third on."""
    for number in range(3):
        plan = world.done(f"{number}.plan.json")
        control.rollback(world.project, "last", Screen())
    step = plan.steps[0]
    estimate = History(world.project).estimate("write", step)
    assert estimate is not None
    assert estimate.source == "3 earlier"
    assert 0 <= estimate.apply < 60


def test_plan_is_read_whole_or_not_at_all(world: World) -> None:
    world.plan()
    data = (world.root / "fix.plan.json").read_bytes()
    for cut in (0, 1, len(data) // 2, len(data) - 1):
        (world.root / "cut.json").write_bytes(data[:cut])
        with pytest.raises((InputError, Refused), match=r"cut\.json"):
            read_plan(world.root / "cut.json")


def test_who_slept_while_another_took_over_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its intent is durable, then it sleeps; when it wakes up, its request is not sent any more."""
    world.plan()
    world.approve()
    project = world.project
    sent: list[str] = []
    plain = Session.ask

    def ask(self: Session, op: str, *, effect: bool, **rest: Any) -> Answer:
        if effect:
            sent.append(op)
        return plain(self, op, effect=effect, **rest)

    monkeypatch.setattr(Session, "ask", ask)

    written = SqliteJournal.append

    def asleep(self: SqliteJournal, run: str, bodies: Sequence[Body], *rest: Any) -> list[Event]:
        events = written(self, run, bodies, *rest)
        if any(isinstance(b, Intent) and not b.step.startswith("b") for b in bodies):
            world.ahead += 2 * project.config.limits.lease
            project.journal.acquire(run, (), "elsewhere|boot|1|1", world.clock(), 600)
            sent.clear()
        return events

    monkeypatch.setattr(SqliteJournal, "append", asleep)
    with pytest.raises(StaleLease):
        execute(project, world.root / "fix.plan.json", Screen())
    assert sent == []
    assert not world.file.exists()
