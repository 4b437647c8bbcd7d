"""Wrong documents of MongoDB put right: counted, kept, changed one by one, put back where nobody else wrote.

MongoDB changes one document at a time as a whole; transactions exist in replica sets only. So nothing here
needs them: the old and new values are on our disk and a mark is in the database before the first change, and
each change names the values that it replaces.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar

from pydantic import Field, JsonValue, model_validator

from remediate.adapters.databases import mongo
from remediate.adapters.databases.engine import MARKS
from remediate.adapters.databases.mongo import MongoSession, place
from remediate.adapters.databases.mongo_kept import Change, KeptDocuments, discard, now_of
from remediate.adapters.databases.mongo_values import changed, digest_of, from_json, query_from, shown, top
from remediate.adapters.hosts.step import rendered
from remediate.errors import StepFailed
from remediate.model.base import Frozen, State, canonical, sha256
from remediate.model.clip import clip
from remediate.model.step import CheckResult, Context, Estimate, Probe, Result, Step, StepClass, Verdict

#: They are kept, and compared one by one.
MOST_DOCUMENTS = 10_000
_BEGUN, _DONE = "begun", "done"
_SHOWN = 20
#: Names of fields with dots in between; no operators, and no places in arrays, which others may shift.
FieldPath = Annotated[str, Field(pattern=r"^[^.$\x00\s][^.$\x00]*(\.[^.$\x00]+)*$", max_length=500)]


class Mark(Frozen):
    """What the database says about this step: which attempt has begun or done it, and what it kept."""

    attempt: int
    state: str
    kept: str
    """SHA-256 of the kept documents."""


class MongoUpdate(Step):
    """Set fields of the documents that ``filter`` matches (``set``), or remove some (``unset``).

    ``filter`` and the values of ``set`` are MongoDB's Extended JSON. The step refuses unless ``expects``
    documents (give or take ``tolerance``) match. The undo puts back those that still hold what was written,
    and names the others.
    """

    kind: ClassVar[str] = "mongo-update"
    filled: ClassVar[tuple[str, ...]] = ("database",)
    step_class: ClassVar[StepClass] = StepClass.TOKENED
    default_estimate: ClassVar[Estimate] = Estimate(apply=10.0, verify=5.0, undo=10.0)

    database: str = Field(min_length=1)
    collection: str = Field(min_length=1, max_length=200)
    filter: dict[str, JsonValue] = Field(min_length=1)
    set: dict[FieldPath, JsonValue] = Field(default_factory=dict)
    unset: tuple[FieldPath, ...] = ()
    expects: int = Field(ge=1, le=MOST_DOCUMENTS)
    tolerance: int = Field(default=0, ge=0, le=MOST_DOCUMENTS)

    @model_validator(mode="after")
    def _one_change(self) -> MongoUpdate:
        paths = [*self.set, *self.unset]
        if not paths:
            raise ValueError("give set, unset, or both")
        if any(top(path) == "_id" for path in paths):
            raise ValueError("the _id of a document can't be changed")
        for path in paths:
            if paths.count(path) > 1 or any(other.startswith(f"{path}.") for other in paths):
                raise ValueError(f"{path} is given twice, or a part of it is")
        if self.collection == MARKS or self.collection.startswith("system."):
            raise ValueError(f"{self.collection} is not yours to change")
        query_from(self.filter)
        for value in self.set.values():
            from_json(value)
        return self

    def title(self) -> str:
        """One line."""
        about = f"{self.expects} ± {self.tolerance}" if self.tolerance else str(self.expects)
        what = [f"set {', '.join(self.set)}"] if self.set else []
        what += [f"remove {', '.join(self.unset)}"] if self.unset else []
        where = clip(canonical(self.filter).decode(), 200)
        return f"{' and '.join(what)} of {about} documents of {self.database}.{self.collection} where {where}"

    @property
    def undoable(self) -> bool:
        """The kept values are enough."""
        return True

    @property
    def fields(self) -> tuple[str, ...]:
        """The top-level fields that are touched; they are kept and compared as a whole."""
        return tuple(dict.fromkeys(top(path) for path in (*self.set, *self.unset)))

    def observe(self, context: Context) -> State:
        """How many documents match, and a digest of them as far as they would be changed.

        Once this step has marked its change, its own documents are left out: they are the undo's business.

        Raises:
            StepFailed: not the expected number match; so planning refuses, too.
        """
        identity = sha256(canonical(self.filter))[:12]
        key = f"db:mongodb/{self._name(context)}:documents of {self.collection} {identity}"
        with self._session(context) as session:
            mark = self._mark(session, context)
            if mark is None:
                found = self._matching(session)
                return {key: {"documents": len(found), "sha256": digest_of(found)}}
            own = {repr(change.identity) for change in self._kept(context, mark).changes}
            most = MOST_DOCUMENTS + len(own) + 1
            found = session.find(self.collection, query_from(self.filter), self.fields, most)
        rest = [document for document in found if repr(document["_id"]) not in own]
        by = f"{context.token.run}.{_step(context)}"
        return {key: {"documents": len(rest), "sha256": digest_of(rest), "changed by": by}}

    def preview(self, context: Context) -> str:
        """The documents before and after; computed, nothing is written."""
        with self._session(context) as session:
            changes = self._planned(session)
        lines = [f"{len(changes)} documents of {self.collection}\n"]
        for change in changes[:_SHOWN]:
            lines += [f"-{shown(change.identity, change.old)}\n", f"+{shown(change.identity, change.new)}\n"]
        if len(changes) > _SHOWN:
            lines.append(f"[… {len(changes) - _SHOWN} documents more …]\n")
        return "".join(lines)

    def apply(self, context: Context) -> Result:
        """Count, keep, mark as begun, change one by one, mark as done. An attempt that was cut goes on."""
        with self._session(context) as session:
            mark = self._mark(session, context)
            if mark is not None and mark.state == _DONE:
                return Result(changed=False, summary=f"attempt {mark.attempt} has done it")
            mark, kept = self._begun(context, session) if mark is None else (mark, self._kept(context, mark))
            now = now_of(session, self.collection, kept)
            if now.other:
                raise _changed_by_others(now.other, len(now.new), "were written")
            for change in now.old:
                context.clients.fence()
                if not session.change(self.collection, *change.forward(kept.fields)):
                    raise _changed_by_others(
                        [shown(change.identity, {})], len(now.new), "or more were written"
                    )
            context.clients.fence()
            if not session.change(MARKS, _mark_of(context), {"$set": {"state": _DONE}}):
                raise StepFailed(f"somebody has removed this step's mark from {MARKS}")
        summary = f"changed {len(kept.changes)} documents of {self.collection}"
        return Result(summary=summary, data={"kept": mark.kept})

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """Each document holds what was written, or what someone else has written since; none what it held."""
        title, expected = "the documents are as written", "every document"
        with self._session(context) as session:
            mark = self._mark(session, context)
            if mark is None:
                return (
                    CheckResult(title=title, ok=False, expected=expected, actual="no mark of it is there"),
                )
            now = now_of(session, self.collection, self._kept(context, mark))
        said = f"{len(now.new)} are, {len(now.old)} are as before, {len(now.other)} were changed by others"
        return (CheckResult(title=title, ok=not now.old, expected=expected, actual=said),)

    def quiesce(self, context: Context) -> bool:
        """Wait until a write that an earlier attempt has sent, and whose end nobody saw, must be over."""
        with self._session(context) as session:
            mark = self._mark(session, context)
        if mark is not None:
            time.sleep(mongo.WRITE_SECONDS)
        return True

    def probe(self, context: Context) -> Probe:
        """By the mark, which is there before the first change; if it says no more, by the documents."""
        with self._session(context) as session:
            mark = self._mark(session, context)
            if mark is None:
                return Probe(verdict=Verdict.NOT_APPLIED, evidence="no mark of it is in the database")
            if mark.state == _DONE:
                return Probe(
                    verdict=Verdict.APPLIED, evidence=f"attempt {mark.attempt} has marked it as done"
                )
            now = now_of(session, self.collection, self._kept(context, mark))
        evidence = f"it was begun: {len(now.new)} documents are as written, {len(now.old)} as before"
        if now.new or now.other:
            return Probe(verdict=Verdict.PARTIAL, evidence=f"{evidence}, {len(now.other)} neither")
        return Probe(verdict=Verdict.NOT_APPLIED, evidence=evidence)

    def undo(self, context: Context) -> Result:
        """Put back what still is as it was left, one by one.

        Raises:
            StepFailed: documents that others changed since were left; it says which, and what they hold.
        """
        with self._session(context) as session:
            mark = self._mark(session, context)
            if mark is None:
                return Result(changed=False, summary="no mark of it is there, so nothing was changed")
            kept = self._kept(context, mark)
            now = now_of(session, self.collection, kept)
            strange = list(now.other)
            for change in reversed(now.new):
                context.clients.fence()
                if not session.change(self.collection, *change.backward(kept.fields)):
                    strange.append(shown(change.identity, {}))
            if strange:
                raise _changed_by_others(strange, len(kept.changes) - len(strange), "are as before")
            context.clients.fence()
            session.remove(MARKS, _mark_of(context)["_id"])
        summary = f"{len(kept.changes)} documents of {self.collection} are as before"
        return Result(changed=bool(now.new), summary=summary)

    def release(self, context: Context) -> Result:
        """Delete the kept values and the mark."""
        with self._session(context) as session:
            marked = self._mark(session, context) is not None
            if marked:
                context.clients.fence()
                session.remove(MARKS, _mark_of(context)["_id"])
        there = discard(context.workspace) or marked
        return Result(changed=there, summary="the old values are deleted" if there else "nothing was kept")

    def _name(self, context: Context) -> str:
        return rendered(context.target, self.database)

    @contextmanager
    def _session(self, context: Context) -> Iterator[MongoSession]:
        with MongoSession(place(context), self._name(context), token=str(context.token)) as session:
            session.need_primary()
            yield session

    def _matching(self, session: MongoSession) -> list[mongo.Document]:
        most = min(self.expects + self.tolerance, MOST_DOCUMENTS) + 1
        found = session.find(self.collection, query_from(self.filter), self.fields, most)
        if not found or abs(len(found) - self.expects) > self.tolerance:
            count = f"at least {most}" if len(found) == most else str(len(found))
            about = f" ± {self.tolerance}" if self.tolerance else ""
            raise StepFailed(
                f"{count} documents of {self.collection} match, not {self.expects}{about}; "
                "nothing was changed",
                "look at them; correct filter or expects, and plan again",
            )
        return found

    def _planned(self, session: MongoSession) -> tuple[Change, ...]:
        assigned = {path: from_json(value) for path, value in self.set.items()}
        changes = []
        for document in self._matching(session):
            old = {name: document[name] for name in self.fields if name in document}
            changes.append(Change(document["_id"], old, changed(old, assigned, self.unset)))
        return tuple(changes)

    def _begun(self, context: Context, session: MongoSession) -> tuple[Mark, KeptDocuments]:
        """Keep the documents here, and mark there that their change begins."""
        kept = KeptDocuments(self.fields, self._planned(session))
        digest = kept.store(context.workspace, context.token.attempt)
        mark = Mark(attempt=context.token.attempt, state=_BEGUN, kept=digest)
        context.clients.fence()
        session.insert(MARKS, _mark_of(context) | mark.model_dump())
        return mark, kept

    def _mark(self, session: MongoSession, context: Context) -> Mark | None:
        found = session.find(MARKS, _mark_of(context), tuple(Mark.model_fields), 1)
        return Mark(**{name: found[0][name] for name in Mark.model_fields}) if found else None

    def _kept(self, context: Context, mark: Mark) -> KeptDocuments:
        return KeptDocuments.load(context.workspace, mark.attempt, mark.kept)


def _step(context: Context) -> str:
    return context.token.step.removesuffix("-undo")


def _mark_of(context: Context) -> mongo.Document:
    return {"_id": f"{context.token.run}/{_step(context)}"}


def _changed_by_others(strange: list[str], count: int, became: str) -> StepFailed:
    return StepFailed(
        f"{count} documents {became}; {len(strange)} were changed by others since, and left: "
        f"{clip('; '.join(strange))}",
        "decide about these by hand; what they held is in the run's folder",
    )
