"""What a database holds, and in what two databases differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from remediate.adapters.backups.manifest import Content, TableMeasure
from remediate.adapters.databases.engine import Engine, Session
from remediate.errors import StepFailed
from remediate.model.base import sha256

_MOST_ROWS = 1000
_NAMED = 5


def look(engine: Engine, session: Session, tables: Sequence[str] | None, queries: Sequence[str]) -> Content:
    """Read it all: definitions first, because they are the only part that other sessions can change now.

    Raises:
        StepFailed: a table is missing, or a query gives too many rows to be kept.
    """
    definitions = digests(engine, session, tables)
    names = engine.tables(session)
    if missing := sorted(set(tables or ()) - set(names)):
        raise StepFailed(f"there is no table {', '.join(missing)}")
    measures = engine.measure(session, names if tables is None else sorted(tables))
    return Content(
        tables={name: TableMeasure(rows=m.rows, checksum=m.checksum) for name, m in measures.items()},
        schema_=definitions,
        answers={query: _answer(session, query) for query in queries},
    )


def digests(engine: Engine, session: Session, tables: Sequence[str] | None) -> dict[str, str]:
    """A digest of each definition; of the chosen tables only, if some are chosen."""
    chosen = None if tables is None else {f"table {name}" for name in tables}
    schema = engine.schema(session)
    return {n: sha256(text.encode()) for n, text in schema.items() if chosen is None or n in chosen}


def _answer(session: Session, query: str) -> list[list[str | None]]:
    rows = session.rows(query)
    if len(rows) > _MOST_ROWS:
        raise StepFailed(
            f"the query gives {len(rows)} rows, more than {_MOST_ROWS} can be kept: {query}", "let it add up"
        )
    # Without ORDER BY any order is right; and servers sort texts by different rules.
    return sorted(([_text(value) for value in row] for row in rows), key=str)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.hex() if isinstance(value, bytes | memoryview) else str(value)


def differences(wanted: Content, found: Content) -> list[str]:
    """In words; empty if they are equal."""
    return [
        *_named("definitions", changed(wanted.schema_, found.schema_)),
        *(
            f"table {name}: {wanted.tables[name].rows} rows became {found.tables[name].rows}"
            if name in wanted.tables and name in found.tables
            else f"table {name} is {'missing' if name in wanted.tables else 'new'}"
            for name in changed(wanted.tables, found.tables)
        ),
        *_named("answers to", changed(wanted.answers, found.answers)),
    ]


def changed(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """Names whose values are not the same in both."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _named(what: str, names: Iterable[str]) -> list[str]:
    every = list(names)
    if not every:
        return []
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return [f"{what} {', '.join(every[:_NAMED])}{more}"]
