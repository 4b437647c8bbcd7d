"""What a process does around a run: who may go on, what is kept, what stays locked."""

from __future__ import annotations

from pathlib import Path

import pytest

import remediate
from remediate.errors import Exit, JournalUnwritable, NeedsHuman, Refused, StaleLease, Waiting
from remediate.journal.interface import Held
from remediate.model.base import State, sha256
from remediate.model.event import Final, Intent, RunStarted
from remediate.model.event import Held as HeldBack
from remediate.model.plan import Artefact
from remediate.service import approving
from remediate.service.approving import standing
from remediate.service.artefacts import changed, copy
from remediate.service.closing import close
from remediate.service.project import Project
from remediate.service.running import _Execution
from remediate.service.runs import load_run
from tests.service.simulated import Simulated
from tests.tickets.fake import FakeTickets


def kinds(simulated: Simulated) -> list[str]:
    """What the journal tells of the run."""
    return [e.body.kind for e in simulated.project.journal.events(f"r-{simulated.plan.digest[:8]}")]


def with_tickets(simulated: Simulated, down: bool) -> Project:
    """The project, over a ticket system that is down, or not."""
    project = simulated.project
    project.__dict__["tickets"] = FakeTickets(known=frozenset({"T-1"}), down_until=1e18 if down else 0.0)
    return project


def begun(simulated: Simulated, execution: _Execution, version: str) -> None:
    """The run's first event, by this version."""
    started = RunStarted(
        plan=simulated.plan.digest, plan_id="p-1", ticket="T-1", runbook="write", runner="alice",
        tool_version=version, targets=2, steps=2,
    )  # fmt: skip
    simulated.world.tampered = True
    journal = simulated.project.journal
    journal.append(execution._run, [started], simulated.world.clock(), execution._lease)


def test_from_start_to_end(simulated: Simulated) -> None:
    simulated.approve()
    assert simulated.run() is Exit.VERIFIED_NEW
    assert kinds(simulated)[0] == "run-started"
    assert simulated.project.journal.locks() == []
    with pytest.raises(Refused, match="used up by run"):
        simulated.run()


def test_a_run_does_not_start_while_the_ticket_system_is_down(simulated: Simulated) -> None:
    simulated.world.settings('\n[limits]\nclosing = "1s"\n')
    simulated.approve()
    with pytest.raises(Waiting, match="nothing was begun"):
        simulated.run(with_tickets(simulated, down=True))
    assert kinds(simulated) == []
    assert simulated.project.journal.locks() == []


def test_a_run_whose_ticket_can_not_be_completed_waits(simulated: Simulated) -> None:
    simulated.world.settings('\n[limits]\nclosing = "1s"\n')
    simulated.approve()
    execution = simulated.execution(with_tickets(simulated, down=True))
    begun(simulated, execution, remediate.__version__)
    with pytest.raises(Waiting, match="could not be completed"):
        close(simulated.project, simulated.plan, execution._run, execution._outbox, Exit.VERIFIED_NEW)
    execution.close()


def test_drift_before_the_start_is_refused(simulated: Simulated) -> None:
    simulated.approve()
    simulated.targets.facts["t2"]["file:/1"] = "theirs"
    with pytest.raises(Refused, match="t2 changed since the plan was made"):
        simulated.run()
    assert kinds(simulated) == []
    assert simulated.targets.applied == []


def test_a_target_that_can_not_be_read_is_refused(simulated: Simulated) -> None:
    simulated.approve()
    simulated.targets.unreachable = lambda name: name == "t1"
    with pytest.raises(Refused, match="t1 can't be read"):
        simulated.run()
    assert kinds(simulated) == []


def test_an_approval_that_is_taken_back_meanwhile(simulated: Simulated) -> None:
    simulated.approve()
    plain = simulated.targets.inspect

    def inspect(target: str) -> State:
        if not denied:
            denied.append(True)
            approving.deny(simulated.project, simulated.file, simulated.world.root / "keys/dan", "no")
        return plain(target)

    denied: list[bool] = []
    simulated.targets.inspect = inspect  # type: ignore[method-assign]
    assert simulated.run() is Exit.ROLLED_BACK
    assert simulated.targets.applied == []


def test_an_approval_that_expires_meanwhile(simulated: Simulated) -> None:
    simulated.approve()
    project = simulated.project
    execution = simulated.execution(project)
    execution._standing = standing(project, simulated.plan, simulated.file, project.my_logins)
    assert execution._authorised(simulated.world.clock()) == ""
    assert "expired" in execution._authorised(simulated.world.clock() + 8 * 86400)
    execution._standing = None
    assert execution._authorised(simulated.world.clock()) != ""
    execution.close()


def test_a_run_of_another_version_is_not_taken_up(simulated: Simulated) -> None:
    execution = simulated.execution()
    execution._keep(simulated.file)
    begun(simulated, execution, "0.0.1")
    with pytest.raises(Refused, match=r"begun by remediate 0\.0\.1"):
        execution.go_on()
    execution.close()


