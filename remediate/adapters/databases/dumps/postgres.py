"""PostgreSQL's dump: a session exports its snapshot, and pg_dump sees the same; pg_restore loads it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from remediate.adapters.databases.dumps.contents import entries_of
from remediate.adapters.databases.dumps.interface import Dumper, Job, Loader, Snapshot
from remediate.adapters.databases.dumps.program import SYSTEM_CA, Command, Program, Satisfied, version
from remediate.adapters.databases.dumps.scratch import Recipe
from remediate.adapters.databases.endpoint import Endpoint
from remediate.adapters.databases.engine import MARKS, Session
from remediate.adapters.databases.postgres import Postgres
from remediate.errors import StepFailed

_DUMP = "--format=custom --compress=0 --no-password --lock-wait-timeout=30s".split()
_LOAD = "--exit-on-error --no-password".split()
_PROGRAMS = Path("/usr/lib/postgresql")
_MAGIC = b"PGDMP"
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "maintenance_work_mem": "256MB",
    "autovacuum": "off",
}


class PostgresDumper(Dumper):
    """PostgreSQL."""

    suffix = "pgdump"

    def __init__(self) -> None:
        self.engine: Postgres = Postgres()

    @contextmanager
    def snapshot(
        self, endpoint: Endpoint, database: str, tables: Sequence[str] | None, job: Job
    ) -> Iterator[Snapshot]:
        """See `Dumper`. Nobody has to wait, except those who would alter a table."""
        with self.engine.open(endpoint, database, job.token) as view:
            view.do("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            ((name,),) = view.rows("SELECT pg_export_snapshot()")
            chosen = [f"--table={self.engine.quote(table)}" for table in tables or ()]
            argv = (_program("pg_dump"), *_DUMP, f"--snapshot={name}", f"--exclude-table=*.{MARKS}", *chosen)
            with Program(_client(argv, endpoint, database, job), job.token, job.left) as program:
                # The snapshot lives as long as its session; pg_dump has locked all tables by itself.
                yield Snapshot(view, _headed(program.output()), lambda: None)

    @contextmanager
    def loading(self, endpoint: Endpoint, database: str, job: Job) -> Iterator[Loader]:
        """See `Dumper`."""
        argv = (_program("pg_restore"), *_LOAD, "--no-owner", "--no-privileges", f"--dbname={database}")
        with Program(_client(argv, endpoint, database, job), job.token, job.left) as program:
            yield program

    def replace(
        self,
        endpoint: Endpoint,
        database: str,
        tables: Sequence[str],
        parts: Mapping[str, Sequence[int]],
        pour: Callable[[Callable[[bytes], object]], None],
        job: Job,
    ) -> None:
        """See `Dumper`. All in one transaction: others see the old tables or the new ones."""
        chosen = entries_of(_listing(pour, job), {n for table in tables for n in parts[table]})
        with tempfile.NamedTemporaryFile("w", prefix="remediate-", suffix=".list") as file:
            file.write("".join(f"{line}\n" for line in chosen))
            file.flush()
            argv = (_program("pg_restore"), *_LOAD, "--single-transaction", "--clean", "--if-exists")
            argv = (*argv, f"--use-list={file.name}", f"--dbname={database}")
            with Program(_client(argv, endpoint, database, job), job.token, job.left) as program:
                pour(program.write)
                program.finish()

    def owners(self, session: Session) -> dict[str, str]:
        """See `Dumper`."""
        return {str(name): str(table) for name, table in session.rows(_OWNERS)}

    def users(self, session: Session) -> list[str]:
        """See `Dumper`. Policies name roles, and are not dumped without them."""
        found = session.rows("SELECT rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' ORDER BY 1")
        return [str(name) for (name,) in found]

    def admit(self, session: Session, users: Sequence[str]) -> None:
        """See `Dumper`."""
        for user in users:
            if not session.rows("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)):
                session.do(f"CREATE ROLE {self.engine.quote_one(user)} NOLOGIN")

    def attributes(self, session: Session) -> dict[str, str]:
        """See `Dumper`."""
        ((encoding, collation),) = session.rows(
            "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database "
            "WHERE datname = current_database()"
        )
        return {"encoding": str(encoding), "collation": str(collation)}

    def create(self, session: Session, database: str, attributes: Mapping[str, str]) -> None:
        """See `Dumper`. Where its collation is unknown it gets C, which is everywhere."""
        start = f"CREATE DATABASE {self.engine.quote(database)} TEMPLATE template0 ENCODING "
        encoding, collation = (_literal(attributes[key]) for key in ("encoding", "collation"))
        known = session.rows("SELECT 1 FROM pg_collation WHERE collcollate = %s", (attributes["collation"],))
        locale = collation if known else "'C'"
        session.do(f"{start}{encoding} LC_COLLATE {locale} LC_CTYPE {locale}")

    def exists(self, session: Session, database: str) -> bool:
        """See `Dumper`."""
        return bool(session.rows("SELECT 1 FROM pg_database WHERE datname = %s", (database,)))

    def versions(self, session: Session) -> dict[str, str]:
        """See `Dumper`."""
        ((server,),) = session.rows("SHOW server_version")
        return {"server": str(server), "pg_dump": version(_program("pg_dump"))}

    @property
    def recipe(self) -> Recipe:
        """See `Dumper`."""
        return Recipe(self.engine, ("postgres", "nobody"), "postgres", _install, _serve)

    def parts(self, session: Session) -> dict[str, list[int]]:
        """See `Dumper`."""
        found = session.rows(_PARTS)
        parts: dict[str, list[int]] = {}
        for schema, table, number in found:
            name = table if schema == "public" else f"{schema}.{table}"
            parts.setdefault(name, []).append(int(number))
        return parts


#: Numbers of a table, its indexes, constraints (those of others that refer to it, too), triggers, rules,
#: policies, defaults, statistics, own sequences, and of the views that stand on it.
_PARTS = """
WITH RECURSIVE direct AS (
    SELECT d.refobjid AS below, r.ev_class AS above FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
        AND r.ev_class <> d.refobjid),
