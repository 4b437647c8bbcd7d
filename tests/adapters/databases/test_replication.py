"""ReplicationLag over a real primary and a real replica of each engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.adapters.databases.replication import ReplicationLag
from remediate.model.step import CheckResult
from tests.adapters.databases.servers import PASSWORD, DatabaseServer, free_port, private_server
from tests.adapters.databases.world import World

pytestmark = pytest.mark.lab


def lag(server: DatabaseServer, **fields: object) -> CheckResult:
    """What the check says of this server, asked once."""
    with ClientPool() as pool:
        return ReplicationLag(engine=server.engine, **fields).run(
            World(server, "", pool, server.folder).context()
        )


def until(ask: Callable[[], CheckResult], meets: Callable[[CheckResult], bool]) -> CheckResult:
    """The first answer that meets this; replication takes a moment to begin, and to be missed."""
    deadline = time.monotonic() + 20
    while not meets(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


@contextmanager
def postgres_replica(primary: DatabaseServer) -> Iterator[DatabaseServer]:
    """A copy of the primary that streams from it."""
    folder = Path(tempfile.mkdtemp(prefix=f"remediate-test-{os.getpid()}-", dir="/tmp"))
    replica = DatabaseServer("postgres", folder, free_port())
    try:
        replica.password_file.touch(0o600)
        replica.password_file.write_text(PASSWORD)
        shutil.chown(folder, "postgres")
        words = ["pg_basebackup", "-h", primary.host, "-p", str(primary.port), "-U", primary.user]
        words += ["-D", str(replica.data), "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"]
        subprocess.run(
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", *words],
            env={"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD, "LC_ALL": "C.UTF-8"},
            cwd=folder,
            check=True,
            capture_output=True,
        )
        replica.start()
        yield replica
    finally:
        replica.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_replica_of_postgres(postgres: DatabaseServer) -> None:
    with postgres_replica(postgres) as replica:
        until(lambda: lag(replica, at_most=5), lambda r: r.ok)
        assert lag(postgres, at_most=5).ok
        assert not lag(postgres, at_most=5, at_least=2).ok, "one stream is not two"
        with replica.open() as other:
            other.rows("SELECT pg_wal_replay_pause()")
        # Nothing was replayed since it began, so there is no time to tell; that is not the same as no lag.
        with postgres.database():
            unknown = until(lambda: lag(replica, at_most=0.5), lambda r: not r.ok)
        assert "lag not known" in unknown.actual
        with replica.open() as other:
            other.rows("SELECT pg_wal_replay_resume()")
        until(lambda: lag(replica, at_most=5), lambda r: r.ok)
        with replica.open() as other:
            other.rows("SELECT pg_wal_replay_pause()")
        with postgres.database("CREATE TABLE t (n integer)"):
            late = until(lambda: lag(replica, at_most=0.5), lambda r: not r.ok)
        assert "s behind" in late.actual
    until(lambda: lag(postgres), lambda r: r.actual == "no replica")


def test_a_replica_of_mariadb(mariadb: DatabaseServer) -> None:
    with mariadb.open() as primary:
        ((file, position, *_),) = primary.rows("SHOW MASTER STATUS")
    with private_server("mariadb", "--server-id=2") as replica, replica.open() as session:
        session.do(
            "CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %s, MASTER_USER = %s, "
            "MASTER_PASSWORD = %s, MASTER_LOG_FILE = %s, MASTER_LOG_POS = %s, MASTER_CONNECT_RETRY = 1",
            (mariadb.host, mariadb.port, mariadb.user, PASSWORD, file, position),
        )
        assert not lag(replica).ok, "it was never started"
        session.do("START SLAVE")
        assert "0.0 s behind" in until(lambda: lag(replica, at_most=5), lambda r: r.ok).actual
        session.do("STOP SLAVE SQL_THREAD")
        stopped = until(lambda: lag(replica, at_most=5), lambda r: not r.ok)
        assert "behind" not in stopped.actual, "how far it is behind, nobody knows"
        session.do("STOP SLAVE")
        session.do("RESET SLAVE ALL")
    assert lag(mariadb).actual == "no replica", "a primary does not know its replicas"
