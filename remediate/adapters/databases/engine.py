"""What is asked of a SQL database; one class for each engine, so that steps and checks know none by name."""

from __future__ import annotations

import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from remediate.adapters.databases.endpoint import Endpoint, wanted
from remediate.adapters.databases.tunnel import tunnel
from remediate.adapters.hosts.ssh import watchdog
from remediate.errors import InputError
from remediate.model.step import Context

#: The table in which a change notes, in its own transaction where there is one, that it was made. It is no
#: part of any comparison, and is dropped when its last row is.
MARKS = "remediate_marks"
#: What a statement may take beyond its own limit, in seconds: the server ends it, and has to say so.
SLACK = 15.0


@dataclass(frozen=True, slots=True)
class Measure:
    """What a table holds: equal measures mean equal rows, in any order."""

    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and how its values become text and again what they were, exactly.

    ``read`` is an expression that gives the text; ``write`` has one ``%s`` for that text. The text does not
    depend on collations, time zones or the rounding of floats.
    """

    name: str
    read: str
    write: str
    computed: bool = False
    """Whether the server derives it from other columns; it can't be written."""
    automatic: bool = False
    """Whether the server sets it when another column of the row is changed."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One replication stream; ``lag`` is in seconds, None while it does not run."""

    name: str
    lag: float | None
    state: str


class Session(ABC):
    """One login in one database. Not for two threads at once. It commits nothing by itself but what
    ``autocommit`` statements do; leaving the ``with`` block rolls back what is open, and closes."""

    patience: float | None = None
    """Seconds after which a statement without an answer has lost its connection; see `Engine.limit`."""

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For one statement. What keeps a connection and never answers can't hold the caller for ever."""
        if self.patience is None:
            yield
            return
        with watchdog(self.patience, self.hang_up):
            yield

    def hang_up(self) -> None:
        """End the connection under whoever waits for an answer."""
        with socket.socket(fileno=os.dup(self.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    @abstractmethod
    def fileno(self) -> int:
        """The connection's socket."""

    @abstractmethod
    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query; ``%s`` stands for each parameter.

        Raises:
            StepFailed: the server said no (its own message), or was not reached.
            InDoubt: the connection was lost after the statement was sent.
        """

    @abstractmethod
    def records(self, sql: str) -> list[dict[str, Any]]:
        """All rows of a query without parameters, by column name. Raises as `rows` does."""

    @abstractmethod
    def do(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Execute a statement; returns the number of rows it matched. Raises as `rows` does."""

    @abstractmethod
    def begin(self) -> None:
        """Begin a transaction."""

    @abstractmethod
    def commit(self) -> None:
        """Commit it.

        Raises:
            InDoubt: no answer came: nobody knows.
        """

    @abstractmethod
    def rollback(self) -> None:
        """Take the transaction back."""

    @property
    @abstractmethod
    def number(self) -> int:
        """The server's own number of this session (connection id, backend pid)."""

    @abstractmethod
    def close(self) -> None:
        """End the session; whatever is open is rolled back by the server."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Engine(ABC):
    """A kind of SQL database server."""

    name: str
    title: str
    overriding: str
    """Between columns and VALUES of an INSERT: that given values go before the server's own numbers."""
    transactional_ddl: bool
    """Whether CREATE and ALTER can be rolled back; where not, each of them commits by itself."""

    @abstractmethod
    def open(self, endpoint: Endpoint, database: str, token: str = "") -> Session:
        """Log in.

        Args:
            endpoint: where.
            database: which one; empty is the server's own administrative one.
            token: names the attempt, so that `sessions` finds what is left of it on the server.

        Raises:
            StepFailed: not let in, not there, or a certificate that proves nothing; nothing was done.
        """

    @abstractmethod
    def sessions(self, session: Session, token: str) -> list[int]:
        """Numbers of the sessions of this attempt that still live on the server, this one left out."""

    @abstractmethod
    def end(self, session: Session, number: int) -> None:
        """End another session."""

    @abstractmethod
    def tables(self, session: Session) -> list[str]:
        """All base tables, sorted, the marks left out; ``schema.table`` outside the default schema."""

    @abstractmethod
    def measure(self, session: Session, tables: Sequence[str]) -> dict[str, Measure]:
        """Rows and checksum of each table; inside a transaction, as it sees them."""

    @abstractmethod
    def schema(self, session: Session) -> dict[str, str]:
        """Definition of each table, view, index, trigger and routine by name: equal text, equal thing.

        Without counters, such as the next automatic number.
        """

    @abstractmethod
    def key_columns(self, session: Session, table: str) -> list[str]:
        """Columns of the primary key in their order; empty if there is none."""

    @abstractmethod
    def columns(self, session: Session, table: str) -> list[Column]:
        """The table's columns in their order; empty if there is no such table."""

    @abstractmethod
    def transactional(self, session: Session, table: str) -> bool:
        """Whether a rollback takes changes of this table's rows back."""

    @abstractmethod
    def triggers(self, session: Session, table: str) -> list[str]:
        """Names of the triggers that fire when rows of this table are changed."""

    @abstractmethod
    def cascades(self, session: Session, table: str) -> list[str]:
        """Tables whose rows change by themselves when rows of this one are deleted, or their keys changed."""

    @abstractmethod
    def limit(self, session: Session, lock_seconds: float, statement_seconds: float) -> None:
        """From now on nothing in this session waits longer for a lock, or takes longer, than this."""

    @abstractmethod
    def replicas(self, session: Session) -> list[Replica]:
        """Streams that this server sends or receives; empty if it neither is nor has a replica."""

    @abstractmethod
    def quote_one(self, name: str) -> str:
        """The name of a column, in which a dot is only a character."""

    @abstractmethod
    def quote(self, name: str) -> str:
        """An identifier as the engine's SQL writes it; ``schema.table`` is quoted by its parts."""

    @abstractmethod
    def create(self, session: Session, database: str) -> None:
        """Make an empty database."""

    @abstractmethod
    def drop(self, session: Session, database: str) -> None:
        """Remove a database; absent is fine."""

    @abstractmethod
    def store_as_written(self, session: Session) -> None:
        """From now on texts of `Column.write` are stored as they are, whatever the session was set to."""

    @abstractmethod
    def drop_if_empty(self, session: Session, table: str) -> None:
        """Drop a table, unless it has a row or someone is about to commit one."""


def endpoint(context: Context, engine: str) -> Endpoint:
    """The server of this context's target, reachable from here; the tunnel stays open for the run.

    Raises:
        StepFailed: a variable is missing, or the target can't be reached; nothing was done.
    """
    want = wanted(context.target, engine)
    password = context.secrets.resolve(want.password) if want.password else ""
    if want.via == "direct":
        return Endpoint(want.target, want.host, want.port, want.user, password, want.ca_file)
    way = tunnel(context, want.host, want.port, f".s.PGSQL.{want.port}")
    return Endpoint(want.target, str(way.folder), want.port, want.user, password)


@contextmanager
def login(context: Context, engine: Engine, database: str) -> Iterator[Session]:
    """A session of this attempt on the target's database."""
    with engine.open(endpoint(context, engine.name), database, str(context.token)) as session:
        yield session


def engine_named(name: str) -> Engine:
    """The engine of this name.

    Raises:
        InputError: there is none.
    """
    from remediate.adapters.databases.mariadb import MariaDB
    from remediate.adapters.databases.postgres import Postgres

    engines: dict[str, type[Engine]] = {"mariadb": MariaDB, "postgres": Postgres}
    if name not in engines:
        raise InputError(f"no database engine {name!r}", f"known are {', '.join(engines)}")
    return engines[name]()
