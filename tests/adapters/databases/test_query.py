"""SqlQuery over real servers, and ReplicationLag where there is no replica."""

from __future__ import annotations

import time

import pytest
from pydantic import ValidationError

from remediate.adapters.clients import ClientPool
from remediate.adapters.databases.query import SqlQuery
from remediate.adapters.databases.replication import ReplicationLag
from remediate.model.step import CheckResult
from tests.adapters.databases.servers import DatabaseServer
from tests.adapters.databases.world import World

pytestmark = pytest.mark.lab


def ask(world: World, query: str, **fields: object) -> CheckResult:
    own: dict[str, object] = {"engine": world.server.engine, "database": world.database, "query": query}
    return SqlQuery(**(own | fields)).run(world.context())


ANSWERS: tuple[tuple[str, dict[str, object], bool, str], ...] = (
    ("SELECT count(*) FROM payment", {"expect": 5}, True, "5"),
    ("SELECT count(*) FROM payment", {"expect": "5"}, True, "5"),
    ("SELECT count(*) FROM payment", {"expect": 6}, False, "5"),
    (
        "SELECT amount FROM payment WHERE id = :id",
        {"values": {"id": 1}, "expect": 1.1234},
        True,
        "1.1234",
    ),
    ("SELECT sum(amount) FROM payment", {"at_least": 7, "at_most": 8}, True, "7.3702"),
    ("SELECT sum(amount) FROM payment", {"at_most": 7}, False, "7.3702"),
    ("SELECT state FROM payment WHERE id = 4", {"expect": "right"}, True, "right"),
    ("SELECT state FROM payment WHERE state LIKE 'wr%'", {"rows": 3}, True, "3 rows"),
    ("SELECT state FROM payment WHERE id > 100", {"rows": 0}, True, "0 rows"),
    ("SELECT state FROM payment WHERE id > 100", {"expect": "right"}, False, "0 rows where"),
    ("SELECT max(id) FROM payment WHERE id > 100", {"at_most": 1}, False, "NULL"),
    ("SELECT id, state FROM payment WHERE id = 1", {"expect": 1}, False, "2 columns where"),
    ("SELECT id FROM nothing", {"rows": 0}, False, "no answer"),
    ("DELETE FROM payment", {"rows": 0}, False, "no answer"),
)


def test_query(world: World) -> None:
    for query, fields, ok, actual in ANSWERS:
        found = ask(world, query, **fields)
        assert found.ok is ok, query
        assert found.actual.startswith(actual), query
    assert world.rows("SELECT count(*) FROM payment") == [(5,)], "nothing was changed by asking"


def test_a_query_is_bounded_in_time_and_rows(world: World) -> None:
    sleep = "SLEEP(30)" if world.server.engine == "mariadb" else "pg_sleep(30)"
    began = time.monotonic()
    assert not ask(world, f"SELECT 1 AS a, {sleep} AS b", rows=1, timeout=0.5).ok
    assert time.monotonic() - began < 5
    many = "SELECT a.id AS i FROM payment a, payment b, payment c, payment d, payment e"
    assert ask(world, many, rows=5).actual == "over 1000 rows"


@pytest.mark.parametrize("fields", [{}, {"expect": 1, "rows": 1}, {"query": "SELECT 1; SELECT 2", "rows": 1}])
def test_nonsense_is_no_check(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SqlQuery(**({"engine": "mariadb", "database": "a", "query": "SELECT 1"} | fields))


def lag(server: DatabaseServer, **fields: object) -> CheckResult:
    with ClientPool() as pool:
        world = World(server, "", pool, server.folder)
        return ReplicationLag(engine=server.engine, **fields).run(world.context())


def test_no_replica_is_no_lag_of_zero(server: DatabaseServer) -> None:
    found = lag(server)
    assert not found.ok
    assert found.actual == "no replica"
