"""What does a backup cost that was dumped, stored, restored and compared?

The peer does what scripts do: `mariadb-dump | zstd`, then `zstd -d | mariadb` into the same kind of server.
It compares nothing. Both start that server anew. Asked: at most 1.15 times the peer's time, and less than
200 MB of memory of our own.

Run: ``python -m bench.dump [megabytes] [rounds]``; needs mariadb-server and zstd on this machine.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from bench.measure import Verdicts, interleaved, machine, medians
from remediate.adapters.backups.database import DatabaseBackup
from remediate.adapters.clients import ClientPool
from remediate.adapters.databases.dumps.interface import Dumper, dumper_named
from remediate.adapters.databases.dumps.scratch import scratch_server
from remediate.adapters.databases.endpoint import Endpoint
from remediate.model.step import Context, Result, Token
from remediate.model.target import Target

DATABASE = "shop"
TABLES = 4
ROW_BYTES = 260
DUMP = """
    mariadb-dump --no-defaults --single-transaction --quick --routines --events --triggers --hex-blob
    --skip-dump-date --user=root
""".split()


class NoSecrets:
    """The server is private, and asks for none."""

    def resolve(self, reference: str) -> str:
        """Nothing is known."""
        raise AssertionError(reference)


def fill(dumper: Dumper, place: Endpoint, megabytes: int) -> None:
    """Tables with keys, numbers, times and texts that compress about as well as real ones."""
    rows = megabytes * 1_000_000 // TABLES // ROW_BYTES
    with dumper.engine.open(place, "") as session:
        session.do(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
    with dumper.engine.open(place, DATABASE) as session:
        for number in range(TABLES):
            session.do(
                f"CREATE TABLE t{number} (id bigint PRIMARY KEY, at datetime, amount decimal(12,2), "
                "name varchar(80), note varchar(250), KEY by_at (at))"
            )
            session.do(
                f"INSERT INTO t{number} SELECT seq, '2020-01-01' + INTERVAL seq SECOND, seq % 99991 / 100, "  # noqa: S608
                "CONCAT('customer ', MD5(seq)), CONCAT(SHA1(seq), REPEAT(' lorem ipsum', 9), SHA1(-seq)) "
                f"FROM seq_1_to_{rows}"
            )


def ours(place: Endpoint) -> float:
    """Seconds of the step."""
    variables: Mapping[str, JsonValue] = {
        "mariadb_via": "direct",
        "mariadb_host": place.host,
        "mariadb_port": place.port,
        "mariadb_user": place.user,
    }
    began = time.perf_counter()
    with ClientPool() as clients, tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        context = Context(
            target=Target(name="db1", address="127.0.0.1", vars=dict(variables)),
            token=Token("bench", "s01-database-backup", 1),
            clients=clients,
            secrets=NoSecrets(),
            artefacts=Path(folder),
            workspace=Path(folder),
            timeout=3600.0,
        )
        done: Result = DatabaseBackup(engine="mariadb", database=DATABASE).apply(context)
        took = time.perf_counter() - began
    print(f"  {done.summary}", flush=True)
    return took


def peer(dumper: Dumper, place: Endpoint) -> float:
    """Seconds of two pipes."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        file = Path(folder) / "dump.zst"
        with file.open("wb") as output:
            pipe([*DUMP, f"--socket={place.socket}", DATABASE], ["zstd", "-q", "-3", "-c"], output.fileno())
        with scratch_server(dumper.recipe, "bench.peer.1") as copy:
            with dumper.engine.open(copy, "") as session:
                session.do(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
            client = ["mariadb", "--no-defaults", "--user=root", f"--socket={copy.socket}", DATABASE]
            pipe(["zstd", "-q", "-d", "-c", str(file)], client, None)
            took = time.perf_counter() - began
    return took


def pipe(first: list[str], second: list[str], output: int | None) -> None:
    """One program into the other."""
    with subprocess.Popen(first, stdout=subprocess.PIPE) as source:
        subprocess.run(second, stdin=source.stdout, stdout=output, check=True)
    if source.returncode:
        raise SystemExit(f"{first[0]} ended with {source.returncode}")


def main() -> None:
    """Print the figures."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    dumper = dumper_named("mariadb")
    with scratch_server(dumper.recipe, "bench.source.1") as place:
        fill(dumper, place, megabytes)
        print(f"{machine()}; {megabytes} MB in {TABLES} tables")
        figures = interleaved(rounds, {"step": lambda: ours(place), "pipes": lambda: peer(dumper, place)})
    found = medians(figures)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    verdicts = Verdicts()
    verdicts.at_most("backup, restore and comparison against two pipes", found["step"] / found["pipes"], 1.15)
    verdicts.at_most("memory of our own", memory, 200, "MB")
    verdicts.end()


if __name__ == "__main__":
    main()
