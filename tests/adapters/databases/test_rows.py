"""DataFix over both engines: guarded, previewed, decidable, and undone without losing what others wrote."""

from __future__ import annotations

import stat
from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import ValidationError

from remediate.adapters.databases.rows import DataFix, Sql
from remediate.errors import StepFailed
from remediate.model.step import Verdict
from tests.adapters.databases.world import HOSTILE, World

pytestmark = pytest.mark.lab


def fix(world: World, **fields: object) -> DataFix:
    own: dict[str, object] = {
        "engine": world.server.engine,
        "database": world.database,
        "table": "payment",
        "where": "state = :wrong",
        "values": {"wrong": "wrong"},
        "set": {"state": "right", "amount": Sql("amount * 100")},
        "expects": 3,
    }
    return DataFix(**(own | fields))


@pytest.mark.fault("databases", "before", "duplicate", "done")
def test_there_and_back(world: World) -> None:
    step, before = fix(world), world.everything()
    facts = step.observe(world.context())
    assert facts == step.observe(world.context())
    assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED
    done = step.apply(world.context(before=facts))
    assert done.summary == "changed 3 rows of payment"
    found = world.rows("SELECT id, state, amount FROM payment WHERE id IN (1, 3) ORDER BY id")
    assert found == [(1, "right", Decimal("112.34")), (3, "right", None)]
    assert all(check.ok for check in step.confirm(world.context()))
    assert step.probe(world.context()).verdict is Verdict.APPLIED
    after = step.observe(world.context())
    assert after != facts
    assert not step.apply(world.context(attempt=2)).changed, "nothing twice"
    assert step.observe(world.context()) == after
    assert step.undo(world.undo()).changed
    assert world.everything() == before, "to the last bit, with columns that the server sets by itself"
    assert not step.undo(world.undo()).changed
    assert step.observe(world.context()) == facts
    assert world.tables() == {"payment"}, "no mark stays"


def test_the_preview_shows_and_changes_nothing(world: World) -> None:
    step, before = fix(world), world.everything()
    text = step.preview(world.context())
    assert text.startswith("3 rows of payment\n-id='1' state='wrong' amount='1.1234'")
    assert "+id='1' state='right' amount='112.3400'" in text
    assert world.everything() == before
    assert world.tables() == {"payment"}


def test_hostile_text_and_secrets_in_the_preview(world: World) -> None:
    step = fix(world, set={"state": HOSTILE, "password": "hunter3"})
    text = step.preview(world.context())
    assert "hunter" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    before = world.everything()
    step.apply(world.context())
    assert world.rows("SELECT DISTINCT state FROM payment WHERE id < 4") == [(HOSTILE,)]
    kept = world.folder / "workspace" / "s01" / "rows-1.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    step.undo(world.undo())
    assert world.everything() == before


def test_deleted_rows_come_back_with_every_value(world: World) -> None:
    step, before = fix(world, set={}, delete=True, where="id <> 5", expects=4), world.everything()
    step.apply(world.context())
    assert world.rows("SELECT id FROM payment") == [(5,)]
    assert all(check.ok for check in step.confirm(world.context()))
    step.undo(world.undo())
    assert world.everything() == before


@pytest.mark.parametrize(
    ("expects", "tolerance", "ok"), [(2, 0, False), (2, 1, True), (4, 1, True), (5, 1, False)]
)
def test_the_guard(world: World, expects: int, tolerance: int, ok: bool) -> None:
    step, before = fix(world, expects=expects, tolerance=tolerance), world.everything()
    if ok:
        step.apply(world.context())
        return
    for act in (step.observe, step.preview, step.apply):
        with pytest.raises(StepFailed, match=r"3 rows of payment match, not"):
            act(world.context())
    assert world.everything() == before
    assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED
    step.undo(world.undo())
    assert world.tables() == {"payment"}


def test_what_others_wrote_since_stays_and_is_named(world: World) -> None:
    step = fix(world, set={"state": "right"})
    step.apply(world.context())
    world.sql("UPDATE payment SET state = 'mine' WHERE id = 2", "DELETE FROM payment WHERE id = 3")
    with pytest.raises(StepFailed, match="1 rows of payment are as before; 2 were changed by others") as said:
        step.undo(world.undo())
    assert "id='2' holds state='mine'" in said.value.problem
    assert "id='3' is gone" in said.value.problem
    assert world.rows("SELECT id, state FROM payment WHERE id < 4 ORDER BY id") == [(1, "wrong"), (2, "mine")]
    with pytest.raises(StepFailed, match="2 were changed by others"):
        step.undo(world.undo())


