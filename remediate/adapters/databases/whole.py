"""Whole databases: everything that is defined in them, and the rows of every table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from remediate.adapters.databases.engine import endpoint
from remediate.adapters.databases.mongo import MongoSession, place
from remediate.adapters.databases.mongo_update import MongoUpdate
from remediate.adapters.databases.step import DatabaseStep
from remediate.adapters.hosts.step import rendered
from remediate.adapters.whole import Looking, WholeReader
from remediate.model.base import State, sha256
from remediate.model.step import Context, Step


class WholeDatabase(WholeReader):
    """SQL databases that steps of the plan work on."""

    kind: ClassVar[str] = "database"

    def applies(self, context: Context, steps: Sequence[Step]) -> bool:  # noqa: ARG002
        """The plan says it."""
        return any(isinstance(s, DatabaseStep) for s in steps)

    def read(self, context: Context, steps: Sequence[Step], looking: Looking) -> State:  # noqa: ARG002
        """All tables, also those that no step names."""
        found: State = {}
        ours = {(s.engine, s.name(context)): s for s in steps if isinstance(s, DatabaseStep)}
        for (engine, name), step in ours.items():
            driver = step.driver
            with driver.open(endpoint(context, engine), name) as session:
                driver.limit(session, 10.0, context.timeout)
                for what, text in driver.schema(session).items():
                    found[f"schema:{name}/{what}"] = {"definition": sha256(text.encode())[:16]}
                for table, measure in driver.measure(session, driver.tables(session)).items():
                    found[f"table:{name}/{table}"] = {"rows": measure.rows, "checksum": measure.checksum}
        return found


class WholeCollection(WholeReader):
    """Collections of MongoDB that steps of the plan work on."""

    kind: ClassVar[str] = "collection"

    def applies(self, context: Context, steps: Sequence[Step]) -> bool:  # noqa: ARG002
        """The plan says it."""
        return any(isinstance(s, MongoUpdate) for s in steps)

    def read(self, context: Context, steps: Sequence[Step], looking: Looking) -> State:  # noqa: ARG002
        """All documents of each."""
        found: State = {}
        ours = {
            (rendered(context.target, s.database), s.collection) for s in steps if isinstance(s, MongoUpdate)
        }
        for database, collection in sorted(ours):
            session = MongoSession(place(context), database, context.timeout)
            try:
                count, digest = session.whole(collection)
            finally:
                session.close()
            found[f"collection:{database}/{collection}"] = {"documents": count, "checksum": digest}
        return found
