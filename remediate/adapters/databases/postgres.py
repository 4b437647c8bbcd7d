"""PostgreSQL, by psycopg."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from remediate.adapters.clients import load_sdk
from remediate.adapters.databases.endpoint import Endpoint
from remediate.adapters.databases.engine import MARKS, Engine, Measure, Session
from remediate.errors import InDoubt, StepFailed

_CONNECT_SECONDS = 10
#: PostgreSQL cuts a longer application name off.
_LONGEST_TOKEN = 63
_OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'"
_NAME = "CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END"


class PostgresSession(Session):
    """One connection; it is called like the attempt, so that the server shows what is left of it."""

    def __init__(self, endpoint: Endpoint, database: str, token: str) -> None:
        load_sdk("psycopg")
        import psycopg

        self._name = f"{endpoint.name}: PostgreSQL"
        tls: dict[str, Any] = {"sslmode": "disable"}
        if not endpoint.trusted:
            # By default the server's certificate would be believed unseen.
            tls = {"sslmode": "verify-full", "sslrootcert": str(endpoint.ca_file or "system")}
        try:
            self._connection = psycopg.connect(
                host=endpoint.host,
                port=endpoint.port,
                user=endpoint.user,
                password=endpoint.password or None,
                dbname=database or "postgres",
                application_name=(token or "remediate")[-_LONGEST_TOKEN:],
                connect_timeout=_CONNECT_SECONDS,
                autocommit=True,
                tcp_user_timeout=30_000,
                **tls,
            )
        except (psycopg.Error, OSError) as error:
            raise StepFailed(
                f"{self._name}: not let in: {_said(error)}; nothing was done",
                "check postgres_user, postgres_password and postgres_host in the inventory",
            ) from None

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        import psycopg

        try:
            with self._connection.cursor() as cursor:
                yield cursor
        except psycopg.Error as error:
            if self._connection.closed or self._connection.broken:
                raise InDoubt(f"{self._name}: the connection was lost: {_said(error)}") from None
            raise StepFailed(f"{self._name}: {_said(error)}") from None

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Session`."""
        with self._asking() as cursor:
            cursor.execute(sql, tuple(params) or None)
            return list(cursor.fetchall())

    def do(self, sql: str, params: Sequence[Any] = ()) -> int:
        """See `Session`."""
        with self._asking() as cursor:
            cursor.execute(sql, tuple(params) or None)
            return max(0, int(cursor.rowcount))

    def begin(self) -> None:
        """See `Session`."""
        self.do("BEGIN")

    def commit(self) -> None:
        """See `Session`."""
        self.do("COMMIT")

    def rollback(self) -> None:
        """See `Session`."""
        self.do("ROLLBACK")

    @property
    def number(self) -> int:
        """See `Session`."""
        return int(self._connection.info.backend_pid)

    def close(self) -> None:
        """See `Session`."""
        with suppress(Exception):
            self._connection.close()


class Postgres(Engine):
    """PostgreSQL; definitions change in transactions like data."""

    name = "postgres"
    title = "PostgreSQL"
    transactional_ddl = True

    def open(self, endpoint: Endpoint, database: str, token: str = "") -> PostgresSession:
        """See `Engine`."""
        return PostgresSession(endpoint, database, token)

    def sessions(self, session: Session, token: str) -> list[int]:
        """See `Engine`."""
        found = session.rows(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid()",
            (token[-_LONGEST_TOKEN:],),
        )
        return [int(pid) for (pid,) in found]

    def end(self, session: Session, number: int) -> None:
        """See `Engine`."""
        session.rows("SELECT pg_terminate_backend(%s)", (int(number),))

    def tables(self, session: Session) -> list[str]:
        """See `Engine`."""
        found = session.rows(
            f"SELECT {_NAME} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "  # noqa: S608
            f"WHERE c.relkind = 'r' AND {_OURS} AND c.relname <> %s ORDER BY 1",
            (MARKS,),
        )
        return [str(name) for (name,) in found]

    def measure(self, session: Session, tables: Sequence[str]) -> dict[str, Measure]:
        """See `Engine`. The sum of the rows' hashes does not depend on their order."""
        found = {}
        for table in tables:
            ((count, checksum),) = session.rows(
                "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text "
                f"FROM {self.quote(table)} t"  # noqa: S608 - quoted
            )
            found[table] = Measure(int(count), str(checksum))
        return found

    def schema(self, session: Session) -> dict[str, str]:
        """See `Engine`."""
        queries = {
            "table": (
                f"SELECT {_NAME}, string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), "  # noqa: S608
                "CASE WHEN a.attnotnull THEN 'not null' END, pg_get_expr(d.adbin, d.adrelid)), ', ' ORDER BY a.attnum) "
                "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
                "LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
                f"WHERE c.relkind IN ('r', 'p') AND {_OURS} AND c.relname <> '{MARKS}' GROUP BY 1"
            ),
            "view": (
                f"SELECT {_NAME}, pg_get_viewdef(c.oid) FROM pg_class c "  # noqa: S608
                f"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND {_OURS}"
            ),
            "index": (
                f"SELECT {_NAME}, pg_get_indexdef(c.oid) || CASE WHEN i.indisvalid THEN '' ELSE ' invalid' END "  # noqa: S608
                "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indexrelid = c.oid "
                f"WHERE {_OURS} AND i.indrelid <> coalesce(to_regclass('{MARKS}'), 0)"
            ),
            "constraint": (
                "SELECT k.conname || ' on ' || k.conrelid::regclass, pg_get_constraintdef(k.oid) "
                "FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace "  # noqa: S608
                f"WHERE k.conrelid <> 0 AND {_OURS} AND k.conrelid <> coalesce(to_regclass('{MARKS}'), 0)"
            ),
            "trigger": (
                "SELECT t.tgname || ' on ' || t.tgrelid::regclass, pg_get_triggerdef(t.oid) "
                "FROM pg_trigger t WHERE NOT t.tgisinternal"
            ),
            "routine": (
                "SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM pg_proc p "  # noqa: S608
                f"JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p') AND {_OURS}"
            ),
        }
        found = {
            f"{what} {name}": str(text)
            for what, query in queries.items()
            for name, text in session.rows(query.replace("%%", "%"))
        }
        return dict(sorted(found.items()))

    def key_columns(self, session: Session, table: str) -> list[str]:
        """See `Engine`."""
        found = session.rows(
            "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
            "WHERE i.indrelid = %s::regclass AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)",
            (self.quote(table),),
        )
        return [str(name) for (name,) in found]

    def quote(self, name: str) -> str:
        """See `Engine`."""
        return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))

    def create(self, session: Session, database: str) -> None:
        """See `Engine`."""
        session.do(f"CREATE DATABASE {self.quote(database)}")

    def drop(self, session: Session, database: str) -> None:
        """See `Engine`."""
        session.do(f"DROP DATABASE IF EXISTS {self.quote(database)} WITH (FORCE)")


def _said(error: Exception) -> str:
    """The server's own words, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
