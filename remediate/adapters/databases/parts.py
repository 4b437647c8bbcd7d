"""A script of statements in parts: what one transaction can hold, and what commits by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from remediate.adapters.databases.sqltext import Statement
from remediate.errors import InputError

#: All that MariaDB takes back on a rollback; everything else commits, before and after itself.
_ROWS = ("INSERT", "UPDATE", "DELETE", "REPLACE")
#: What PostgreSQL refuses inside a transaction.
_ALONE = (
    ("VACUUM",),
    ("ALTER", "SYSTEM"),
    *((verb, what) for verb in ("CREATE", "DROP") for what in ("DATABASE", "TABLESPACE", "SUBSCRIPTION")),
    *(("REINDEX", what) for what in ("DATABASE", "SYSTEM", "SCHEMA")),
)
#: What the facts about a schema show.
_DEFINED = {"TABLE", "INDEX", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION"}


@dataclass(frozen=True, slots=True)
class Part:
    """Statements that take effect together, or one that commits by itself."""

    number: int
    atomic: bool
    """Whether a transaction holds them, with their mark."""
    forward: tuple[Statement, ...]
    backward: tuple[Statement, ...]
    """What takes them back, in the order of execution."""
    backward_atomic: bool

    @property
    def visible(self) -> bool:
        """Whether an unchanged schema proves that it has no effect."""
        return all(
            s.words[0] in ("CREATE", "ALTER", "DROP") and _DEFINED.intersection(s.words[1:6])
            for s in self.forward
        )


def plan(engine: str, forward: Sequence[Statement], backward: Sequence[Statement] | None) -> tuple[Part, ...]:
    """The parts of a migration in their order, numbered from 1.

    Args:
        engine: decides what a transaction can hold.
        forward: what is executed.
        backward: what takes it back, in the order of execution: the first takes back the last. Where one
            transaction holds all, the numbers may differ. None: nothing does.

    Raises:
        InputError: there is nothing to execute, it would leave the database, or the numbers differ.
    """
    holds = _mariadb_holds if engine == "mariadb" else _postgres_holds
    for statement in (*forward, *(backward or ())):
        _stays(statement)
    if not forward:
        raise InputError("the migration has no statements", "a change of nothing is no success")
    groups = _groups(forward, holds)
    ways = _ways(groups, forward, backward)
    return tuple(
        Part(number, atomic, statements, way, atomic and all(map(holds, way)))
        for number, ((atomic, statements), way) in enumerate(zip(groups, ways, strict=True), 1)
    )


def _groups(
    forward: Sequence[Statement], holds: Callable[[Statement], bool]
) -> list[tuple[bool, tuple[Statement, ...]]]:
    """What can be together is, and everything else is alone."""
    found: list[tuple[bool, tuple[Statement, ...]]] = []
    for atomic, group in groupby(forward, holds):
        run = tuple(group)
        found += [(True, run)] if atomic else [(False, (one,)) for one in run]
    return found


def _ways(
    groups: Sequence[tuple[bool, tuple[Statement, ...]]],
    forward: Sequence[Statement],
    backward: Sequence[Statement] | None,
) -> list[tuple[Statement, ...]]:
    """For each group what takes it back."""
    if backward is None:
        return [()] * len(groups)
    if len(groups) == 1 and groups[0][0]:
        return [tuple(backward)]
    if len(backward) != len(forward):
        raise InputError(
            f"{len(forward)} statements forward, but {len(backward)} backward",
            "not all of it is one transaction, so it can be cut in between: write one statement backward for "
            "each forward, the last one's first",
        )
    ways: list[tuple[Statement, ...]] = []
    end = len(backward)
    for _, statements in groups:
        ways.append(tuple(backward[end - len(statements) : end]))
        end -= len(statements)
    return ways


def _mariadb_holds(statement: Statement) -> bool:
    return statement.words[:1] != () and statement.words[0] in _ROWS


def _postgres_holds(statement: Statement) -> bool:
    words = statement.words
    return not (any(words[: len(one)] == one for one in _ALONE) or "CONCURRENTLY" in words[:5])


def _stays(statement: Statement) -> None:
    words = statement.words[:4]
    if words[:1] == ("USE",) or (words[:1] == ("SET",) and "SEARCH_PATH" in words):
        raise InputError(
            f"line {statement.line}: {statement.brief}: the migration has to stay in its database and schema",
            "write the names with their schema, or use another step",
        )
