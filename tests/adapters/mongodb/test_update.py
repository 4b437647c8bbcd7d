"""MongoUpdate over a real server: guarded, previewed, and undone without losing what others wrote."""

from __future__ import annotations

import stat

import pytest
from pydantic import ValidationError

from remediate.errors import StepFailed
from remediate.model.step import Verdict
from tests.adapters.mongodb.world import HARD, HOSTILE, World

pytestmark = pytest.mark.lab


def test_there_and_back(world: World) -> None:
    step, before = world.update(), world.everything()
    facts = step.observe(world.context())
    assert facts == step.observe(world.context())
    assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED
    done = step.apply(world.context())
    assert done.summary == "changed 3 documents of payment"
    first = world.do(lambda c: c.find_one({"_id": 1}))
    assert (first["state"], first["card"]["type"], "note" in first) == ("right", 7, False)
    assert list(first["card"]) == ["type", "more"]
    assert world.do(lambda c: c.find_one({"_id": 3})) == {"_id": 3, "state": "right", "card": {"type": 7}}
    assert all(check.ok for check in step.confirm(world.context()))
    assert step.probe(world.context()).verdict is Verdict.APPLIED
    after = step.observe(world.context())
    assert not step.apply(world.context(attempt=2)).changed, "nothing twice"
    assert step.observe(world.context()) == after != facts
    assert step.undo(world.undo()).changed
    assert world.everything() == before, "to the last bit"
    assert world.marks() == 0
    assert not step.undo(world.undo()).changed
    assert step.observe(world.context()) == facts


def test_every_type_is_set_and_comes_back(world: World) -> None:
    step, before = world.update(set={"card": None}, unset=[]), world.everything()
    step.apply(world.context())
    assert world.do(lambda c: c.count_documents({"card": {"$type": "null"}})) == 3
    step.undo(world.undo())
    assert world.everything() == before


def test_the_preview_shows_and_changes_nothing(world: World) -> None:
    step, before = world.update(set={"password": "hunter3", "state": HOSTILE}, unset=[]), world.everything()
    text = step.preview(world.context())
    assert text.startswith("3 documents of payment\n-_id='1' state='wrong'\n+_id='1' state=")
    assert "hunter" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert world.everything() == before
    step.apply(world.context())
    assert world.do(lambda c: c.distinct("state", {"_id": {"$lt": 4}})) == [HOSTILE]
    kept = world.folder / "workspace" / "s01" / "documents-1.bson"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert step.release(world.context()).changed
    assert not kept.exists()
    assert not step.release(world.context()).changed


@pytest.mark.parametrize("expects", [2, 4])
def test_another_number_is_refused(world: World, expects: int) -> None:
    step, before = world.update(expects=expects), world.everything()
    for refused in (step.observe, step.preview, step.apply):
        with pytest.raises(StepFailed, match=r"match, not \d; nothing was changed"):
            refused(world.context())
    assert (world.everything(), world.marks()) == (before, 0)
    world.update(expects=expects, tolerance=1).observe(world.context())


def test_no_document_is_never_right(world: World) -> None:
    with pytest.raises(StepFailed, match="0 documents"):
        world.update(filter={"_id": 99}, expects=1, tolerance=1).observe(world.context())


def test_a_path_through_something_else_is_refused(world: World) -> None:
    with pytest.raises(StepFailed, match="holds no document"):
        world.update(set={"state.inner": 1}).apply(world.context())
    assert world.marks() == 0


def test_what_others_changed_is_left_and_named(world: World) -> None:
    step, before = world.update(), world.everything()
    step.apply(world.context())
    world.do(lambda c: c.update_one({"_id": 2}, {"$set": {"state": "theirs"}}))
    world.do(lambda c: c.delete_one({"_id": 3}))
    world.do(lambda c: c.update_one({"_id": 1}, {"$set": {"amount": 5}}))
    assert step.confirm(world.context())[0].actual == "1 are, 0 are as before, 2 were changed by others"
    with pytest.raises(StepFailed, match="1 documents are as before; 2 were changed by others") as said:
        step.undo(world.undo())
    assert "state='theirs'" in str(said.value)
    assert "_id='3' is gone" in str(said.value)
    now = world.everything()
    amount = now[1].pop("amount")
    assert amount, "another field of the same document is theirs, and stays"
    assert now[1] == before[1]
    assert world.do(lambda c: c.find_one({"_id": 2}))["state"] == "theirs"
    assert world.marks() == 1, "it is not over"


@pytest.mark.parametrize("theirs", [7.0, 7, "7", None, [7]])
def test_equal_to_mongodb_is_not_the_same(world: World, theirs: object) -> None:
    step = world.update(filter={"_id": 3}, set={"card": {"$numberLong": "7"}}, unset=[], expects=1)
    step.apply(world.context())
    # The lab's server takes setting 7.0 where 7 is for no change.
    world.do(lambda c: c.delete_one({"_id": 3}))
    world.do(lambda c: c.insert_one({"_id": 3, "card": theirs}))
    with pytest.raises(StepFailed, match="1 were changed by others"):
        step.undo(world.undo())
    assert world.do(lambda c: c.find_one({"_id": 3}))["card"] == theirs


def test_kept_values_that_were_tampered_with_are_not_used(world: World) -> None:
    step = world.update()
    step.apply(world.context())
    kept = world.folder / "workspace" / "s01" / "documents-1.bson"
    kept.write_bytes(kept.read_bytes().replace(b"wrong", b"xrong"))
    with pytest.raises(StepFailed, match="was changed since"):
        step.undo(world.undo())
    kept.unlink()
    with pytest.raises(StepFailed, match="can't be read"):
        step.undo(world.undo())


def test_values_that_no_mapping_holds_are_whole(world: World) -> None:
    world.do(lambda c: c.insert_one({"_id": 9, **HARD}))
    before = world.everything()
    step = world.update(filter={"_id": 9}, set=dict.fromkeys(HARD, 0), unset=[], expects=1)
    step.apply(world.context())
    assert world.everything() != before
    step.undo(world.undo())
    assert world.everything() == before


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filter": {}}, "at least 1"),
        ({"filter": {"$where": "sleep(1000)"}}, "JavaScript"),
        ({"filter": {"$or": [{"$expr": {"$function": {"body": "f"}}}]}}, "JavaScript"),
        ({"filter": {"_id": {"$oid": "short"}}}, "Extended JSON"),
        ({"set": {}, "unset": []}, "give set"),
        ({"set": {"_id": 1}}, "_id"),
        ({"set": {"a": 1, "a.b": 2}}, "given twice"),
        ({"set": {"a.b": 2}, "unset": ["a"]}, "given twice"),
        ({"set": {"$inc": 1}}, "pattern"),
        ({"set": {"a.$[].b": 1}}, "pattern"),
        ({"set": {"a": {"$oid": 5}}}, "Extended JSON"),
        ({"collection": "system.users"}, "not yours"),
        ({"collection": "remediate_marks"}, "not yours"),
    ],
)
def test_refused_while_written(world: World, fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        world.update(**fields)
