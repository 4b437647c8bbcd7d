"""One table in an open transaction: its rows read, changed and put back by primary key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from remediate.adapters.databases.engine import Engine, Session
from remediate.adapters.databases.kept import Kept, Row, Values, named
from remediate.errors import StepFailed
from remediate.model.base import canonical, sha256

#: More rows in one step are refused: they are locked together, kept here, and compared one by one.
MOST_ROWS = 10_000
_BATCH = 200


class Table:
    """Access to rows of one table, which must have a primary key and transactions.

    Args:
        engine: of the session.
        session: in the table's database.
        name: the table.

    Raises:
        StepFailed: it has no key, no transactions, or is not there.
    """

    def __init__(self, engine: Engine, session: Session, name: str) -> None:
        self.name = name
        self._engine, self._session, self._quoted = engine, session, engine.quote(name)
        self._columns = {column.name: column for column in engine.columns(session, name)}
        if not self._columns:
            raise StepFailed(f"there is no table {name}", "check the database and the table")
        self.key = tuple(engine.key_columns(session, name))
        if not self.key:
            raise StepFailed(
                f"table {name} has no primary key: nobody could tell which rows to put back", "give it a key"
            )
        if not engine.transactional(session, name):
            raise StepFailed(
                f"table {name} has no transactions: a cut would leave half of the rows changed",
                "convert it to InnoDB, or use SqlMigration behind a DatabaseBackup",
            )

    def kept_columns(self, changed: Sequence[str] | None) -> tuple[str, ...]:
        """The columns to keep: those that change, with those that the server sets then; None: all.

        Raises:
            StepFailed: there is no such column, it is computed, or is of the key.
        """
        if changed is None:
            return tuple(name for name, column in self._columns.items() if not column.computed)
        for name in changed:
            if name not in self._columns:
                raise StepFailed(f"table {self.name} has no column {name}", "check set")
            if name in self.key or self._columns[name].computed:
                raise StepFailed(f"{self.name}.{name} is computed, or of the primary key; it can't be set")
        own = [name for name, c in self._columns.items() if c.automatic and name not in changed]
        return (*changed, *own)

    def matching(
        self, columns: Sequence[str], where: str, params: Sequence[Any], lock: bool
    ) -> dict[Values, Values]:
        """The columns by key of all rows that ``where`` (with its ``%s``) matches.

        Raises:
            StepFailed: there are more than `MOST_ROWS`.
        """
        rows = self._select(columns, f"(\n{where}\n) LIMIT {MOST_ROWS + 1}", params, lock)
        if len(rows) > MOST_ROWS:
            raise StepFailed(
                f"more than {MOST_ROWS} rows of {self.name} match",
                "split the fix into parts, or use SqlMigration",
            )
        return rows

    def at(self, columns: Sequence[str], keys: Sequence[Values], lock: bool = True) -> dict[Values, Values]:
        """The columns by key of these rows, as far as they are there."""
        found: dict[Values, Values] = {}
        for batch in _batches(keys):
            where, params = self._match(batch)
            found |= self._select(columns, where, params, lock)
        return found

    def update(self, keys: Sequence[Values], assignments: str, params: Sequence[Any]) -> None:
        """Change these rows.

        Raises:
            StepFailed: not exactly these were found.
        """
        for batch in _batches(keys):
            where, own = self._match(batch)
            sql = f"UPDATE {self._quoted} SET {assignments} WHERE {where}"  # noqa: S608 - quoted, bound
            self._all(self._session.do(sql, (*params, *own)), batch)

    def delete(self, keys: Sequence[Values]) -> None:
        """Delete these rows. Raises as `update` does."""
        for batch in _batches(keys):
            where, own = self._match(batch)
            self._all(self._session.do(f"DELETE FROM {self._quoted} WHERE {where}", own), batch)  # noqa: S608

    def restore(self, kept: Kept, *, overwrite: bool = False) -> tuple[int, list[str]]:
        """Put back the rows that are as they were left; with ``overwrite`` also those that others changed.

        Returns:
            How many were put back, and for each that someone else has changed since what it holds now.

        Raises:
            StepFailed: the server made something else of them; roll back.
        """
        now = self.at(kept.columns, [row.key for row in kept.rows])
        ours = [row for row in kept.rows if now.get(row.key) == row.new and row.new != row.old]
        strange = [row for row in kept.rows if now.get(row.key) not in (row.new, row.old)]
        if overwrite:
            # A row that we changed and others deleted can't be made again: not all of it was kept.
            ours += [row for row in strange if row.new is None or row.key in now]
            strange = [row for row in strange if row.new is not None and row.key not in now]
        self._insert(kept.columns, [row.old for row in ours if row.key not in now])
        groups: dict[Values, list[Values]] = {}
        for row in ours:
            if row.key in now:
                groups.setdefault(row.old, []).append(row.key)
        for old, keys in groups.items():
            self.update(keys, ", ".join(self._assign(c) for c in kept.columns), old)
        self._read_back(kept.columns, ours)
        return len(ours), [self._strange(kept, row, now.get(row.key)) for row in strange]

    def assignment(self, column: str, value: str) -> str:
        """``column = value`` for SET."""
        return f"{self._engine.quote_one(column)} = {value}"

    def _read_back(self, columns: Sequence[str], ours: Sequence[Row]) -> None:
        then = self.at(columns, [row.key for row in ours])
        other = [row for row in ours if then.get(row.key) != row.old]
        if other:
            raise StepFailed(
                f"{len(other)} rows of {self.name} can't be put back exactly, such as {other[0].key}",
                "a trigger or a changed definition is in the way; put them back by hand",
            )

    def _strange(self, kept: Kept, row: Row, now: Values | None) -> str:
        holds = "is gone" if now is None else f"holds {named(kept.columns, now)}"
        return f"{named(kept.key, row.key)} {holds}"

    def _assign(self, column: str) -> str:
        return self.assignment(column, self._columns[column].write)

    def _insert(self, columns: Sequence[str], rows: Sequence[Values]) -> None:
        names = ", ".join(map(self._engine.quote_one, columns))
        one = "(" + ", ".join(self._columns[c].write for c in columns) + ")"
        for batch in _batches(rows):
            sql = (
                f"INSERT INTO {self._quoted} ({names}) {self._engine.overriding} "  # noqa: S608 - quoted, bound
                f"VALUES {', '.join([one] * len(batch))}"
            )
            self._session.do(sql, [value for row in batch for value in row])

    def _select(
        self, columns: Sequence[str], where: str, params: Sequence[Any], lock: bool
    ) -> dict[Values, Values]:
        wanted = ", ".join(self._columns[name].read for name in (*self.key, *columns))
        sql = f"SELECT {wanted} FROM {self._quoted} WHERE {where}{' FOR UPDATE' * lock}"  # noqa: S608
        width = len(self.key)
        found = {}
        for row in self._session.rows(sql, params):
            texts: Values = tuple(None if value is None else str(value) for value in row)
            found[texts[:width]] = texts[width:]
        return found

    def _match(self, keys: Sequence[Values]) -> tuple[str, list[Any]]:
        one = " AND ".join(self._assign(name) for name in self.key)
        return " OR ".join([f"({one})"] * len(keys)), [value for key in keys for value in key]

    def _all(self, count: int, keys: Sequence[Values]) -> None:
        if count != len(keys):
            raise StepFailed(f"{count} rows of {self.name} were changed instead of {len(keys)}")


def digest_of(rows: Mapping[Values, Values]) -> str:
    """SHA-256 over keys and values, in the keys' order."""
    # No part of a primary key is NULL, and no two are equal, so this order is always the same.
    return sha256(canonical(sorted(rows.items(), key=lambda row: canonical(row[0]))))


def _batches(items: Sequence[Values]) -> Iterator[Sequence[Values]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
