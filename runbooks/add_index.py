"""Add an index or a column to a table while it is in use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from remediate.authoring import Risk, RiskLevel, Runbook, SqlMigration, SqlQuery, Step, Waves

#: What needs no quotes in either engine, and so can be a part of a statement.
Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$"),
    Field(description="a plain SQL name: lower-case letters, digits and _"),
]
Type = Literal["integer", "bigint", "date", "varchar(100)", "text"]

_FOUND = {
    "index": {
        "mariadb": "SELECT count(DISTINCT index_name) FROM information_schema.statistics "
        "WHERE table_schema = DATABASE() AND table_name = :table AND index_name = :name",
        "postgres": "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass(:name) "
        "AND indrelid = to_regclass(:table) AND indisvalid",
    },
    "column": {
        "mariadb": "SELECT count(*) FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name = :table AND column_name = :name",
        "postgres": "SELECT count(*) FROM pg_attribute "
        "WHERE attrelid = to_regclass(:table) AND attname = :name AND NOT attisdropped",
    },
}


class AddIndex(Runbook):
    """Add an index over a column, or a new nullable column, without keeping readers and writers waiting.

    Both engines are told to refuse rather than to lock the table while they build. The database is backed up
    and restored elsewhere first. What goes back on a failure: the index or column is dropped again.
    """

    class Inputs(Runbook.Inputs):
        what: Literal["index", "column"]
        table: Name
        column: Name
        type: Type = "bigint"
        engine: Literal["mariadb", "postgres"] = "mariadb"
        database: str = "payments"
        lock_wait: Annotated[int, Field(ge=1, le=60, description="seconds to wait for a lock")] = 3

    targets = "db"
    strategy = Waves(canary=1, then=1)
    risk = Risk(
        level=RiskLevel.MEDIUM,
        outage="none: a statement that would make others wait for longer than lock_wait gives up",
        data_loss="a rollback of a new column loses what was written into it",
    )

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        name = f"{inputs.table}_{inputs.column}" if inputs.what == "index" else inputs.column
        forward, backward = _statements(inputs, name)
        yield SqlMigration(
            engine=inputs.engine,
            database=inputs.database,
            forward=[forward],
            backward=[backward],
            lock_wait=inputs.lock_wait,
            verify=[
                SqlQuery(
                    engine=inputs.engine,
                    database=inputs.database,
                    query=_FOUND[inputs.what][inputs.engine],
                    values={"table": inputs.table, "name": name},
                    expect=1,
                )
            ],
        )


def _statements(inputs: AddIndex.Inputs, name: str) -> tuple[str, str]:
    """Forward, and back."""
    table = inputs.table
    match inputs.what, inputs.engine:
        case "index", "mariadb":
            forward = f"CREATE INDEX {name} ON {table} ({inputs.column}) ALGORITHM = INPLACE LOCK = NONE"
            return forward, f"DROP INDEX IF EXISTS {name} ON {table}"
        case "index", _:
            forward = f"CREATE INDEX CONCURRENTLY {name} ON {table} ({inputs.column})"
            return forward, f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
        case _, "mariadb":
            forward = f"ALTER TABLE {table} ADD COLUMN {name} {inputs.type} NULL, ALGORITHM = INSTANT"
            return forward, f"ALTER TABLE {table} DROP COLUMN IF EXISTS {name}"
        case _:
            forward = f"ALTER TABLE {table} ADD COLUMN {name} {inputs.type}"
            return forward, f"ALTER TABLE {table} DROP COLUMN IF EXISTS {name}"
