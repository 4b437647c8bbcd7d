"""Facts about databases, under one name for every step."""

from __future__ import annotations

from remediate.adapters.databases.engine import Engine, Session
from remediate.model.base import State, sha256


def schema_key(engine: str, database: str) -> str:
    """Of everything that is defined in a database."""
    return f"db:{engine}/{database}:schema"


def schema_facts(engine: Engine, session: Session, database: str) -> State:
    """A digest of each table, view, index, trigger and routine by its name; no data and no counters."""
    found = engine.schema(session)
    return {
        schema_key(engine.name, database): {name: sha256(text.encode())[:16] for name, text in found.items()}
    }
