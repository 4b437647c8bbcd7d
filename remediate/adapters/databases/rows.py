"""Wrong rows put right: a guarded UPDATE or DELETE whose undo spares what others wrote since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from remediate.adapters.databases import sqltext
from remediate.adapters.databases.engine import Session
from remediate.adapters.databases.kept import Kept, Row, Values, discard, named, secret
from remediate.adapters.databases.marks import Mark, Marks
from remediate.adapters.databases.step import DatabaseStep, uncommitted
from remediate.adapters.databases.table import MOST_ROWS, Table, digest_of
from remediate.errors import InputError, StepFailed
from remediate.model.base import Frozen, State, sha256
from remediate.model.clip import clip
from remediate.model.step import CheckResult, Context, Estimate, Probe, Result, StepClass, Verdict

Value = bool | int | float | str | None
_PART = 1
_SHOWN = 20


class Sql(Frozen):
    """An SQL expression, where a plain value would be meant otherwise: ``Sql("amount / 100")``."""

    text: str = Field(min_length=1)

    def __init__(self, text: str = "", **fields: Any) -> None:
        super().__init__(**{"text": text, **fields})


class DataFix(DatabaseStep):
    """Change columns of the rows that ``where`` matches, or delete them.

    ``where`` and each `Sql` in ``set`` may name values as ``:name``, given by ``values``: so what comes from
    a ticket is never part of the SQL. The step refuses unless ``expects`` rows (give or take ``tolerance``)
    match. Old and new values are kept here before the commit; the undo puts back the rows that still hold
    what was written, and names those that don't.
    """

    kind: ClassVar[str] = "data-fix"
    step_class: ClassVar[StepClass] = StepClass.TOKENED
    default_estimate: ClassVar[Estimate] = Estimate(apply=10.0, verify=5.0, undo=10.0)

    table: str = Field(min_length=1)
    where: str = Field(min_length=1)
    set: dict[str, Value | Sql] = Field(default_factory=dict)
    delete: bool = False
    values: dict[str, Value] = Field(default_factory=dict)
    expects: int = Field(ge=1, le=MOST_ROWS)
    tolerance: int = Field(default=0, ge=0, le=MOST_ROWS)

    @model_validator(mode="after")
    def _one_change(self) -> DataFix:
        if bool(self.set) == self.delete:
            raise ValueError("give either set or delete=True")
        try:
            for text in (self.where, *(v.text for v in self.set.values() if isinstance(v, Sql))):
                sqltext.expression(text, self.engine)
        except InputError as error:
            raise ValueError(str(error)) from None
        return self

    def title(self) -> str:
        """One line."""
        what = "delete" if self.delete else f"set {', '.join(self.set)} of"
        about = f"{self.expects} ± {self.tolerance}" if self.tolerance else str(self.expects)
        return f"{what} {about} rows of {self.database}.{self.table} where {' '.join(self.where.split())}"

    @property
    def undoable(self) -> bool:
        """The kept rows are enough."""
        return True

    def observe(self, context: Context) -> State:
        """How many rows match, and a digest of their keys and of what would change in them.

        Once this step has marked its change, its own rows are left out, and who changed them is said: they
        are compared one by one by `undo`, which can tell whose value is whose.

        Raises:
            StepFailed: not the expected number match; so planning refuses, too.
        """
        identity = sha256(f"{self.where}\0{sorted(self.values.items())}".encode())[:12]
        key = f"db:{self.engine}/{self.name(context)}:rows of {self.table} {identity}"
        with self.looking(context) as session:
            mark = self._mark(session, context)
            table = self._table(session)
            where, params = sqltext.bind(self.where, self.values, self.engine)
            shown = [column for column in self._changed(table) if not secret(column)]
            rows = table.matching(shown, where, params, lock=False)
        if mark is None:
            self._guard(len(rows))
            return {key: {"rows": len(rows), "sha256": digest_of(rows)}}
        own = self._kept(context, mark).keys()
        rows = {k: v for k, v in rows.items() if k not in own}
        by = f"{context.token.run}.{context.token.step.removesuffix('-undo')}"
        return {key: {"rows": len(rows), "sha256": digest_of(rows), "changed by": by}}

    def preview(self, context: Context) -> str:
        """The rows before and after, out of a transaction that ends with its session, uncommitted."""
        with self.looking(context) as session:
            session.begin()
            table = self._table(session)
            warnings = self._warnings(session)
            return "".join(warnings) + _diff(self._change(table))

    def apply(self, context: Context) -> Result:
        """Lock, count, change, read back, keep, mark, commit."""
        with self.acting(context) as session:
            marks = Marks(self.driver, session, context)
            context.clients.fence()
            marks.prepare()
            if (mark := marks.read().get(_PART)) is not None:
                return Result(changed=False, summary=f"attempt {mark.attempt} has done it")
            with uncommitted():
                session.begin()
                table = self._table(session)
                context.clients.fence()
                kept = self._change(table)
                digest = kept.store(context.workspace, context.token.attempt)
                marks.write(_PART, note=digest)
                context.clients.fence()
            session.commit()
        verb = "deleted" if self.delete else "changed"
        return Result(summary=f"{verb} {len(kept.rows)} rows of {self.table}", data={"kept": digest})

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """Each row holds what was written, or what someone else has written since; none what it held."""
        with self.looking(context) as session:
            mark = self._mark(session, context)
            if mark is None:
                return (_answer(False, "no mark of it is in the database"),)
            kept = self._kept(context, mark)
            now = self._table(session).at(kept.columns, [row.key for row in kept.rows], lock=False)
        right = sum(now.get(row.key) == row.new for row in kept.rows)
        wrong = sum(now.get(row.key) == row.old != row.new for row in kept.rows)
        others = len(kept.rows) - right - wrong
        said = f"{right} of {len(kept.rows)} rows are as written"
        said += f", {others} were changed by others since" if others else ""
        return (_answer(not wrong, said),)

    def probe(self, context: Context) -> Probe:
        """By the mark, which is committed with the change or not at all."""
        with self.looking(context) as session:
            mark = self._mark(session, context)
        if mark is None:
            return Probe(verdict=Verdict.NOT_APPLIED, evidence="no mark of it is in the database")
        return Probe(verdict=Verdict.APPLIED, evidence=f"attempt {mark.attempt} has marked it")

    def undo(self, context: Context) -> Result:
        """Put back what still is as it was left, all in one transaction.

        Raises:
            StepFailed: rows that others changed since were left; it says which, and what they hold.
        """
        with self.acting(context) as session:
            self.driver.store_as_written(session)
            marks = Marks(self.driver, session, context)
            mark = marks.read().get(_PART)
            if mark is None:
                marks.tidy()
                return Result(
                    changed=False, summary="no mark of it is in the database, so nothing was changed"
                )
            kept = self._kept(context, mark)
            with uncommitted():
                session.begin()
                context.clients.fence()
                count, strange = self._table(session).restore(kept, overwrite=context.overwrite)
                if not strange:
                    marks.remove(_PART)
                context.clients.fence()
            session.commit()
            if strange:
                raise StepFailed(
                    f"{count} rows of {self.table} are as before; {len(strange)} were changed by others "
                    f"since, and left: {clip('; '.join(strange))}",
                    f"decide about these by hand (what they held is in {context.workspace}), or sign that "
                    "what others wrote may be lost: `remediate decide RUN STEP TARGET overwrite --key KEY`",
                )
            marks.tidy()
        return Result(changed=bool(count), summary=f"{count} rows of {self.table} are as before")

    def release(self, context: Context) -> Result:
        """Delete the kept rows and the mark."""
        marked = super().release(context).changed
        there = discard(context.workspace) or marked
        return Result(changed=there, summary="the old rows are deleted" if there else "nothing was kept")

    def _mark(self, session: Session, context: Context) -> Mark | None:
        return Marks(self.driver, session, context).read().get(_PART)

    def _kept(self, context: Context, mark: Mark) -> Kept:
        return Kept.load(context.workspace, mark.attempt, mark.note)

    def _table(self, session: Session) -> Table:
        table = Table(self.driver, session, self.table)
        if followers := self.driver.cascades(session, self.table):
            raise StepFailed(
                f"rows of {', '.join(followers)} would change with those of {self.table} (foreign keys)",
                "nothing here would put them back: use SqlMigration behind a DatabaseBackup",
            )
        return table

    def _changed(self, table: Table) -> tuple[str, ...]:
        return table.kept_columns(None if self.delete else tuple(self.set))

    def _change(self, table: Table) -> Kept:
        """Lock the rows, count them, change them, and read them again, in the transaction that is open."""
        columns = self._changed(table)
        where, params = sqltext.bind(self.where, self.values, self.engine)
        old = table.matching(columns, where, params, lock=True)
        self._guard(len(old))
        keys = list(old)
        new: Mapping[Values, Values] = {}
        if self.delete:
            table.delete(keys)
        else:
            table.update(keys, *self._assignments(table))
            new = table.at(columns, keys)
            if new.keys() != old.keys():
                raise StepFailed(
                    f"{len(keys)} rows of {self.table} were changed, and {len(new)} of them are there "
                    "afterwards; nothing was committed",
                    "look at the triggers of the table",
                )
        rows = tuple(Row(key, old[key], new.get(key)) for key in keys)
        return Kept(self.table, table.key, columns, rows)

    def _guard(self, count: int) -> None:
        if not count or abs(count - self.expects) > self.tolerance:
            about = f" ± {self.tolerance}" if self.tolerance else ""
            raise StepFailed(
                f"{count} rows of {self.table} match, not {self.expects}{about}; nothing was changed",
                "look at them; correct where or expects, and plan again",
            )

    def _assignments(self, table: Table) -> tuple[str, list[Any]]:
        parts: list[str] = []
        params: list[Any] = []
        for column, value in self.set.items():
            if isinstance(value, Sql):
                text, own = sqltext.bind(value.text, self.values, self.engine)
                parts.append(table.assignment(column, f"(\n{text}\n)"))
                params += own
            else:
                parts.append(table.assignment(column, "%s"))
                params.append(value)
        return ", ".join(parts), params

    def _warnings(self, session: Session) -> Iterator[str]:
        for trigger in self.driver.triggers(session, self.table):
            yield f"! trigger {trigger} may fire; what it does elsewhere is not undone\n"


def _diff(kept: Kept) -> str:
    """The rows as removed and added lines, as many as one can look at."""
    lines = [f"{len(kept.rows)} rows of {kept.table}\n"]
    for row in kept.rows[:_SHOWN]:
        key = "" if row.new is None else f"{named(kept.key, row.key)} "
        lines.append(f"-{key}{named(kept.columns, row.old)}\n")
        if row.new is not None:
            lines.append(f"+{key}{named(kept.columns, row.new)}\n")
    if len(kept.rows) > _SHOWN:
        lines.append(f"[… {len(kept.rows) - _SHOWN} rows more …]\n")
    return "".join(lines)


def _answer(ok: bool, actual: str) -> CheckResult:
    return CheckResult(title="the rows are as written", ok=ok, expected="every row", actual=actual)
