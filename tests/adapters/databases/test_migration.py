"""SqlMigration over both engines: in parts, marked, cut between them, and taken back."""

from __future__ import annotations

import threading

import pytest

from remediate.adapters.databases import parts
from remediate.adapters.databases.migration import SqlMigration
from remediate.adapters.databases.sqltext import split
from remediate.errors import InputError, StepFailed
from remediate.model.step import Verdict
from tests.adapters.databases.world import World

pytestmark = pytest.mark.lab

FORWARD = (
    "ALTER TABLE payment ADD COLUMN note varchar(20)",
    "UPDATE payment SET note = state WHERE state = 'wrong; -- '",
    "CREATE INDEX payment_state ON payment (state)",
)
DROP_INDEX = {"mariadb": "DROP INDEX payment_state ON payment", "postgres": "DROP INDEX payment_state"}


def migration(world: World, **fields: object) -> SqlMigration:
    engine = world.server.engine
    own: dict[str, object] = {
        "engine": engine,
        "database": world.database,
        "forward": FORWARD,
        "backward": (
            DROP_INDEX[engine],
            "UPDATE payment SET note = NULL",
            "ALTER TABLE payment DROP COLUMN note",
        ),
        "tables": ("payment",),
    }
    return SqlMigration(**(own | fields))


def columns(world: World) -> set[str]:
    found = world.rows("SELECT column_name FROM information_schema.columns WHERE table_name = 'payment'")
    return {str(name) for (name,) in found}


def test_there_and_back(world: World) -> None:
    step, before = migration(world), world.everything()
    facts = step.observe(world.context())
    assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED
    step.apply(world.context(before=facts))
    assert all(check.ok for check in step.confirm(world.context()))
    assert step.probe(world.context()).verdict is Verdict.APPLIED
    assert not step.apply(world.context(attempt=2)).changed
    assert "note" in columns(world)
    assert step.observe(world.context()) != facts
    step.undo(world.undo())
    assert world.everything() == before
    assert step.observe(world.context()) == facts
    assert not step.undo(world.undo()).changed
    assert world.tables() == {"payment"}


def test_files(world: World) -> None:
    project = world.folder / "project"
    (project / "up.sql").write_text(";\n".join(FORWARD) + ";\n-- the end\n")
    (project / "down.sql").write_text(";\n".join(migration(world).backward or ()))
    step = migration(world, forward="up.sql", backward="down.sql")
    assert [str(path) for path in step.artefacts(project)] == ["up.sql", "down.sql"]
    facts = step.observe(world.context())
    step.apply(world.context())
    assert "note" in columns(world)
    step.undo(world.undo())
    assert step.observe(world.context()) == facts
    with pytest.raises(StepFailed, match=r"can't read no\.sql"):
        migration(world, forward="no.sql").observe(world.context())


def test_the_preview_says_what_commits_by_itself(world: World) -> None:
    text = migration(world).preview(world.context())
    if world.server.engine == "postgres":
        assert text.startswith("part 1, in one transaction:\n+ALTER TABLE")
        assert "!" not in text
    else:
        assert "part 1, commits by itself:\n+ALTER TABLE" in text
        assert "part 2, in one transaction:\n+UPDATE" in text
        assert "! 3 parts, each committed by itself" in text


def test_a_failing_statement_leaves_nothing_behind(world: World) -> None:
    forward = (FORWARD[0], "INSERT INTO payment (id) VALUES (1)", FORWARD[2])
    step = migration(world, forward=forward)
    facts, before = step.observe(world.context()), world.everything()
    with pytest.raises(StepFailed, match="INSERT INTO payment"):
        step.apply(world.context())
    if world.server.engine == "postgres":
        assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED
    else:
        found = step.probe(world.context())
        assert found.verdict is Verdict.PARTIAL
        assert "1 of 3 parts" in found.evidence
    step.undo(world.undo())
    assert step.observe(world.context()) == facts
    assert world.everything() == before
    assert world.tables() == {"payment"}


def test_a_blocked_alter_gives_up_and_frees_the_queue(world: World) -> None:
    step = migration(world, lock_wait=1)
    with world.server.open(world.database) as other:
        other.begin()
        other.rows("SELECT * FROM payment")
        done: list[str] = []
        failing = threading.Thread(target=_fails, args=(step, world, done))
        failing.start()
        failing.join(10)
        assert done, "it waits for ever"
        assert world.rows("SELECT count(*) FROM payment") == [(5,)], "nobody else has to wait behind it"
        other.rollback()
    assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED
    step.undo(world.undo())
    assert world.tables() == {"payment"}


def _fails(step: SqlMigration, world: World, done: list[str]) -> None:
    try:
        step.apply(world.context())
    except StepFailed as error:
        done.append(error.problem)


def test_without_a_way_back_the_backup_is_all(world: World) -> None:
    step = migration(world, backward=None)
    assert not step.undoable
    assert [backup.kind for backup in step.protection()] == ["database-backup"]
    assert "the backup alone" in step.preview(world.context())
    step.apply(world.context())
    assert not step.undo(world.undo()).changed
    assert "note" in columns(world)
    assert step.release(world.context()).changed
    assert world.tables() == {"payment"}


def test_others_indexes_are_not_dropped(world: World) -> None:
    """A part that found its object there already, and changed nothing, is not taken back."""
    if world.server.engine == "postgres":
        pytest.skip("in a transaction, the author's statements are the whole truth")
    world.sql("CREATE INDEX payment_state ON payment (state)")
    step = migration(
        world,
        forward=("CREATE INDEX IF NOT EXISTS payment_state ON payment (state)",),
        backward=(DROP_INDEX["mariadb"],),
    )
    facts = step.observe(world.context())
    step.apply(world.context())
    step.undo(world.undo())
    assert step.observe(world.context()) == facts


def test_concurrently_is_a_part_of_its_own(world: World) -> None:
    if world.server.engine == "mariadb":
        pytest.skip("PostgreSQL's own")
    step = migration(
        world,
        forward=(FORWARD[0], "CREATE INDEX CONCURRENTLY payment_state ON payment (state)"),
        backward=("DROP INDEX CONCURRENTLY IF EXISTS payment_state", "ALTER TABLE payment DROP COLUMN note"),
    )
    facts = step.observe(world.context())
    assert "part 2, commits by itself" in step.preview(world.context())
    step.apply(world.context())
    assert step.probe(world.context()).verdict is Verdict.APPLIED
    step.undo(world.undo())
    assert step.observe(world.context()) == facts


@pytest.mark.parametrize(
    ("engine", "forward", "backward", "said"),
    [
        (
            "mariadb",
            "ALTER TABLE a ADD b int; DROP TABLE c",
            "ALTER TABLE a DROP c",
            "2 statements forward",
        ),
        ("postgres", "SELECT 1; VACUUM a", "SELECT 1", "2 statements forward"),
        ("mariadb", "USE other; SELECT 1", "SELECT 1", "stay in its database"),
        ("postgres", "SET search_path TO other", "SELECT 1", "stay in its database"),
        ("postgres", "-- nothing", "SELECT 1", "no statements"),
    ],
)
def test_what_can_not_be_taken_back_in_parts(engine: str, forward: str, backward: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parts.plan(engine, split(forward, engine), split(backward, engine))
