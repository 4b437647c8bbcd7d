"""MariaDB and MySQL, by PyMySQL."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from remediate.adapters.clients import load_sdk
from remediate.adapters.databases.endpoint import Endpoint
from remediate.adapters.databases.engine import MARKS, SLACK, Column, Engine, Measure, Replica, Session
from remediate.errors import InDoubt, StepFailed
from remediate.model.base import sha256

_CONNECT_SECONDS = 10
_TIMEOUT = 600
#: Codes that mean that the connection is gone, or was never there: the client's own (CR_* of the protocol),
#: ER_SERVER_SHUTDOWN and ER_CONNECTION_KILLED.
_GONE = {0, 2003, 2006, 2013, 2014, 2055, 1053, 1927}
_BYTES = {
    *("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"),
    *("geometry", "point", "linestring", "polygon"),
    *("multipoint", "multilinestring", "multipolygon", "geometrycollection"),
}
_COUNTER = re.compile(r" AUTO_INCREMENT=\d+")


class MariaSession(Session):
    """One connection; the database's SQL mode is made strict, so that no value is cut off silently."""

    def __init__(self, endpoint: Endpoint, database: str, token: str) -> None:
        load_sdk("pymysql")
        import pymysql

        self._name = f"{endpoint.name}: MariaDB"
        where: dict[str, Any] = (
            {"unix_socket": endpoint.socket}
            if endpoint.local
            else {"host": endpoint.host, "port": endpoint.port}
        )
        if not endpoint.trusted:
            # By default any name would do; the certificate must be this server's own.
            where["ssl"] = ssl.create_default_context(cafile=endpoint.ca_file)
        try:
            self._connection: Any = pymysql.connect(
                user=endpoint.user,
                password=endpoint.password,
                database=database or None,
                charset="utf8mb4",
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_TIMEOUT,
                write_timeout=_TIMEOUT,
                local_infile=False,
                program_name=token or "remediate",
                client_flag=pymysql.constants.CLIENT.FOUND_ROWS,
                init_command="SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
                **where,
            )
        except (pymysql.MySQLError, OSError) as error:
            raise StepFailed(
                f"{self._name}: not let in: {_said(error)}; nothing was done",
                "check mariadb_user, mariadb_password and mariadb_host in the inventory",
            ) from None
        if token:
            self.rows("SELECT GET_LOCK(%s, 0)", (_lock(token),))

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        import pymysql

        try:
            with self.waiting(), self._connection.cursor() as cursor:
                yield cursor
        except pymysql.MySQLError as error:
            code = error.args[0] if error.args else 0
            if code in _GONE or not self._connection.open:
                raise InDoubt(f"{self._name}: the connection was lost: {_said(error)}") from None
            raise StepFailed(f"{self._name}: {_said(error)}") from None
        except OSError as error:
            raise InDoubt(f"{self._name}: the connection was lost: {error}") from None

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
            return int(cursor.execute(sql, tuple(params) or None))

    def begin(self) -> None:
        """See `Session`."""
        self.do("START TRANSACTION")

    def commit(self) -> None:
        """See `Session`."""
        self.do("COMMIT")

    def rollback(self) -> None:
        """See `Session`."""
        self.do("ROLLBACK")

    @property
    def number(self) -> int:
        """See `Session`."""
        return int(self._connection.thread_id())

    def fileno(self) -> int:
        """See `Session`."""
        return int(self._connection._sock.fileno())

    def close(self) -> None:
        """See `Session`."""
        with suppress(Exception):
            self._connection.close()


