"""Private database servers of this machine, for tests: an unprivileged user, loopback and a Unix socket.

A `conftest.py` imports the fixtures that its folder needs: `mariadb`, `postgres`, `server` (each in turn).
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import JsonValue

from remediate.adapters.databases.endpoint import Endpoint
from remediate.adapters.databases.engine import Engine, Session, engine_named
from remediate.errors import StepFailed
from remediate.model.target import Target

PASSWORD = "s3cret-of-the-test-servers"
#: In which account each of them runs, if the tests run as root.
_ACCOUNTS = {"mariadb": "mysql", "postgres": "postgres"}
_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_LEFT = re.compile(r"^remediate-test-(\d+)-")
_READY_SECONDS = 30.0


class PrivateSecrets:
    """Resolves ``file:PATH``, as the product does."""

    def resolve(self, reference: str) -> str:
        """The content of the file."""
        scheme, _, path = reference.partition(":")
        assert scheme == "file", reference
        return Path(path).read_text().strip()


@dataclass
class DatabaseServer:
    """One server with its data below ``folder``; it can be stopped and started again.

    ``folder`` is the directory of its Unix socket too, whose name is the one that `Endpoint` expects.
    """

    engine: str
    folder: Path
    port: int
    host: str = "127.0.0.1"
    user: str = "remediate"
    options: tuple[str, ...] = ()
    namespace: str = ""
    """The network namespace whose loopback it listens on, instead of this machine's own."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "log"

    @property
    def password_file(self) -> Path:
        """Holds the password; ``file:`` and this path is the reference to it."""
        return self.folder / "password"

    @property
    def driver(self) -> Engine:
        """The engine that speaks to it."""
        return engine_named(self.engine)

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers, with the password."""
        host = str(self.folder) if self.namespace else self.host
        return Endpoint("test", host, self.port, self.user, PASSWORD)

    def variables(self) -> dict[str, JsonValue]:
        """The inventory variables of a target whose server this is."""
        return {
            f"{self.engine}_via": "direct",
            f"{self.engine}_host": self.host,
            f"{self.engine}_port": self.port,
            f"{self.engine}_user": self.user,
            f"{self.engine}_password": f"file:{self.password_file}",
        }

    def target(self, name: str = "db1", more: Mapping[str, JsonValue] | None = None) -> Target:
        """A target whose server this is; ``more`` are further variables, or others."""
        return Target(name=name, address=self.host, vars={**self.variables(), **(more or {})})

    def open(self, database: str = "") -> Session:
        """A session of a person who is not `remediate`."""
        return self.driver.open(self.endpoint, database)

    @contextmanager
    def database(self, *statements: str, name: str = "") -> Iterator[str]:
        """A new database in which these statements were executed; dropped at the end."""
        made = name or f"t{uuid.uuid4().hex[:12]}"
        with self.open() as session:
            self.driver.create(session, made)
        try:
            with self.open(made) as session:
                for statement in statements:
                    session.do(statement)
            yield made
        finally:
            with self.open() as session:
                self.driver.drop(session, made)

    def install(self) -> None:
        """An empty data directory."""
        self.password_file.touch(0o600)
        self.password_file.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(self.folder, _ACCOUNTS[self.engine])
        if self.engine == "mariadb":
            argv = ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--skip-test-db"]
            argv += ["--auth-root-authentication-method=normal", *_SMALL_MARIADB]
        else:
            pwfile = self.folder / "initdb"
            pwfile.write_text(PASSWORD)
            if os.geteuid() == 0:
                shutil.chown(pwfile, _ACCOUNTS["postgres"])
            argv = [
                str(_POSTGRES[-1] / "initdb"),
                "-D",
                str(self.data),
                "-U",
                self.user,
                "-A",
                "scram-sha-256",
            ]
            argv += ["--pwfile", str(pwfile), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            [*self._as_account(), *argv],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start it, and wait until it lets us in."""
        if self.engine == "mariadb":
            argv = ["mariadbd", "--no-defaults", f"--datadir={self.data}"]
            argv += [
                f"--socket={self.endpoint_socket}",
                f"--port={self.port}",
                f"--bind-address={self.host}",
                f"--pid-file={self.folder}/pid",
            ]
            argv += [*_SMALL_MARIADB, f"--init-file={self._grants()}", *self.options]
        else:
            argv = [str(_POSTGRES[-1] / "postgres"), "-D", str(self.data), "-k", str(self.folder)]
            argv += ["-p", str(self.port), "-h", self.host, *_SMALL_POSTGRES, *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._as_account(dies_with_us=True), *argv],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            with suppress(StepFailed):
                # PyMySQL leaves a socket open when it can't connect to one that is not there.
                if not self.namespace or Path(self.endpoint_socket).exists():
                    return self.open().close()
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    @property
    def endpoint_socket(self) -> str:
        """Path of the Unix socket."""
        return f"{self.folder}/.s.PGSQL.{self.port}"

    def stop(self, number: signal.Signals | None = None) -> None:
        """End it: in good order, or by this signal."""
        if self.process is not None:
            # PostgreSQL's "fast" shutdown does not wait for other people's sessions.
            orderly = signal.SIGTERM if self.engine == "mariadb" else signal.SIGINT
            self.process.send_signal(number or orderly)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def _grants(self) -> Path:
        """Statements for each start: the account that the tests use. Root stays without a password."""
        file = self.folder / "grants.sql"
        file.write_text(
            f"CREATE USER IF NOT EXISTS '{self.user}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{self.user}'@'%' WITH GRANT OPTION;\n"
        )
        return file

    def _environment(self) -> dict[str, str]:
        """Its temporary files are its own; the account may not be let into anyone else's."""
        return {"PATH": f"{os.environ['PATH']}:/usr/sbin", "TMPDIR": str(self.folder), "LC_ALL": "C.UTF-8"}

    def _as_account(self, dies_with_us: bool = False) -> list[str]:
        enter = ["ip", "netns", "exec", self.namespace] if self.namespace and dies_with_us else []
        argv = [*enter, "setpriv"]
        if dies_with_us:
            # After a crash of the tests no server may stay. SIGQUIT lets PostgreSQL remove its shared memory.
            argv += ["--pdeathsig", "QUIT" if self.engine == "postgres" else "KILL"]
        if os.geteuid() == 0:
            account = pwd.getpwnam(_ACCOUNTS[self.engine])
            argv += [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        return [*argv, "--"]


_SMALL_MARIADB = (
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=16M",
    "--innodb-flush-log-at-trx-commit=2",
    "--aria-pagecache-buffer-size=8M",
    "--key-buffer-size=1M",
    "--performance-schema=OFF",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    # A real server that has replicas or point-in-time recovery writes one.
    "--log-bin=binlog",
    "--server-id=1",
)
_SMALL_POSTGRES = ("-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=50")


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def private_server(engine: str, *options: str, namespace: str = "") -> Iterator[DatabaseServer]:
    """A server of one's own; nothing stays of it. Folders of killed sessions are removed, too."""
    _remove_left_over()
    # Short, because a path of a Unix socket may have 107 bytes only.
    folder = Path(tempfile.mkdtemp(prefix=f"remediate-test-{os.getpid()}-", dir="/tmp"))
    made = DatabaseServer(engine, folder, free_port(), options=options, namespace=namespace)
    try:
        made.install()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_over() -> None:
    for folder in Path("/tmp").glob("remediate-test-*"):  # noqa: S108
        owner = _LEFT.match(folder.name)
        if owner and not Path("/proc", owner[1]).exists():
            with suppress(OSError):
                shutil.rmtree(folder)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[DatabaseServer]:
    """One MariaDB for all tests; each test makes a database of its own in it."""
    with private_server("mariadb") as made:
        yield made


@pytest.fixture(scope="session")
def postgres() -> Iterator[DatabaseServer]:
    """One PostgreSQL for all tests; each test makes a database of its own in it."""
    with private_server("postgres") as made:
        yield made


@pytest.fixture(params=["mariadb", "postgres"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Each engine in turn."""
    made: DatabaseServer = request.getfixturevalue(request.param)
    return made
