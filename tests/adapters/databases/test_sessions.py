"""Sessions of both engines over real servers."""

from __future__ import annotations

import pytest

from tests.adapters.databases.servers import DatabaseServer

pytestmark = pytest.mark.lab

TABLE = "CREATE TABLE payment (id int PRIMARY KEY, state varchar(20))"


def test_a_session_reads_and_writes(server: DatabaseServer) -> None:
    with (
        server.database(TABLE, "INSERT INTO payment VALUES (1, 'wrong')") as name,
        server.open(name) as session,
    ):
        assert session.do("UPDATE payment SET state = %s WHERE id = %s", ("right", 1)) == 1
        assert session.rows("SELECT id, state FROM payment") == [(1, "right")]
        assert server.driver.tables(session) == ["payment"]
        assert server.driver.key_columns(session, "payment") == ["id"]
        assert server.driver.measure(session, ["payment"])["payment"].rows == 1
        assert "payment" in " ".join(server.driver.schema(session))