class MariaDB(Engine):
    """MariaDB, or a MySQL of the same time; steps refuse tables without transactions (MyISAM, Aria)."""

    name = "mariadb"
    title = "MariaDB"
    overriding = ""
    transactional_ddl = False

    def open(self, endpoint: Endpoint, database: str, token: str = "") -> MariaSession:
        """See `Engine`."""
        return MariaSession(endpoint, database, token)

    def sessions(self, session: Session, token: str) -> list[int]:
        """See `Engine`. A session of ours holds a lock by the attempt's name, which ends with it."""
        ((number,),) = session.rows("SELECT IS_USED_LOCK(%s)", (_lock(token),))
        return [int(number)] if number is not None and int(number) != session.number else []

    def end(self, session: Session, number: int) -> None:
        """See `Engine`."""
        session.do(f"KILL CONNECTION {int(number)}")

    def tables(self, session: Session) -> list[str]:
        """See `Engine`."""
        found = session.rows(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND table_name <> %s ORDER BY 1",
            (MARKS,),
        )
        return [str(name) for (name,) in found]

    def measure(self, session: Session, tables: Sequence[str]) -> dict[str, Measure]:
        """See `Engine`. CHECKSUM TABLE reads all rows, as the transaction sees them."""
        found = {}
        for table in tables:
            ((count,),) = session.rows(f"SELECT COUNT(*) FROM {self.quote(table)}")  # noqa: S608 - quoted
            ((_, checksum),) = session.rows(f"CHECKSUM TABLE {self.quote(table)} EXTENDED")
            if checksum is None:
                raise StepFailed(f"table {table} can't be read; CHECKSUM TABLE gives nothing")
            found[table] = Measure(int(count), str(checksum))
        return found

    def schema(self, session: Session) -> dict[str, str]:
        """See `Engine`."""
        found: dict[str, str] = {}
        names = session.rows(
            "SELECT table_name, table_type FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_name <> %s",
            (MARKS,),
        )
        for name, kind in names:
            row = session.rows(f"SHOW CREATE TABLE {self.quote(name)}")[0]
            what = "view" if kind == "VIEW" else "table"
            found[f"{what} {name}"] = _COUNTER.sub("", str(row[1]))
        for name, text in session.rows(
            "SELECT trigger_name, CONCAT_WS(' ', action_timing, event_manipulation, event_object_table, "
            "action_statement) FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
        ):
            found[f"trigger {name}"] = str(text)
        for kind, name, text in session.rows(
            "SELECT LOWER(routine_type), routine_name, CONCAT_WS(' ', dtd_identifier, routine_definition) "
            "FROM information_schema.routines WHERE routine_schema = DATABASE()"
        ):
            found[f"{kind} {name}"] = str(text)
        return dict(sorted(found.items()))

    def key_columns(self, session: Session, table: str) -> list[str]:
        """See `Engine`."""
        found = session.rows(
            "SELECT column_name FROM information_schema.key_column_usage WHERE table_schema = DATABASE() "
            "AND table_name = %s AND constraint_name = 'PRIMARY' ORDER BY ordinal_position",
            (table,),
        )
        return [str(name) for (name,) in found]

    def columns(self, session: Session, table: str) -> list[Column]:
        """See `Engine`."""
        found = session.rows(
            "SELECT column_name, data_type, column_type, extra FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
            (table,),
        )
        return [
            _column(self.quote_one(n), *map(str, (n, kind, whole, extra))) for n, kind, whole, extra in found
        ]

    def transactional(self, session: Session, table: str) -> bool:
        """See `Engine`."""
        found = session.rows(
            "SELECT e.transactions FROM information_schema.tables t JOIN information_schema.engines e "
            "ON e.engine = t.engine WHERE t.table_schema = DATABASE() AND t.table_name = %s",
            (table,),
        )
        return found == [("YES",)]

    def triggers(self, session: Session, table: str) -> list[str]:
        """See `Engine`."""
        found = session.rows(
            "SELECT trigger_name FROM information_schema.triggers "
            "WHERE event_object_schema = DATABASE() AND event_object_table = %s ORDER BY 1",
            (table,),
        )
        return [str(name) for (name,) in found]

    def cascades(self, session: Session, table: str) -> list[str]:
        """See `Engine`."""
        found = session.rows(
            "SELECT DISTINCT table_name FROM information_schema.referential_constraints "
            "WHERE unique_constraint_schema = DATABASE() AND referenced_table_name = %s "
            "AND NOT (delete_rule IN ('RESTRICT', 'NO ACTION') AND update_rule IN ('RESTRICT', 'NO ACTION')) "
            "ORDER BY 1",
            (table,),
        )
        return [str(name) for (name,) in found]

    def limit(self, session: Session, lock_seconds: float, statement_seconds: float) -> None:
        """See `Engine`. Waiting for a lock is counted in whole seconds here."""
        lock = max(1, round(lock_seconds))
        session.patience = statement_seconds + SLACK
        session.do(
            f"SET SESSION lock_wait_timeout = {lock}, innodb_lock_wait_timeout = {lock}, "
            f"max_statement_time = {max(1.0, statement_seconds):.3f}"
        )

    def replicas(self, session: Session) -> list[Replica]:
        """See `Engine`. Only the replica itself knows its lag."""
        found = []
        for row in session.records("SHOW ALL SLAVES STATUS"):
            running = row["Slave_IO_Running"] == row["Slave_SQL_Running"] == "Yes"
            lag = row["Seconds_Behind_Master"]
            said = row["Last_IO_Error"] or row["Last_SQL_Error"] or row["Slave_IO_State"] or "stopped"
            name = f"from {row['Master_Host']}:{row['Master_Port']}"
            found.append(Replica(name, float(lag) if running and lag is not None else None, str(said)))
        return found

    def quote_one(self, name: str) -> str:
        """See `Engine`."""
        return "`" + name.replace("`", "``") + "`"

    def quote(self, name: str) -> str:
        """See `Engine`. A database is one schema here, so a dot is part of the name."""
        return self.quote_one(name)

    def create(self, session: Session, database: str) -> None:
        """See `Engine`."""
        session.do(f"CREATE DATABASE {self.quote(database)}")

    def drop(self, session: Session, database: str) -> None:
        """See `Engine`."""
        session.do(f"DROP DATABASE IF EXISTS {self.quote(database)}")

    def store_as_written(self, session: Session) -> None:
        """See `Engine`. No hour that exists twice, and a zero is no request for the next number."""
        session.do(
            "SET SESSION time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')"
        )

    def drop_if_empty(self, session: Session, table: str) -> None:
        """See `Engine`. The lock waits for every transaction that has used the table."""
        name = self.quote(table)
        session.do(f"LOCK TABLES {name} WRITE")
        try:
            if not session.rows(f"SELECT 1 FROM {name} LIMIT 1"):  # noqa: S608 - quoted
                session.do(f"DROP TABLE {name}")
        finally:
            session.do("UNLOCK TABLES")


