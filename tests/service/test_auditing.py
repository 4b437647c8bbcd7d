"""What an auditor finds: edits of the record, of what was signed, and an end that was cut off."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from remediate.service.auditing import audit_runs
from tests.service.world import World


@pytest.fixture
def done(world: World) -> World:
    """A world with one finished run."""
    world.done()
    assert audit_runs(world.project, None) == []
    world.tampered = True
    return world


def folder(world: World) -> Path:
    """The newest run's."""
    return world.root / ".remediate" / "runs" / world.project.journal.runs()[-1]


def sql(world: World, *statements: str) -> None:
    """Edit the journal behind the product's back."""
    with closing(sqlite3.connect(world.root / ".remediate" / "journal.db")) as db, db:
        for statement in statements:
            db.execute(statement)


def envelope(world: World) -> Path:
    """The approval that the run kept."""
    return next((folder(world) / "approvals").glob("*approve*"))


CHANGES: dict[str, tuple[Callable[[World], object], str]] = {
    "record edited": (
        lambda w: sql(w, "UPDATE events SET body = replace(body, 'alice', 'mallory')"),
        "was edited",
    ),
    "end cut off": (lambda w: sql(w, "DELETE FROM events WHERE seq > 4"), "its end was cut off"),
    "run taken out whole": (lambda w: sql(w, "DELETE FROM events"), "its end was cut off"),
    "envelope gone": (lambda w: envelope(w).unlink(), "carol approved it, but no valid envelope says so"),
    "envelope edited": (
        lambda w: envelope(w).write_text(envelope(w).read_text().replace('"comment":""', '"comment":"x"')),
        "carol approved it, but no valid envelope says so",
    ),
    "envelope of somebody else": (
        lambda w: envelope(w).write_text(envelope(w).read_text().replace("carol@lab", "dan@lab")),
        "carol approved it, but no valid envelope says so",
    ),
    "plan exchanged": (
        lambda w: (folder(w) / "plan.json").write_text((folder(w) / "plan.json").read_text() + " "),
        "plan.json",
    ),
    "plan gone": (lambda w: (folder(w) / "plan.json").unlink(), "plan.json"),
    "key taken away": (lambda w: (w.root / "allowed_signers").write_text("# nobody\n"), "carol approved it"),
    "tickets out of reach": (lambda w: shutil.rmtree(w.root / "tickets"), "not compared with the tickets"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_an_audit_finds(done: World, what: str) -> None:
    change, word = CHANGES[what]
    change(done)
    findings = audit_runs(done.project, None)
    assert any(word in finding for finding in findings), findings


def test_an_older_copy_of_the_journal_is_found(world: World) -> None:
    world.done()
    state = world.root / ".remediate"
    world.project.journal.close()
    saved = {p.name: p.read_bytes() for p in state.glob("journal.db*")}
    world.file.unlink()
    world.done("two.plan.json")
    assert audit_runs(world.project, None) == []
    for path in state.glob("journal.db*"):
        path.unlink()
    for name, data in saved.items():
        (state / name).write_bytes(data)
    (finding,) = audit_runs(world.project, None)
    world.tampered = True
    assert "an older copy was put in its place" in finding


def test_a_run_that_was_refused_is_no_finding(world: World) -> None:
    """It left a folder, but no events, and its ticket tells of none."""
    world.plan()
    world.approve()
    world.file.write_text("drift\n")
    with pytest.raises(Exception, match="changed since the plan was made"):
        world.run()
    assert audit_runs(world.project, None) == []
    assert list((world.root / ".remediate" / "runs").iterdir())


def test_an_invalid_envelope_beside_a_valid_one_is_no_finding(world: World) -> None:
    """Only those that the run counted on have to hold."""
    world.plan()
    world.approve()
    world.approve(person="dan")
    for path in world.root.glob("*approve-dan*"):
        path.write_text(path.read_text().replace('"comment":""', '"comment":"x"'))
    world.run()
    assert audit_runs(world.project, None) == []
