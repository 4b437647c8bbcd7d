"""Names and values of the facts that several steps over one database share."""

from __future__ import annotations

from collections.abc import Mapping

from remediate.model.base import State, sha256


def schema_key(engine: str, database: str) -> str:
    """The fact about a database's definitions."""
    return f"db:{engine}/{database}:schema"


def schema_facts(engine: str, database: str, schema: Mapping[str, str]) -> State:
    """That fact: a digest for each table, view, index, trigger and routine (`Engine.schema`)."""
    return {schema_key(engine, database): {name: sha256(text.encode()) for name, text in schema.items()}}