def test_a_key_that_was_taken_since_stays(world: World) -> None:
    step = fix(world, set={}, delete=True)
    step.apply(world.context())
    world.sql("INSERT INTO payment (id, state) VALUES (2, 'new')")
    with pytest.raises(StepFailed, match="2 rows of payment are as before; 1 were changed by others"):
        step.undo(world.undo())
    assert world.rows("SELECT state FROM payment WHERE id = 2") == [("new",)]


def test_a_signed_word_puts_back_what_others_wrote_over(world: World) -> None:
    step = fix(world, set={"state": "right"})
    step.apply(world.context())
    world.sql("UPDATE payment SET state = 'mine' WHERE id = 2", "DELETE FROM payment WHERE id = 3")
    signed = replace(world.undo(), overwrite=True)
    with pytest.raises(StepFailed, match="2 rows of payment are as before; 1 were changed by others") as said:
        step.undo(signed)
    assert "id='3' is gone" in said.value.problem, "only its state was kept, so it can't be made again"
    assert world.rows("SELECT id, state FROM payment WHERE id < 4 ORDER BY id") == [
        (1, "wrong"),
        (2, "wrong"),
    ]


def test_a_signed_word_puts_deleted_rows_over_new_ones(world: World) -> None:
    before = world.rows("SELECT * FROM payment ORDER BY id")
    step = fix(world, set={}, delete=True)
    step.apply(world.context())
    world.sql("INSERT INTO payment (id, state) VALUES (2, 'new')")
    assert step.undo(replace(world.undo(), overwrite=True)).changed
    assert world.rows("SELECT * FROM payment ORDER BY id") == before
    assert world.tables() == {"payment"}


def test_kept_rows_that_were_touched_are_not_used(world: World) -> None:
    step = fix(world)
    step.apply(world.context())
    kept = world.folder / "workspace" / "s01" / "rows-1.json"
    kept.write_bytes(kept.read_bytes().replace(b"wrong", b"wrung"))
    with pytest.raises(StepFailed, match="was changed after the rows were"):
        step.undo(world.undo())


@pytest.mark.parametrize(
    ("definition", "fields", "said"),
    [
        ("CREATE TABLE x (id int, state varchar(9))", {}, "no primary key"),
        ("CREATE TABLE y (id int)", {"table": "z"}, "there is no table z"),
        ("CREATE TABLE x (id int PRIMARY KEY, state varchar(9))", {"set": {"id": 1}}, "primary key"),
        ("CREATE TABLE x (id int PRIMARY KEY, state varchar(9))", {"set": {"what": 1}}, "no column what"),
    ],
)
def test_tables_that_can_not_be_put_back(
    world: World, definition: str, fields: dict[str, object], said: str
) -> None:
    world.sql(definition)
    with pytest.raises(StepFailed, match=said):
        fix(world, **({"table": "x", "set": {"state": "a"}} | fields)).preview(world.context())


def test_rows_that_others_hang_on(world: World) -> None:
    world.sql(
        "CREATE TABLE child (id int PRIMARY KEY, parent int, "
        "FOREIGN KEY (parent) REFERENCES payment (id) ON DELETE CASCADE)"
    )
    with pytest.raises(StepFailed, match="rows of child would change"):
        fix(world, set={}, delete=True).preview(world.context())


@pytest.mark.parametrize(
    "fields", [{"where": "1 = 1; DROP TABLE payment"}, {"set": {}}, {"delete": True}, {"expects": 0}]
)
def test_nonsense_is_no_step(world: World, fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        fix(world, **fields)


def test_a_locked_row_is_not_waited_for_long(world: World) -> None:
    with world.server.open(world.database) as other:
        other.begin()
        other.do("UPDATE payment SET state = 'wrong' WHERE id = 1")
        with pytest.raises(StepFailed):
            fix(world, lock_wait=1).apply(world.context())
        other.rollback()
    assert fix(world).probe(world.context()).verdict is Verdict.NOT_APPLIED


def test_rows_that_a_trigger_takes_away_are_no_change(world: World) -> None:
    """Only their new columns are kept: what is gone could not be made again."""
    if world.server.engine == "mariadb":
        pytest.skip("its triggers can't change their own table")
    before = world.everything()
    world.sql(
        "CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN DELETE FROM payment WHERE id = NEW.id; RETURN NULL; END'",
        "CREATE TRIGGER away AFTER UPDATE ON payment FOR EACH ROW EXECUTE FUNCTION away()",
    )
    for act in (fix(world).preview, fix(world).apply):
        with pytest.raises(StepFailed, match="3 rows of payment were changed, and 0 of them are there"):
            act(world.context())
    assert world.everything() == before
