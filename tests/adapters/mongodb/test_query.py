"""MongoQuery, and servers that don't answer."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from pydantic import JsonValue, ValidationError

from remediate.adapters.databases.mongo_query import MongoQuery
from remediate.errors import StepFailed
from remediate.lab import ca
from remediate.model.step import CheckResult
from tests.adapters.mongodb.way import way_to
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


def test_elsewhere_only_over_tls_to_a_server_that_proves_who_it_is(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediate.adapters.databases.mongo._CONNECT_SECONDS", 1.0)
    authority = ca.ensure(tmp_path / "ca")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = tmp_path / "server.pem"
    pem.write_text("".join(ca.issue(tmp_path / "ca", "db1", "127.0.0.2")))
    server.load_cert_chain(pem)
    check = MongoQuery(database=world.database, collection="payment", expect=5)

    def ask(host: str, port: int, **more: JsonValue) -> CheckResult:
        return check.run(world.context(target=world.target(mongodb_host=host, mongodb_port=port, **more)))

    with way_to(world.port, "127.0.0.2", tls=server) as port:
        assert ask("127.0.0.2", port, mongodb_ca_file=str(authority)).ok
        assert "certificate verify failed" in ask("127.0.0.2", port).actual, "an authority nobody named"
    with way_to(world.port, "127.0.0.3", tls=server) as port:
        found = ask("127.0.0.3", port, mongodb_ca_file=str(authority))
        assert "certificate is not valid for '127.0.0.3'" in found.actual, "another's certificate"
    with way_to(world.port, "127.0.0.2") as port:
        assert not ask("127.0.0.2", port, mongodb_ca_file=str(authority)).ok, "no TLS at all"


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
