"""A migration of a schema: SQL forward and back, in parts whose fate can be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from remediate.adapters.backups.database import DatabaseBackup
from remediate.adapters.databases import parts, sqltext
from remediate.adapters.databases.engine import Session
from remediate.adapters.databases.facts import schema_facts
from remediate.adapters.databases.marks import BEGUN, DONE, Mark, Marks
from remediate.adapters.databases.parts import Part
from remediate.adapters.databases.sqltext import Statement
from remediate.adapters.databases.step import DatabaseStep, uncommitted
from remediate.errors import StepFailed
from remediate.model.base import State, fingerprint
from remediate.model.inputs import ProjectPath
from remediate.model.step import CheckResult, Context, Estimate, Probe, Result, Step, StepClass, Verdict

Script = ProjectPath | tuple[str, ...]


class SqlMigration(DatabaseStep):
    """Execute SQL that changes a schema (and rows), marked part by part.

    ``forward`` and ``backward`` are a file of the project, or statements. ``backward`` is in the order of
    execution, so its first statement takes back the last one of ``forward``. ``tables`` are those whose rows
    it changes: their contents are measured after it, so that a restore knows whether others wrote since.
    """

    kind: ClassVar[str] = "sql-migration"
    step_class: ClassVar[StepClass] = StepClass.TOKENED
    default_estimate: ClassVar[Estimate] = Estimate(apply=60.0, verify=5.0, undo=60.0)

    forward: Script = Field(min_length=1)
    backward: Script | None = Field(default=None, min_length=1)
    tables: tuple[str, ...] = ()

    def title(self) -> str:
        """One line."""
        what = self.forward if isinstance(self.forward, str) else "; ".join(self.forward)
        line = " ".join(what.split())
        return f"migrate {self.database}: {line if len(line) <= 120 else f'{line[:117]}…'}"

    def protection(self) -> tuple[Step, ...]:
        """The whole database: all that there is without ``backward``, and the second net with it."""
        return (DatabaseBackup(engine=self.engine, database=self.database),)

    @property
    def undoable(self) -> bool:
        """Whether there is a way back besides the backup."""
        return self.backward is not None

    def artefacts(self, project: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """The files."""
        return tuple(Path(script) for script in (self.forward, self.backward) if isinstance(script, str))

    def observe(self, context: Context) -> State:
        """A digest of everything defined in the database. A script that can't be read shows here."""
        self._parts(context)
        with self.looking(context) as session:
            return schema_facts(self.driver, session, self.name(context))

    def preview(self, context: Context) -> str:
        """The parts, and what a cut between them would leave."""
        planned = self._parts(context)
        lines = [line for part in planned for line in _shown(part)]
        if len(planned) > 1:
            lines.append(
                f"! {len(planned)} parts, each committed by itself: a cut leaves some of them and not the "
                "others; what was begun is then taken back"
            )
        return "".join(f"{line}\n" for line in lines)

    def apply(self, context: Context) -> Result:
        """Each part, marked: in its own transaction, or before and after."""
        planned = self._parts(context)
        with self.acting(context) as session:
            marks = Marks(self.driver, session, context)
            context.clients.fence()
            marks.prepare()
            made = marks.read()
            left = [part for part in planned if not _done(made, part)]
            for part in left:
                self._check_begun(context, session, part, made)
                measured = self.tables if part is planned[-1] else ()
                if part.atomic:
                    self._together(context, session, marks, part, measured)
                else:
                    self._alone(context, session, marks, part, measured)
        done = len(planned) - len(left)
        before = f", {done} were done before" if done else ""
        return Result(changed=bool(left), summary=f"{len(left)} of {len(planned)} parts executed{before}")

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """Every part is marked as done."""
        planned = self._parts(context)
        with self.looking(context) as session:
            made = Marks(self.driver, session, context).read()
        done = sum(_done(made, part) for part in planned)
        return (
            CheckResult(
                title="the migration is complete",
                ok=done == len(planned),
                expected=f"{len(planned)} parts are done",
                actual=f"{done} parts are done",
            ),
        )

    def probe(self, context: Context) -> Probe:
        """By the marks; and for a part that was begun alone, by the schema."""
        planned = self._parts(context)
        with self.looking(context) as session:
            made = Marks(self.driver, session, context).read()
            begun = [part for part in planned if part.number in made and not _done(made, part)]
            ineffective = bool(begun) and self._untouched(context, session, begun[0], made[begun[0].number])
        done = sum(_done(made, part) for part in planned)
        evidence = f"{done} of {len(planned)} parts are marked as done"
        if done == len(planned):
            return Probe(verdict=Verdict.APPLIED, evidence=evidence)
        if begun:
            schema = "as before it" if ineffective else "not proved to be as before it"
            evidence += f"; part {begun[0].number} was begun, and the schema is {schema}"
        untouched = not done and (not begun or ineffective)
        return Probe(verdict=Verdict.NOT_APPLIED if untouched else Verdict.PARTIAL, evidence=evidence)

    def undo(self, context: Context) -> Result:
        """Take back each part that was begun, the last one first."""
        if self.backward is None:
            return Result(changed=False, summary="it has no way back of its own; the backup restores")
        with self.acting(context) as session:
            self.driver.store_as_written(session)
            marks = Marks(self.driver, session, context)
            made = marks.read()
            begun = [part for part in self._parts(context) if part.number in made]
            for part in reversed(begun):
                self._take_back(context, session, marks, part, made[part.number])
            marks.tidy()
        return Result(changed=bool(begun), summary=f"{len(begun)} parts taken back")

    # -- one part --

    def _together(
        self, context: Context, session: Session, marks: Marks, part: Part, measured: tuple[str, ...]
    ) -> None:
        with uncommitted():
            session.begin()
            for statement in part.forward:
                context.clients.fence()
                self._execute(session, statement)
            marks.write(part.number, DONE, self.driver.measure(session, measured))
            context.clients.fence()
        session.commit()

    def _alone(
        self, context: Context, session: Session, marks: Marks, part: Part, measured: tuple[str, ...]
    ) -> None:
        schema = self._schema(context, session)
        context.clients.fence()
        marks.write(part.number, BEGUN, note=schema)
        context.clients.fence()
        self._execute(session, part.forward[0])
        marks.write(part.number, DONE, self.driver.measure(session, measured), schema)

    def _take_back(self, context: Context, session: Session, marks: Marks, part: Part, mark: Mark) -> None:
        if part.backward_atomic:
            with uncommitted():
                session.begin()
                for statement in part.backward:
                    context.clients.fence()
                    self._execute(session, statement)
                marks.remove(part.number)
                context.clients.fence()
            session.commit()
            return
        # Without effect, or taken back already by an attempt that then died.
        if not self._untouched(context, session, part, mark):
            for statement in part.backward:
                context.clients.fence()
                self._execute(session, statement)
        marks.remove(part.number)

    def _check_begun(self, context: Context, session: Session, part: Part, made: Mapping[int, Mark]) -> None:
        mark = made.get(part.number)
        if mark is not None and not self._untouched(context, session, part, mark):
            raise StepFailed(
                f"part {part.number} ({part.forward[0].brief}) was begun and not ended",
                "look at what it left; it is not begun again",
            )

    def _untouched(self, context: Context, session: Session, part: Part, mark: Mark) -> bool:
        """Whether the schema proves that a part which commits by itself has no effect now."""
        return not part.atomic and part.visible and self._schema(context, session) == mark.note

    def _schema(self, context: Context, session: Session) -> str:
        return fingerprint(schema_facts(self.driver, session, self.name(context)))

    def _execute(self, session: Session, statement: Statement) -> None:
        try:
            session.do(statement.text)
        except StepFailed as error:
            raise StepFailed(f"{statement.brief}: {error.problem}", error.advice) from None

    # -- its text --

    def _parts(self, context: Context) -> tuple[Part, ...]:
        forward = self._statements(context, self.forward)
        backward = None if self.backward is None else self._statements(context, self.backward)
        return parts.plan(self.engine, forward, backward)

    def _statements(self, context: Context, script: Script) -> list[Statement]:
        if not isinstance(script, str):
            return [sqltext.single(text, self.engine) for text in script]
        try:
            text = (context.artefacts / script).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StepFailed(f"can't read {script}: {error}", "is it in the project, in UTF-8?") from None
        return sqltext.split(text, self.engine)


def _done(made: Mapping[int, Mark], part: Part) -> bool:
    mark = made.get(part.number)
    return mark is not None and mark.state == DONE


def _shown(part: Part) -> list[str]:
    how = "in one transaction" if part.atomic else "commits by itself"
    back = "taken back by" if part.backward else "taken back by the backup alone"
    lines = [f"part {part.number}, {how}:", *(f"+{s.brief}" for s in part.forward), back]
    return lines + [f"-{s.brief}" for s in part.backward]
