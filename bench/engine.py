"""How many durable step outcomes per second the engine sustains, beside what plain SQLite appends.

The engine drives simulated targets (no network) through the real journal file with its hash chain, leases
and fsync; the peer appends rows of the same size to the same disk, one transaction each and 64 at a time.
Run: ``python -m bench.engine [targets]``
"""

from __future__ import annotations

import resource
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from remediate.engine.fold import replay
from remediate.engine.runner import QueueInbox, Runner, ThreadPool
from remediate.errors import Exit
from remediate.journal.holder import this_process
from remediate.journal.sqlite import SqliteJournal
from remediate.journal.writer import Writer
from remediate.model.event import Outcome, RunStarted
from tests.engine.sim import World, compare, make_plan

CHANGES = 5  # and a backup: six steps


def engine(folder: Path, targets: int) -> tuple[float, int, float]:
    """(seconds, outcomes, seconds to make the plan) of one run over simulated targets."""
    began = time.perf_counter()
    plan = make_plan(targets=targets, changes=CHANGES, wave=max(1, targets // 4))
    assert plan.digest
    planned = time.perf_counter() - began
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
    return took, outcomes, planned


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


def main() -> None:
    """Print the figures."""
    targets = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        took, outcomes, planned = engine(folder, targets)
        single, grouped = plain(folder, 3000, 1), plain(folder, 30000, 64)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = outcomes / took
    print(f"plan of {targets} targets x {CHANGES + 1} steps: {planned:.2f} s")
    print(f"engine: {outcomes} durable outcomes (with intents, verifications, chain) in {took:.2f} s")
    print(f"engine: {rate:,.0f} outcomes/s")
    print(f"plain SQLite: {single:,.0f} rows/s one by one, {grouped:,.0f} rows/s 64 at a time")
    print(f"ratio to plain one by one: {rate / single:.2f}")
    print(f"peak memory: {peak:.0f} MB")
    if rate < 2000:
        sys.exit("below 2,000 outcomes/s")


if __name__ == "__main__":
    main()