def _column(quoted: str, name: str, kind: str, whole: str, extra: str) -> Column:
    """How values of this type are read and written without any loss."""
    read, write = f"CAST({quoted} AS CHAR CHARACTER SET utf8mb4)", "%s"
    match kind:
        case "tinyint" | "smallint" | "mediumint" | "int" | "bigint":
            # A text would be compared as a double, and 2^53 + 1 be found at 2^53.
            write = f"CAST(%s AS {'UNSIGNED' if 'unsigned' in whole else 'SIGNED'})"
        case "decimal":
            write = f"CAST(%s AS {whole.split(maxsplit=1)[0]})"
        case "float":
            # As text, a FLOAT has six digits only.
            read = f"CAST(CAST({quoted} AS DOUBLE) AS CHAR)"
        case "bit":
            read, write = f"CAST({quoted} + 0 AS CHAR)", "CAST(%s AS UNSIGNED)"
        case "timestamp":
            # Local times exist twice in one hour of the year.
            read, write = f"CAST(UNIX_TIMESTAMP({quoted}) AS CHAR)", "FROM_UNIXTIME(%s)"
        case _ if kind in _BYTES:
            read, write = f"HEX({quoted})", "UNHEX(%s)"
    extra = extra.lower()
    computed = "generated" in extra and "default_generated" not in extra
    return Column(name, read, write, computed=computed, automatic="on update" in extra)


def _lock(token: str) -> str:
    """MySQL takes names up to 64 characters; of two that end alike, the digests differ."""
    return token if len(token) <= 64 else f"remediate {sha256(token.encode())[:48]}"


def _said(error: Exception) -> str:
    """The server's own words, with its code."""
    args = error.args
    return f"{args[1]} ({args[0]})" if len(args) > 1 else str(error) or type(error).__name__
