"""MongoQuery, and servers that don't answer."""

from __future__ import annotations

import pytest
from pydantic import JsonValue, ValidationError

from remediate.adapters.databases.mongo_query import MongoQuery
from remediate.errors import StepFailed
from tests.adapters.mongodb.world import World

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("query", "fields", "ok", "actual"),
    [
        ({"state": "wrong"}, {"expect": 3}, True, "3 documents"),
        ({"state": "wrong"}, {"expect": 0}, False, "3 documents"),
        ({"state": "none"}, {"expect": 0}, True, "0 documents"),
        ({}, {"at_least": 5, "at_most": 6}, True, "5 documents"),
        ({"_id": {"$gt": {"$numberLong": "3"}}}, {"at_least": 3}, False, "2 documents"),
        ({"state": {"$nonsense": 1}}, {"expect": 0}, False, "no answer"),
    ],
)
def test_query(
    world: World, query: dict[str, JsonValue], fields: dict[str, int], ok: bool, actual: str
) -> None:
    check = MongoQuery(database=world.database, collection="payment", filter=query, **fields)
    found = check.run(world.context())
    assert found.ok is ok
    assert found.actual.startswith(actual)


@pytest.mark.parametrize(
    "fields", [{}, {"expect": 1, "at_most": 1}, {"expect": 1, "filter": {"$where": "true"}}]
)
def test_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MongoQuery(database="a", collection="b", **fields)


@pytest.mark.parametrize(
    "variables",
    [
        {"mongodb_port": 9},
        {"mongodb_host": "mongodb://127.0.0.1"},
        {"mongodb_user": "someone"},
        {"mongodb_host": "127.0.0.2", "mongodb_ca_file": "/nonexistent"},
    ],
)
def test_not_let_in(world: World, variables: dict[str, JsonValue], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediate.adapters.databases.mongo._CONNECT_SECONDS", 0.3)
    before = world.everything()
    with pytest.raises(StepFailed, match="nothing was done"):
        world.update().apply(world.context(target=world.target(**variables)))
    assert world.everything() == before
