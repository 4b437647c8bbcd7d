"""PostgreSQL, by psycopg."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from remediate.adapters.clients import load_sdk
from remediate.adapters.databases.endpoint import Endpoint
from remediate.adapters.databases.engine import MARKS, SLACK, Column, Engine, Measure, Replica, Session
from remediate.errors import InDoubt, StepFailed

_CONNECT_SECONDS = 10
#: PostgreSQL cuts a longer application name off.
_LONGEST_TOKEN = 63
_OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'"
_NAME = "CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END"
#: Streams to replicas, on the primary.
_SENT = """
SELECT coalesce(nullif(application_name, ''), client_addr::text, 'replica'), state,
  CASE WHEN state <> 'streaming' THEN NULL
    WHEN replay_lsn = pg_current_wal_lsn() THEN 0
    ELSE coalesce(extract(epoch FROM replay_lag), 0) END
FROM pg_stat_replication
"""
#: The stream from the primary, on a replica.
_RECEIVED = """
SELECT 'from ' || coalesce(sender_host, '?') || ':' || coalesce(sender_port::text, '?'), status,
  CASE WHEN status <> 'streaming' THEN NULL
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
    ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END
FROM pg_stat_wal_receiver
"""


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
        # What a role or database may have set otherwise: texts of values must be exact, and always the same.
        self.do("SET bytea_output TO hex")
        self.do("SET extra_float_digits TO 1")
        self.do("SET intervalstyle TO postgres")
        self.do("SET datestyle TO ISO")

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        import psycopg

        try:
            with self.waiting(), self._connection.cursor() as cursor:
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

    def records(self, sql: str) -> list[dict[str, Any]]:
        """See `Session`."""
        with self._asking() as cursor:
            cursor.execute(sql)
            names = [str(column[0]) for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

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

    def fileno(self) -> int:
        """See `Session`."""
        return self._connection.fileno()

    def close(self) -> None:
        """See `Session`."""
        with suppress(Exception):
            self._connection.close()


@contextmanager
def _in_utc(session: Session) -> Iterator[None]:
    """Equal times have equal texts on every server; afterwards the session has its own zone again."""
    ((zone,),) = session.rows("SHOW timezone")
    session.rows("SELECT set_config('timezone', 'UTC', false)")
    yield
    # Not after an error: a transaction that failed takes the setting back by itself.
    session.rows("SELECT set_config('timezone', %s, false)", (zone,))


class Postgres(Engine):
    """PostgreSQL; definitions change in transactions like data."""

    name = "postgres"
    title = "PostgreSQL"
    overriding = "OVERRIDING SYSTEM VALUE"
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
        with _in_utc(session):
            for table in tables:
                ((count, checksum),) = session.rows(
                    "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text "  # noqa: S608
                    f"FROM {self.quote(table)} t"
                )
                found[table] = Measure(int(count), str(checksum))
        return found

    def schema(self, session: Session) -> dict[str, str]:
        """See `Engine`."""
        queries = {
            "table": (
                f"SELECT {_NAME}, string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), "  # noqa: S608
                "CASE WHEN a.attnotnull THEN 'not null' END, pg_get_expr(d.adbin, d.adrelid)), "
                "', ' ORDER BY a.attnum) "
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
                f"SELECT {_NAME}, pg_get_indexdef(c.oid) "  # noqa: S608
                "|| CASE WHEN i.indisvalid THEN '' ELSE ' invalid' END "
                "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "JOIN pg_index i ON i.indexrelid = c.oid "
                f"WHERE {_OURS} AND i.indrelid <> coalesce(to_regclass('{MARKS}'), 0)"
            ),
            "constraint": (
                "SELECT k.conname || ' on ' || k.conrelid::regclass, "  # noqa: S608
                "pg_get_constraintdef(k.oid) "
                "FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace "
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
            "SELECT a.attname FROM pg_index i "
            "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
            "WHERE i.indrelid = %s::regclass AND i.indisprimary "
            # Columns behind those of the key are only carried along (INCLUDE).
            "AND array_position(i.indkey::int2[], a.attnum) < i.indnkeyatts "
            "ORDER BY array_position(i.indkey::int2[], a.attnum)",
            (self.quote(table),),
        )
        return [str(name) for (name,) in found]

    def columns(self, session: Session, table: str) -> list[Column]:
        """See `Engine`. PostgreSQL's own text of a value gives the value again."""
        found = session.rows(
            "SELECT attname, format_type(atttypid, atttypmod), attgenerated <> '' FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (self.quote(table),),
        )
        return [
            Column(str(name), f"{self.quote_one(name)}::text", f"CAST(%s AS {kind})", computed=bool(computed))
            for name, kind, computed in found
        ]

    def transactional(self, session: Session, table: str) -> bool:
        """See `Engine`. A foreign table's server may commit by itself."""
        found = session.rows(
            "SELECT relkind IN ('r', 'p') FROM pg_class WHERE oid = to_regclass(%s)", (self.quote(table),)
        )
        return found == [(True,)]

    def triggers(self, session: Session, table: str) -> list[str]:
        """See `Engine`."""
        found = session.rows(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal ORDER BY 1",
            (self.quote(table),),
        )
        return [str(name) for (name,) in found]

    def cascades(self, session: Session, table: str) -> list[str]:
        """See `Engine`. Rules ``a`` and ``r`` are NO ACTION and RESTRICT."""
        found = session.rows(
            "SELECT DISTINCT conrelid::regclass::text FROM pg_constraint WHERE confrelid = to_regclass(%s) "
            "AND contype = 'f' AND NOT (confdeltype IN ('a', 'r') AND confupdtype IN ('a', 'r')) ORDER BY 1",
            (self.quote(table),),
        )
        return [str(name) for (name,) in found]

    def limit(self, session: Session, lock_seconds: float, statement_seconds: float) -> None:
        """See `Engine`. A transaction that is left open for as long is ended by the server, too."""
        statement = str(max(1, round(statement_seconds * 1000)))
        session.patience = statement_seconds + SLACK
        session.rows(
            "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false), "
            "set_config('idle_in_transaction_session_timeout', %s, false)",
            (str(max(1, round(lock_seconds * 1000))), statement, statement),
        )

    def replicas(self, session: Session) -> list[Replica]:
        """See `Engine`. A replica that has replayed all that it received has no lag, however old that is."""
        sent = session.rows(_RECEIVED if _is_replica(session) else _SENT)
        return [Replica(str(n), None if lag is None else float(lag), str(state)) for n, state, lag in sent]

    def quote_one(self, name: str) -> str:
        """One name, in which a dot is only a character."""
        return '"' + name.replace('"', '""') + '"'

    def quote(self, name: str) -> str:
        """See `Engine`."""
        return ".".join(map(self.quote_one, name.split(".")))

    def create(self, session: Session, database: str) -> None:
        """See `Engine`."""
        session.do(f"CREATE DATABASE {self.quote(database)}")

    def drop(self, session: Session, database: str) -> None:
        """See `Engine`."""
        session.do(f"DROP DATABASE IF EXISTS {self.quote(database)} WITH (FORCE)")

    def store_as_written(self, session: Session) -> None:
        """See `Engine`. They are already: times carry their zone."""

    def drop_if_empty(self, session: Session, table: str) -> None:
        """See `Engine`. The lock waits for every transaction that has used the table."""
        name = self.quote(table)
        session.begin()
        try:
            session.do(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
            if not session.rows(f"SELECT 1 FROM {name} LIMIT 1"):  # noqa: S608 - quoted
                session.do(f"DROP TABLE {name}")
            session.commit()
        except StepFailed:
            session.rollback()
            raise


def _is_replica(session: Session) -> bool:
    ((answer,),) = session.rows("SELECT pg_is_in_recovery()")
    return bool(answer)


def _said(error: Exception) -> str:
    """The server's own words, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