views AS (SELECT below, above FROM direct
    UNION SELECT v.below, d.above FROM views v JOIN direct d ON d.below = v.above),
ours AS (
    SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema')
SELECT nspname, relname, part FROM ours JOIN (
    SELECT oid, oid AS part FROM ours
    UNION SELECT indrelid, indexrelid FROM pg_index
    UNION SELECT conrelid, oid FROM pg_constraint
    UNION SELECT confrelid, oid FROM pg_constraint
    UNION SELECT tgrelid, oid FROM pg_trigger WHERE NOT tgisinternal
    UNION SELECT ev_class, oid FROM pg_rewrite
    UNION SELECT polrelid, oid FROM pg_policy
    UNION SELECT adrelid, oid FROM pg_attrdef
    UNION SELECT stxrelid, oid FROM pg_statistic_ext
    UNION SELECT below, above FROM views
    UNION SELECT refobjid, objid FROM pg_depend WHERE classid = 'pg_class'::regclass
        AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
) AS all_parts USING (oid) ORDER BY 1, 2, 3
"""


_OWNERS = """
WITH names AS (
    SELECT c.oid, CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace)
SELECT 'index ' || i.name, t.name FROM pg_index x
    JOIN names i ON i.oid = x.indexrelid JOIN names t ON t.oid = x.indrelid
UNION SELECT 'constraint ' || k.conname || ' on ' || k.conrelid::regclass, t.name
    FROM pg_constraint k JOIN names t ON t.oid = k.conrelid
UNION SELECT 'trigger ' || g.tgname || ' on ' || g.tgrelid::regclass, t.name
    FROM pg_trigger g JOIN names t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal
"""


def _client(argv: Sequence[str], endpoint: Endpoint, database: str, job: Job) -> Command:
    """The command with its connection in variables, and the password in a file that is nowhere on a disk."""
    env = {
        "PGHOST": endpoint.host,
        "PGPORT": str(endpoint.port),
        "PGUSER": endpoint.user,
        "PGDATABASE": database,
        "PGAPPNAME": job.token[-63:] or "remediate",
        "PGCONNECT_TIMEOUT": "10",
        "PGSSLMODE": "disable",
        "PGPASSFILE": "{file:password}",
    }
    if not endpoint.trusted:
        env |= {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(endpoint.ca_file or SYSTEM_CA)}
    return Command(tuple(argv), env, {"password": _password(endpoint.password)})


def _password(value: str) -> str:
    if "\n" in value:
        raise StepFailed("a password with a line break can't be given to PostgreSQL's programs")
    escaped = value.replace("\\", "\\\\").replace(":", "\\:")
    return f"*:*:*:*:{escaped}\n"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _headed(output: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces; whether the format is whole to its end is shown by loading it."""
    first = next(output, b"")
    if not first.startswith(_MAGIC):
        raise StepFailed("pg_dump wrote something that is no dump")
    yield first
    yield from output


def _listing(pour: Callable[[Callable[[bytes], object]], None], job: Job) -> str:
    """The dump's table of contents. It stands at the beginning, so the rest is never read."""
    with tempfile.NamedTemporaryFile(prefix="remediate-", suffix=".list") as file:
        command = Command((_program("pg_restore"), "--list", f"--file={file.name}"))
        with Program(command, job.token, job.left) as program:
            with suppress(Satisfied):
                pour(program.write)
            program.finish()
        return Path(file.name).read_text(encoding="utf-8")


def _program(name: str) -> str:
    """The newest of its name, which talks to older servers too: Debian keeps them apart, off the path."""
    found = sorted(_PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else name


def _install(folder: Path) -> list[str]:
    options = "--no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C".split()
    return [_program("initdb"), *options, f"--pgdata={folder / 'data'}"]


def _serve(folder: Path) -> list[str]:
    settings = {**_SETTINGS, "unix_socket_directories": str(folder)}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [_program("postgres"), "-D", str(folder / "data"), *options]
