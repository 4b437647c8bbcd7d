"""How many durable step outcomes per second the engine sustains, and how large a plan may be.

The engine drives simulated targets (no network) through the real journal file with its hash chain, leases
and fsync; the peer appends rows of the same size to the same disk, one transaction each and 64 at a time.
Plans are compiled over step types that read nothing.
Run: ``python -m bench.engine [targets] [rounds]``
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import Verdicts, machine
from bench.planning import measure
from remediate.engine.fold import replay
from remediate.engine.runner import QueueInbox, Runner, ThreadPool
from remediate.errors import Exit
from remediate.journal.holder import this_process
from remediate.journal.sqlite import SqliteJournal
from remediate.journal.writer import Writer
from remediate.model.event import Outcome, RunStarted
from tests.engine.sim import World, compare, make_plan

CHANGES = 5  # and a backup: six steps
RATE = 2000.0
SECONDS = 5.0
GROWTH = 1.1
LEFT_MB = 1.0


def engine(folder: Path, targets: int) -> float:
    """Outcomes per second of one run over simulated targets, each with its intent and its verification."""
    plan = make_plan(targets=targets, changes=CHANGES, wave=max(1, targets // 4))
    assert plan.digest
    journal = SqliteJournal(folder / "journal.db")
    inbox, pool = QueueInbox(), ThreadPool(64)
    lease = journal.acquire("r-1", plan.by_name, this_process(), time.time(), 60)
    writer = Writer(journal, lease, time.time, inbox.put, 0)
    started = RunStarted(
        plan=plan.digest, plan_id=plan.id, ticket="T", runbook="sim", runner="x", tool_version="0",
        targets=targets, steps=len(plan.steps),
    )  # fmt: skip
    began = time.perf_counter()
    writer.record(started)
    world = World(plan, time.time)  # type: ignore[arg-type]
    runner = Runner(plan, replay(plan, []), world, writer, inbox, pool, time.time, compare)
    assert runner.run() is Exit.VERIFIED_NEW
    took = time.perf_counter() - began
    pool.close()
    writer.close()
    outcomes = sum(isinstance(e.body, Outcome) for e in journal.events("r-1"))
    assert journal.audit() == []
    assert outcomes == targets * (CHANGES + 1)
    return outcomes / took


def plain(folder: Path, rows: int, batch: int) -> float:
    """Rows per second that SQLite alone makes durable (WAL, synchronous=FULL), ``batch`` a transaction."""
    db = sqlite3.connect(folder / f"plain{batch}.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    body = "x" * 500
    began = time.perf_counter()
    for first in range(0, rows, batch):
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO t (body) VALUES (?)", [(body,)] * min(batch, rows - first))
        db.execute("COMMIT")
    return rows / (time.perf_counter() - began)


def rates(targets: int, rounds: int) -> dict[str, float]:
    """Medians per second, measured in turn."""
    found: dict[str, list[float]] = {"engine": [], "one by one": [], "64 at a time": []}
    for number in range(1, rounds + 1):
        # Not below /tmp, which may be memory.
        with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
            folder = Path(name)
            found["engine"].append(engine(folder, targets))
            found["one by one"].append(plain(folder, 3000, 1))
            found["64 at a time"].append(plain(folder, 30000, 64))
        print(f"round {number}: " + ", ".join(f"{k} {v[-1]:,.0f}/s" for k, v in found.items()), flush=True)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    """Print the figures."""
    targets = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    found = rates(targets, rounds)
    plan, twice = measure(targets), measure(2 * targets)
    print(f"{machine()}; {targets} targets x {CHANGES + 1} steps")
    print(f"engine: {found['engine']:,.0f} durable outcomes/s")
    singly, grouped = found["one by one"], found["64 at a time"]
    print(f"plain SQLite: {singly:,.0f} rows/s one by one, {grouped:,.0f} 64 at a time")
    print(f"ratio to plain one by one: {found['engine'] / singly:.2f}")
    for count, one in ((targets, plan), (2 * targets, twice)):
        print(
            f"plan of {count} targets: {one.seconds:.2f} s, {one.size / 1e6:.1f} MB of plan, at most "
            f"{one.peak / 1e6:.1f} MB of memory, {one.left / 1e6:.2f} MB left behind"
        )
    verdicts = Verdicts()
    verdicts.at_least("durable outcomes", found["engine"], RATE, "per second")
    verdicts.at_most(f"plan of {targets} targets", plan.seconds, SECONDS, "s")
    growth = (twice.peak / twice.size) / (plan.peak / plan.size)
    verdicts.at_most("memory per byte of plan, twice the targets / once", growth, GROWTH)
    verdicts.at_most("memory left behind", twice.left / 1e6, LEFT_MB, "MB")
    verdicts.end()


if __name__ == "__main__":
    main()