def test_who_approved_does_not_go_on_with_it(simulated: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    simulated.approve()
    execution = simulated.execution()
    execution._keep(simulated.file)
    monkeypatch.setattr(Project, "my_logins", ("carol@lab",))
    state = simulated.targets
    with pytest.raises(Refused, match="somebody else has to go on"):
        execution._standing_now(_nothing_yet(simulated))
    assert state.applied == []
    execution.close()


def _nothing_yet(simulated: Simulated):  # type: ignore[no-untyped-def]
    from remediate.engine.state import RunState

    return RunState.new(simulated.plan)


def test_who_slept_is_told_before_it_changes_anything(simulated: Simulated) -> None:
    execution = simulated.execution()
    execution._fence()
    simulated.world.ahead = 100.0
    simulated.project.journal.acquire(execution._run, (), "elsewhere|boot|1|1", simulated.world.clock(), 60)
    with pytest.raises(StaleLease):
        execution._fence()
    execution.close()


def test_what_needs_a_human_stays_locked(simulated: Simulated) -> None:
    simulated.approve()
    simulated.targets.faults["s2-change", "t2"] = ["verify"]

    def look(target: str) -> State:
        return {"file:/1": "theirs" if target == "t2" else "old"}

    simulated.targets.read_back = look  # type: ignore[method-assign]
    assert simulated.run() is Exit.NEEDS_HUMAN
    loaded = load_run(simulated.project, "last")
    assert {n: t.settled for n, t in loaded.state.targets.items()} == {
        "t1": Final.ORIGINAL,
        "t2": Final.HUMAN,
    }
    assert simulated.project.journal.locks() == [Held("t2", loaded.run)]


def test_a_plan_kept_by_the_run_is_the_one_that_it_was_begun_with(simulated: Simulated) -> None:
    simulated.approve()
    simulated.run()
    run = load_run(simulated.project, "last").run
    simulated.world.tampered = True
    simulated.has(id="p-2")
    stored = simulated.world.root / ".remediate/runs" / run / "plan.json"
    stored.write_bytes(simulated.plan.data)
    with pytest.raises(Exception, match="is not the plan of run"):
        load_run(simulated.project, run)


def test_secrets_are_taken_out_of_what_differs(simulated: Simulated) -> None:
    """A fact that somebody changed to a secret stands in no event."""
    simulated.approve()
    project = simulated.project
    project.credentials.scrubber.add("hunter2-hunter2")
    plain = simulated.targets.inspect

    def inspect(target: str) -> State:
        looked.append(target)
        return plain(target) | ({"file:/1": "hunter2-hunter2"} if len(looked) > 2 else {})

    looked: list[str] = []
    simulated.targets.inspect = inspect  # type: ignore[method-assign]
    assert simulated.run(project) is Exit.ROLLED_BACK
    told = [str(e.body) for e in simulated.project.journal.events(project.find_run("last"))]
    assert any("[redacted]" in text for text in told)
    assert not any("hunter2" in text for text in told)


def test_a_journal_that_can_not_be_written_is_noted_elsewhere(
    simulated: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated.approve()
    project = simulated.project
    plain = project.journal.append

    def full(run: str, bodies, *rest):  # type: ignore[no-untyped-def]
        if any(isinstance(b, Intent) for b in bodies):
            raise JournalUnwritable("no room")
        return plain(run, bodies, *rest)

    monkeypatch.setattr(project.journal, "append", full)
    with pytest.raises(NeedsHuman, match="halted: no room"):
        simulated.run(project)
    (note,) = (simulated.world.root / ".remediate/runs").glob("*/remediate-*-halted.txt")
    assert "no room" in note.read_text()
    assert simulated.targets.applied == []
    assert not any(isinstance(e.body, HeldBack) for e in simulated.project.journal.events("last"))


def test_what_a_run_keeps_is_private(simulated: Simulated) -> None:
    simulated.approve()
    simulated.run()
    folder = simulated.project.run_folder(load_run(simulated.project, "last").run)
    assert {path.stat().st_mode & 0o077 for path in folder.rglob("*")} == {0}


def _planned(simulated: Simulated, data: bytes) -> Path:
    """A plan that executes one file of the project."""
    path = simulated.world.root / "playbooks" / "fix.yml"
    path.parent.mkdir()
    path.write_bytes(data)
    simulated.has(artefacts=(Artefact(path="playbooks/fix.yml", sha256=sha256(data), size=len(data)),))
    return path


def test_an_artefact_that_was_edited_is_not_copied(simulated: Simulated, tmp_path: Path) -> None:
    path = _planned(simulated, b"- hosts: all\n")
    copy(simulated.plan, simulated.world.root, tmp_path / "copies")
    assert changed(simulated.plan.artefacts, tmp_path / "copies") == []
    path.write_text("- hosts: others\n")
    copy(simulated.plan, simulated.world.root, tmp_path / "copies")
    with pytest.raises(Refused, match="changed since the plan was made"):
        copy(simulated.plan, simulated.world.root, tmp_path / "new")
    assert not (tmp_path / "new" / "playbooks" / "fix.yml").exists()


def test_a_copy_that_was_edited_is_refused(simulated: Simulated, tmp_path: Path) -> None:
    _planned(simulated, b"- hosts: all\n")
    copy(simulated.plan, simulated.world.root, tmp_path)
    (tmp_path / "playbooks" / "fix.yml").write_text("- hosts: others\n")
    with pytest.raises(Refused, match="changed since the plan was made"):
        copy(simulated.plan, simulated.world.root, tmp_path)
