"""Marks: rows in a table of the target's own database that say which attempt of which step changed it.

Where the engine allows it, a mark is written in the transaction of the change itself. Then the change is
there exactly if the mark is, and a step in doubt can be decided. The table is made at its first use, and
dropped when its last mark is removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from remediate.adapters.databases.engine import MARKS, Engine, Measure, Session
from remediate.errors import InDoubt, StepFailed
from remediate.model.base import canonical
from remediate.model.step import Context

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {MARKS} (
  run varchar(128) NOT NULL,
  step varchar(128) NOT NULL,
  attempt integer NOT NULL,
  part integer NOT NULL,
  state varchar(16) NOT NULL,
  at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  tables text NOT NULL,
  note text NOT NULL,
  PRIMARY KEY (run, step, part)
)"""
#: Whoever waits for this table waits for another run's transaction, which is short.
_LOCK_SECONDS = 5.0
BEGUN, DONE = "begun", "done"


@dataclass(frozen=True, slots=True)
class Mark:
    """One part of a step: that it was begun, or that it is done."""

    part: int
    state: str
    attempt: int
    tables: Mapping[str, Measure] = field(default_factory=dict)
    """What the tables held right after the change."""
    note: str = ""
    """What the step wants to remember, bound to the change as firmly as the mark is."""


class Marks:
    """The marks of one step of one run.

    Args:
        engine: of the session.
        session: in the database that is changed.
        context: of an apply or an undo of the step.
    """

    def __init__(self, engine: Engine, session: Session, context: Context) -> None:
        self._engine, self._session = engine, session
        self._attempt = context.token.attempt
        self._owner = (context.token.run, context.token.step.removesuffix("-undo"))

    def prepare(self) -> None:
        """Make the table if there is none. Not inside a transaction: MariaDB would commit it."""
        self._session.do(_CREATE)
        if not self._engine.transactional(self._session, MARKS):
            raise StepFailed(
                f"the table {MARKS} has no transactions",
                "make InnoDB the server's default, or alter the table",
            )

    def read(self) -> dict[int, Mark]:
        """All marks of this step by part; empty if nobody has marked anything here."""
        if not self._there():
            return {}
        found = self._session.rows(
            f"SELECT part, state, attempt, tables, note FROM {MARKS} WHERE run = %s AND step = %s",  # noqa: S608
            self._owner,
        )
        return {
            int(part): Mark(int(part), state, int(n), _measures(t), note) for part, state, n, t, note in found
        }

    def write(
        self, part: int, state: str = DONE, tables: Mapping[str, Measure] | None = None, note: str = ""
    ) -> None:
        """Add or replace the mark of a part, in the transaction that is open, if one is."""
        held = {name: {"rows": m.rows, "checksum": m.checksum} for name, m in (tables or {}).items()}
        values = (self._attempt, state, canonical(held).decode(), note, *self._owner, part)
        # Never without a mark in between: where the change can't be in a transaction, this is in none either.
        replaced = self._session.do(
            f"UPDATE {MARKS} SET attempt = %s, state = %s, tables = %s, note = %s "  # noqa: S608 - a constant
            "WHERE run = %s AND step = %s AND part = %s",
            values,
        )
        if not replaced:
            self._session.do(
                f"INSERT INTO {MARKS} (attempt, state, tables, note, run, step, part) "  # noqa: S608 - a constant
                "VALUES (%s, %s, %s, %s, %s, %s, %s)",
                values,
            )

    def remove(self, part: int) -> None:
        """Remove the mark of a part, in the transaction that is open, if one is."""
        self._session.do(
            f"DELETE FROM {MARKS} WHERE run = %s AND step = %s AND part = %s",  # noqa: S608 - a constant
            (*self._owner, part),
        )

    def tidy(self) -> None:
        """Drop the table if no mark is left; not inside a transaction."""
        if not self._there():
            return
        # Whatever is in the way, it is only an empty table that stays.
        with suppress(StepFailed, InDoubt):
            self._engine.limit(self._session, _LOCK_SECONDS, 10 * _LOCK_SECONDS)
            self._engine.drop_if_empty(self._session, MARKS)

    def forget(self) -> bool:
        """Remove all marks of this step, and then the table if it is empty; whether there were any."""
        there = self.read()
        for part in there:
            self.remove(part)
        self.tidy()
        return bool(there)

    def _there(self) -> bool:
        return bool(self._engine.columns(self._session, MARKS))


def _measures(text: str) -> dict[str, Measure]:
    held: dict[str, dict[str, Any]] = json.loads(text)
    return {name: Measure(int(m["rows"]), str(m["checksum"])) for name, m in held.items()}
