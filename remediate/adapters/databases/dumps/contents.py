"""Which entries of a PostgreSQL dump's table of contents belong to some tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

#: ``dump-number; catalogue object TYPE schema name owner`` (pg_restore(1), --list).
_KINDS = (
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "CONSTRAINT",
    "TABLE DATA",
    "TABLE ATTACH",
    "TABLE",
    "MATERIALIZED VIEW DATA",
    "MATERIALIZED VIEW",
    "VIEW",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "SEQUENCE",
    "ACL",
    "COMMENT",
    "INDEX",
    "TRIGGER",
    "DEFAULT",
    "RULE",
    "POLICY",
    "ROW SECURITY",
    "STATISTICS",
)
_LINE = re.compile(rf"\d+; \d+ (?P<oid>\d+) (?P<what>{'|'.join(_KINDS)}) (?P<rest>.*)")


def entries_of(listing: str, objects: Set[int]) -> list[str]:
    """The lines of the list, in its order, of these objects: found by their numbers at the time of the dump.

    What has no number of its own (rights, comments, a sequence's value) is found by what it names.
    """
    lines = [(line, match) for line in listing.splitlines() if (match := _LINE.fullmatch(line))]
    ours = [(m["what"], m["rest"]) for _, m in lines if int(m["oid"]) in objects]
    named = set(_named(ours))
    return [
        line
        for line, m in lines
        if int(m["oid"]) in objects or (int(m["oid"]) == 0 and _names_one(f"{m['what']} {m['rest']}", named))
    ]


def _named(ours: list[tuple[str, str]]) -> Iterator[str]:
    for what, rest in ours:
        schema, _, name = rest.partition(" ")
        if what == "SEQUENCE":
            yield from (f"SEQUENCE OWNED BY {rest}", f"SEQUENCE SET {rest}", f"ACL {schema} SEQUENCE {name}")
        elif what in ("TABLE", "VIEW", "MATERIALIZED VIEW"):
            table = name.rpartition(" ")[0]
            yield from (f"ACL {schema} TABLE {name}", f"COMMENT {schema} {what} {name}")
            yield from (f"ACL {schema} COLUMN {table}.", f"COMMENT {schema} COLUMN {table}.")
            yield f"ROW SECURITY {rest}"


def _names_one(text: str, named: Set[str]) -> bool:
    if text in named:
        return True
    return any(one.endswith(".") and text.startswith(one) for one in named)
