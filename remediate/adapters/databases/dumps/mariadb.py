"""MariaDB's dump: a session and mariadb-dump that both see the same instant, and mariadb to load it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from remediate.adapters.databases.dumps.interface import Dumper, Job, Loader, Snapshot
from remediate.adapters.databases.dumps.program import SYSTEM_CA, Command, Program, version
from remediate.adapters.databases.dumps.scratch import Recipe
from remediate.adapters.databases.dumps.sections import TableSections
from remediate.adapters.databases.endpoint import Endpoint
from remediate.adapters.databases.engine import MARKS, Session
from remediate.adapters.databases.mariadb import MariaDB
from remediate.errors import InDoubt, StepFailed

#: How long all writers of the server may have to wait: first until running statements let the lock through,
#: then until the dump has begun. The server itself ends the second, whatever becomes of this process.
LOCK_SECONDS = 5
#: How long the session that measures waits for somebody who alters a table.
WAIT_SECONDS = 30
_DUMP = """
    mariadb-dump {options} --single-transaction --quick --routines --events --triggers --hex-blob
    --skip-dump-date --default-character-set=utf8mb4 --max-allowed-packet=1G
""".split()
#: In front of the first table or view; by then the dump's transaction has begun.
_FIRST = b"able structure for "
_END = b"-- Dump completed"
#: The first line of newer dumps; older clients take it for an unknown command, and ``--binary-mode`` of all
#: clients already forbids what it forbids.
_SANDBOX = b"/*M!999999\\- enable the sandbox mode */"
_OPTIONS = """
    --no-defaults --skip-networking --skip-log-bin --event-scheduler=OFF --local-infile=0 --skip-name-resolve
    --max-allowed-packet=1G --innodb-buffer-pool-size=256M --innodb-log-file-size=256M --innodb-doublewrite=0
    --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --loose-debug-no-sync --log-warnings=1
