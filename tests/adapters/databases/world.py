"""Steps over a private server: contexts of one run, and tables whose values are hard to keep."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from remediate.adapters.clients import ClientPool
from remediate.model.base import State
from remediate.model.step import Context, Token
from remediate.model.target import Target
from tests.adapters.databases.servers import DatabaseServer, PrivateSecrets

#: Breaks whatever puts it into SQL, a terminal, or a line.
HOSTILE = "Robert'); DROP TABLE payment;-- \\ %s :id \u202e\x1b[31m \n \U0001f600"

COMMON = {
    "id": "integer NOT NULL PRIMARY KEY",
    "state": "varchar(200)",
    "amount": "decimal(20,4)",
    "day": "date",
    "password": "varchar(40)",
}
OWN = {
    "mariadb": {
        "f": "float",
        "d": "double",
        "b": "varbinary(40)",
        "at": "timestamp(6) NULL DEFAULT NULL",
        "dt": "datetime(3)",
        "t": "time(2)",
        "j": "json",
        "bits": "bit(12)",
        "kind": "enum('a','b')",
        "latin": "varchar(40) CHARACTER SET latin1",
        "big": "bigint unsigned",
        "touched": "timestamp(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)",
        "twice": "decimal(21,4) AS (amount * 2) STORED",
    },
    "postgres": {
        "f": "real",
        "d": "double precision",
        "b": "bytea",
        "at": "timestamptz",
        "dt": "timestamp",
        "t": "interval",
        "j": "jsonb",
        "bits": "bit(12)",
        "kind": "text[]",
        "latin": "char(10)",
        "big": "numeric(30,10)",
        "u": "uuid",
        "twice": "decimal(21,4) GENERATED ALWAYS AS (amount * 2) STORED",
    },
}
VALUES = {
    "mariadb": {
        "f": "0.1",
        "d": "0.1",
        "b": "x'00ff27'",
        # In half of the zones, an hour that exists twice.
        "at": "'2025-10-26 02:30:00.123456'",
        "dt": "'2025-10-26 02:30:00.123'",
        "t": "'-12:30:00.25'",
        "j": "'{\"a\": [1, null]}'",
        "bits": "b'101010101010'",
        "kind": "'b'",
        "latin": "'\u00e4\u00df'",
        "big": "18446744073709551615",
        "touched": "'2020-01-01 00:00:00'",
    },
    "postgres": {
        "f": "0.1",
        "d": "0.1",
        "b": "'\\x00ff27'",
        "at": "'2025-10-26 02:30:00.123456+02'",
        "dt": "'2025-10-26 02:30:00.123'",
        "t": "'1 mon -3 days 04:05:06.7'",
        "j": "'{\"a\": [1, null]}'",
        "bits": "b'101010101010'",
        "kind": "'{a,\"b;\",NULL}'",
        "latin": "'\u00e4\u00df'",
        "big": "12345678901234567890.0123456789",
        "u": "'00000000-0000-0000-0000-000000000001'",
    },
}


def payment(engine: str) -> str:
    """The table: a column of each type that is hard to keep."""
    columns = COMMON | OWN[engine]
    return f"CREATE TABLE payment ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"


def filled(engine: str) -> tuple[str, ...]:
    """The table with rows 1 to 5; the first three are wrong, and two hold nothing but NULL."""
    own = VALUES[engine]
    names = ", ".join(["id", "state", "amount", "day", "password", *own])
    rows = [
        f"({number}, '{state}', {number}.1234, '2024-02-29', 'hunter2', {', '.join(own.values())})"
        for number, state in ((1, "wrong"), (2, "wrong"), (4, "right"))
    ]
    return (
        payment(engine),
        f"INSERT INTO payment ({names}) VALUES {', '.join(rows)}",  # noqa: S608 - ours
        "INSERT INTO payment (id, state) VALUES (3, 'wrong'), (5, NULL)",
    )


@dataclass
class World:
    """One database of a server as the target of one run."""

    server: DatabaseServer
    database: str
    pool: ClientPool
    folder: Path
    run: str = field(default_factory=lambda: f"r-{uuid.uuid4().hex[:12]}")

    def context(
        self,
        step: str = "s01",
        attempt: int = 1,
        before: State | None = None,
        data: Mapping[str, JsonValue] | None = None,
        timeout: float = 30.0,
        target: Target | None = None,
    ) -> Context:
        """One attempt; its workspace is the same for all attempts of the step and for its undo."""
        workspace = self.folder / "workspace" / step.removesuffix("-undo")
        workspace.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Context(
            target=target or self.server.target(),
            token=Token(self.run, step, attempt),
            clients=self.pool,
            secrets=PrivateSecrets(),
            artefacts=self.folder / "project",
            workspace=workspace,
            timeout=timeout,
            before=before or {},
            data=data or {},
            attempts=attempt,
        )

    def undo(self, step: str = "s01") -> Context:
        """An undo of it."""
        return self.context(f"{step}-undo")

    def sql(self, *statements: str) -> None:
        """What someone else does."""
        with self.server.open(self.database) as session:
            for statement in statements:
                session.do(statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What someone else sees."""
        with self.server.open(self.database) as session:
            return session.rows(query)

    def everything(self) -> list[tuple[object, ...]]:
        """All of the table, as the server holds it."""
        return self.rows("SELECT * FROM payment ORDER BY id")

    def tables(self) -> set[str]:
        """All tables, the marks too."""
        found = self.rows(
            "SELECT table_name FROM information_schema.tables "  # noqa: S608 - ours
            f"WHERE table_schema IN ('public', '{self.database}')"
        )
        return {str(name) for (name,) in found}
