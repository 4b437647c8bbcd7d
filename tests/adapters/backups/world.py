"""A shop that moves money, and the contexts of one run over it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import JsonValue

from remediate.adapters.backups.database import DatabaseBackup
from remediate.adapters.backups.manifest import Manifest, read, vault_of
from remediate.adapters.clients import ClientPool
from remediate.adapters.databases.engine import MARKS, Measure
from remediate.errors import RemediateError
from remediate.model.base import canonical
from remediate.model.step import Context, Result, Token
from tests.adapters.databases.servers import DatabaseServer, PrivateSecrets

ACCOUNTS = 40
START = 1000
SUM = "SELECT SUM(balance) FROM account"
#: A value that looks like a part of a dump, and a chain of foreign keys.
SHOP = (
    "CREATE TABLE account (id integer PRIMARY KEY, balance integer NOT NULL, note varchar(200))",
    "INSERT INTO account (id, balance) VALUES " + ", ".join(f"({n}, {START})" for n in range(ACCOUNTS)),  # noqa: S608
    "UPDATE account SET note = '\n-- Table structure for table `payment`\nDROP TABLE account;' WHERE id = 0",
    "CREATE TABLE payment (id integer PRIMARY KEY, account integer REFERENCES account (id), memo varchar(9))",
    "INSERT INTO payment VALUES (1, 1, 'first'), (2, NULL, 'it''s')",
    "CREATE INDEX by_memo ON payment (memo)",
    "CREATE VIEW rich AS SELECT id FROM account WHERE balance > 0",
)


@dataclass
class World:
    """One database of a server as the target of one run."""

    server: DatabaseServer
    database: str
    pool: ClientPool
    folder: Path
    variables: dict[str, JsonValue] = field(default_factory=dict)

    def step(self, **fields: object) -> DatabaseBackup:
        """The backup of the whole database."""
        own: dict[str, object] = {"engine": self.server.engine, "database": self.database}
        return DatabaseBackup.model_validate(own | fields)

    def context(
        self, data: Mapping[str, JsonValue] | None = None, step: str = "s01-backup", timeout: float = 60.0
    ) -> Context:
        """Of the one attempt."""
        workspace = self.folder / "workspace"
        workspace.mkdir(mode=0o700, exist_ok=True)
        return Context(
            target=self.server.target().model_copy(
                update={"vars": {**self.server.variables(), **self.variables}}
            ),
            token=Token(f"run-{self.database}", step, 1),
            clients=self.pool,
            secrets=PrivateSecrets(),
            artefacts=self.folder,
            workspace=workspace,
            timeout=timeout,
            data=data or {},
        )

    def backed_up(self, **fields: object) -> Result:
        """Made and confirmed."""
        step = self.step(**fields)
        done = step.apply(self.context())
        assert all(check.ok for check in step.confirm(self.context(done.data)))
        return done

    def undo(self, done: Result, *, overwrite: bool = False) -> Result:
        """By a later context, with its own token."""
        context = self.context(done.data, step="s01-backup-undo")
        return self.step().undo(replace(context, overwrite=overwrite))

    @property
    def dump(self) -> Path:
        """The stored file."""
        (found,) = vault_of(self.context()).folder.glob("dump.*")
        return found

    def manifest(self, done: Result) -> Manifest:
        """What was written down."""
        return read(vault_of(self.context()), str(done.data["manifest"]))

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Of a query by somebody else."""
        with self.server.open(self.database) as session:
            return session.rows(sql)

    def do(self, *statements: str) -> None:
        """Somebody else changes something."""
        with self.server.open(self.database) as session:
            for sql in statements:
                session.do(sql)

    def measure(self, *tables: str) -> dict[str, Measure]:
        """What they hold now."""
        with self.server.open(self.database) as session:
            return self.server.driver.measure(session, tables)

    def schema(self) -> dict[str, str]:
        """All definitions."""
        with self.server.open(self.database) as session:
            return self.server.driver.schema(session)

    def mark(self, *tables: str) -> None:
        """Note, as a step of this run does after its change, what the tables hold now."""
        held = {n: {"rows": m.rows, "checksum": m.checksum} for n, m in self.measure(*tables).items()}
        with self.server.open(self.database) as session:
            session.do(
                f"CREATE TABLE {MARKS} (run varchar(128), step varchar(128), attempt integer, part integer, "
                "state varchar(16), at timestamp DEFAULT CURRENT_TIMESTAMP, tables text, note text)"
            )
            session.do(
                f"INSERT INTO {MARKS} (run, step, attempt, part, state, tables, note) "  # noqa: S608
                "VALUES (%s, 's02', 1, 1, 'done', %s, '')",
                (self.context().token.run, canonical(held).decode()),
            )

    @contextmanager
    def moving_money(self, threads: int = 2) -> Iterator[list[int]]:
        """Transactions between accounts; their sum never changes. Yields how many each has committed."""
        stop = threading.Event()
        moved = [0] * threads
        failures: list[str] = []

        def move(number: int) -> None:
            try:
                with self.server.open(self.database) as session:
                    while not stop.is_set():
                        # Each thread has accounts of its own, so that none waits for another.
                        first = number + threads * (moved[number] % (ACCOUNTS // threads))
                        second = number + threads * ((moved[number] * 7 + 1) % (ACCOUNTS // threads))
                        session.begin()
                        session.do("UPDATE account SET balance = balance - 1 WHERE id = %s", (first,))
                        session.do("UPDATE account SET balance = balance + 1 WHERE id = %s", (second,))
                        session.commit()
                        moved[number] += 1
            except RemediateError as error:
                failures.append(error.problem)

        workers = [threading.Thread(target=move, args=(n,)) for n in range(threads)]
        for worker in workers:
            worker.start()
        try:
            yield moved
        finally:
            stop.set()
            for worker in workers:
                worker.join()
        assert not failures