""".split()
_INSTALL = "--no-defaults --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve".split()


class MariaDumper(Dumper):
    """MariaDB and MySQL."""

    suffix = "sql"

    def __init__(self) -> None:
        self.engine: MariaDB = MariaDB()

    @contextmanager
    def snapshot(
        self, endpoint: Endpoint, database: str, tables: Sequence[str] | None, job: Job
    ) -> Iterator[Snapshot]:
        """See `Dumper`. All writers wait until the dump has begun too, `LOCK_SECONDS` at most."""
        open_ = self.engine.open
        with open_(endpoint, database) as locking, open_(endpoint, database, job.token) as view:
            _refuse_without_transactions(view)
            ((binlog,),) = view.rows("SELECT @@log_bin")
            argv = [*_DUMP, "--master-data=2"] if binlog else _DUMP
            argv = [*argv, f"--ignore-table={database}.{MARKS}", database, *(tables or ())]
            view.do("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            view.do(f"SET SESSION lock_wait_timeout = {WAIT_SECONDS}")
            locking.do(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}, wait_timeout = {LOCK_SECONDS}")
            _lock(locking)
            view.do("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            with Program(_client(argv, endpoint), job.token, job.left) as program:
                begun = _until_begun(program.output())
                _unlock(locking)
                # Otherwise an ALTER would wait for this session, the dump behind it for the ALTER, and this
                # session for the dump, until the step's time is over (seen with 10.11).
                yield Snapshot(view, _whole(begun), view.rollback)

    @contextmanager
    def loading(self, endpoint: Endpoint, database: str, job: Job) -> Iterator[Loader]:
        """See `Dumper`."""
        argv = ["mariadb", "{options}", "--batch", "--binary-mode", "--max-allowed-packet=1G", database]
        with Program(_client(argv, endpoint), job.token, job.left) as program:
            yield _WithoutSandbox(program)

    def replace(
        self,
        endpoint: Endpoint,
        database: str,
        tables: Sequence[str],
        parts: Mapping[str, Sequence[int]],  # noqa: ARG002 - a dump's sections are found by their names
        pour: Callable[[Callable[[bytes], object]], None],
        job: Job,
    ) -> None:
        """See `Dumper`. Not in a transaction: each table is dropped and made again while no key is checked,
        so that the foreign keys of others find it by its name. A table put in its place by RENAME would leave
        them with the old one (seen with 10.11)."""
        with self.loading(endpoint, database, job) as program:
            sections = TableSections(set(tables), program.write)
            pour(sections.write)
            sections.finish()
            program.finish()

    def owners(self, session: Session) -> dict[str, str]:
        """See `Dumper`. Indexes and constraints are parts of a table's definition here."""
        found = session.rows(
            "SELECT trigger_name, event_object_table FROM information_schema.triggers "
            "WHERE trigger_schema = DATABASE()"
        )
        return {f"trigger {name}": str(table) for name, table in found}

    def users(self, session: Session) -> list[str]:
        """See `Dumper`."""
        places = {
            "views": "table_schema",
            "triggers": "trigger_schema",
            "routines": "routine_schema",
            "events": "event_schema",
        }
        queries = [
            f"SELECT definer FROM information_schema.{what} WHERE {schema} = DATABASE()"  # noqa: S608
            for what, schema in places.items()
        ]
        return sorted(str(name) for (name,) in session.rows(" UNION ".join(queries)))

    def admit(self, session: Session, users: Sequence[str]) -> None:
        """See `Dumper`."""
        for user in users:
            name, _, host = user.rpartition("@")
            session.do("CREATE USER IF NOT EXISTS %s@%s ACCOUNT LOCK", (name, host))
            session.do("GRANT ALL PRIVILEGES ON *.* TO %s@%s", (name, host))

    def attributes(self, session: Session) -> dict[str, str]:
        """See `Dumper`."""
        ((charset, collation),) = session.rows("SELECT @@character_set_database, @@collation_database")
        return {"charset": str(charset), "collation": str(collation)}

    def create(self, session: Session, database: str, attributes: Mapping[str, str]) -> None:
        """See `Dumper`."""
        words = {key: attributes[key] for key in ("charset", "collation")}
        if not all(word.replace("_", "").isalnum() for word in words.values()):
            raise StepFailed(f"no character set: {words}")
        session.do(
            f"CREATE DATABASE {self.engine.quote(database)} "
            f"CHARACTER SET {words['charset']} COLLATE {words['collation']}"
        )

    def exists(self, session: Session, database: str) -> bool:
        """See `Dumper`."""
        return bool(
            session.rows("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (database,))
        )

    def versions(self, session: Session) -> dict[str, str]:
        """See `Dumper`."""
        ((server,),) = session.rows("SELECT VERSION()")
        return {"server": str(server), "mariadb-dump": version("mariadb-dump")}

    def parts(self, session: Session) -> dict[str, list[int]]:  # noqa: ARG002
        """See `Dumper`."""
        return {}

    @property
    def recipe(self) -> Recipe:
        """See `Dumper`."""
        return Recipe(self.engine, ("mysql", "nobody"), "root", _install, _serve)


class _WithoutSandbox:
    """A loader that is not shown the comment of the first line."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._head: bytes | None = b""

    def write(self, data: bytes) -> int:
        """See `Loader`."""
        if self._head is None:
            return self._loader.write(data)
        self._head += data
        if len(self._head) >= len(_SANDBOX):
            self._flush()
        return len(data)

    def finish(self) -> str:
        """See `Loader`."""
        self._flush()
        return self._loader.finish()

    def _flush(self) -> None:
        if self._head is not None:
            head, self._head = self._head.removeprefix(_SANDBOX), None
            self._loader.write(head)


def _client(argv: Sequence[str], endpoint: Endpoint) -> Command:
    """The command with its options in a file that is nowhere on a disk."""
    lines = [("user", endpoint.user), ("password", endpoint.password)]
    if endpoint.local:
        lines += [("socket", endpoint.socket)]
    else:
        lines += [("host", endpoint.host), ("port", str(endpoint.port)), ("protocol", "tcp")]
    if not endpoint.trusted:
        # Without this the clients would believe any certificate.
        lines += [("ssl-ca", str(endpoint.ca_file or SYSTEM_CA)), ("ssl-verify-server-cert", "1")]
    text = "".join(f"{name}={_quoted(value)}\n" for name, value in lines)
    named = tuple("--defaults-file={file:options}" if word == "{options}" else word for word in argv)
    return Command(named, files={"options": f"[client]\n{text}"})


def _quoted(value: str) -> str:
    """As the clients' option files want it."""
    if "\n" in value or "\0" in value:
        raise StepFailed("a password with a line break can't be given to MariaDB's programs")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _refuse_without_transactions(session: Session) -> None:
    found = session.rows(
        "SELECT t.table_name, t.engine FROM information_schema.tables t "
        "LEFT JOIN information_schema.engines e ON e.engine = t.engine "
        "WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' "
        "AND t.table_name <> %s AND COALESCE(e.transactions, 'NO') <> 'YES' ORDER BY 1",
        (MARKS,),
    )
    if found:
        names = ", ".join(f"{name} ({engine})" for name, engine in found)
        raise StepFailed(
            f"no transactions: {names}; such tables can't be seen at one instant while others write",
            "convert them to InnoDB, or protect the step by a snapshot of the machine",
        )


def _lock(session: Session) -> None:
    try:
        session.do("FLUSH TABLES WITH READ LOCK")
    except StepFailed as error:
        raise StepFailed(
            f"no moment without writes: {error.problem}",
            "give the user the privilege RELOAD; choose a time without statements that run for long",
        ) from None


def _unlock(session: Session) -> None:
    """If the server still knows the session, then the lock was held until now."""
    try:
        session.do("UNLOCK TABLES")
    except InDoubt:
        raise StepFailed(
            f"the dump did not begin within {LOCK_SECONDS} s, so the server let the writers go on",
            "try again when the server is less busy",
        ) from None


def _until_begun(output: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, once the first table's definition is among them (or the dump is over)."""
    head = bytearray()
    for piece in output:
        head += piece
        if _FIRST in head:
            break
    return chain((bytes(head),), output)


def _whole(output: Iterator[bytes]) -> Iterator[bytes]:
    tail = b""
    for piece in output:
        tail = (tail + piece)[-64:]
        yield piece
    if not tail.rstrip().endswith(_END):
        raise StepFailed(f"mariadb-dump's output does not end with {_END.decode()!r}: it is not whole")


def _install(folder: Path) -> list[str]:
    places = [f"--datadir={folder / 'data'}", f"--tmpdir={folder / 'tmp'}"]
    return ["mariadb-install-db", *_INSTALL, *places, "--innodb-flush-method=nosync"]


def _serve(folder: Path) -> list[str]:
    places = {
        "datadir": folder / "data",
        "tmpdir": folder / "tmp",
        # No statement of a dump reads or writes files elsewhere.
        "secure-file-priv": folder / "tmp",
        "socket": folder / ".s.PGSQL.5432",
        "pid-file": folder / "pid",
    }
    return ["mariadbd", *_OPTIONS, *(f"--{name}={path}" for name, path in places.items())]
