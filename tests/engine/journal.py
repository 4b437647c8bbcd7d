"""A journal on a simulated disk: one line for each transaction, believed only if its checksum says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from remediate.errors import JournalUnwritable, Refused, StaleLease
from remediate.journal.chain import GENESIS, broken, record_hash
from remediate.journal.holder import certainly_dead
from remediate.journal.interface import Held, Lease
from remediate.model.event import (
    BODY,
    Body,
    Event,
    Final,
    Revoked,
    RunFinished,
    RunStarted,
    Settled,
)
from tests.engine.disk import Disk

_OPEN_TO_ALL = ("requested", "decided", "overwrite", "revoked")


class _Runner(NamedTuple):
    epoch: int
    holder: str | None
    expires: float


class SimJournal:
    """A `remediate.journal.interface.Journal`, opened by one process.

    Args:
        disk: shared by all that open it.
        dead: whether a process can't write any more.
        synced: told of events when they are durable, before anybody else hears of them.
    """

    def __init__(
        self,
        disk: Disk,
        dead: Callable[[str], bool] = certainly_dead,
        synced: Callable[[list[Event]], None] = lambda _: None,
    ) -> None:
        self._disk, self._dead, self._synced = disk, dead, synced
        self._events: list[Event] = []
        self._runners: dict[str, _Runner] = {}
        self._locks: dict[str, str] = {}
        self._read = 0
        self._version = disk.versions
        self._catch_up()
        # What a process before this one left half-written; and what it left whole is kept for good.
        disk.cut(self._read)

    def append(self, run: str, bodies: Sequence[Body], at: float, lease: Lease | None) -> list[Event]:
        """See `Journal.append`."""
        if lease is None and any(b.kind not in _OPEN_TO_ALL for b in bodies):
            raise StaleLease("only the run's own runner may record this")
        self._catch_up()
        if lease is not None:
            self._fence(lease)
        if not bodies:
            return []
        if any(isinstance(b, RunStarted) and self.run_of_plan(b.plan) for b in bodies):
            raise JournalUnwritable("this plan was used up")
        seq, prev = (self._events[-1].seq, self._events[-1].hash) if self._events else (0, GENESIS)
        number = self._number(run)
        events, rows = [], []
        for body in bodies:
            seq, number, text = seq + 1, number + 1, body.model_dump_json()
            hash_ = record_hash(prev, seq, run, number, at, text)
            events.append(Event(seq, run, number, at, body, prev, hash_))
            rows.append((seq, run, number, at, text, prev, hash_))
            prev = hash_
        self._commit({"events": rows})
        self._events += events
        self._synced(events)
        return events

    def _number(self, run: str) -> int:
        return next((e.number for e in reversed(self._events) if e.run == run), 0)

    def events(self, run: str, after: int = 0) -> list[Event]:
        """See `Journal.events`."""
        return [e for e in self._all() if e.run == run and e.number > after]

    def runs(self) -> list[str]:
        """See `Journal.runs`."""
        return [e.run for e in self._all() if isinstance(e.body, RunStarted)]

    def run_of_plan(self, digest: str) -> str | None:
        """See `Journal.run_of_plan`."""
        started = (e for e in self._all() if isinstance(e.body, RunStarted) and e.body.plan == digest)
        return next((e.run for e in started), None)

    def revocations(self, digest: str) -> list[Event]:
        """See `Journal.revocations`."""
        return [e for e in self._all() if isinstance(e.body, Revoked) and e.body.plan == digest]

    def acquire(self, run: str, targets: Iterable[str], holder: str, at: float, ttl: float) -> Lease:
        """See `Journal.acquire`."""
        self._catch_up()
        names = list(targets)
        epoch, other, expires = self._runners.get(run, _Runner(0, None, 0.0))
        if other and other != holder and expires > at and not self._dead(other):
            host, _, pid = other.split("|")[:3]
            raise Refused(f"run {run} is being executed by process {pid} on {host}")
        for name in names:
            taken = self._locks.get(name)
            if taken is not None and taken != run and not self._has_let_go(taken, name, at):
                raise Refused(f"{name} is held by run {taken}, which is not settled")
        locks = {**self._locks, **dict.fromkeys(names, run)}
        self._hold(run, _Runner(epoch + 1, holder, at + ttl), locks)
        return Lease(run, epoch + 1, holder)

    def _has_let_go(self, run: str, target: str, at: float) -> bool:
        _, holder, expires = self._runners.get(run, _Runner(0, None, 0.0))
        if holder is not None and expires > at and not self._dead(holder):
            return False
        bodies = [e.body for e in self._events if e.run == run]
        if not bodies or not isinstance(bodies[-1], RunFinished):
            return not bodies
        finals = [b.final for b in bodies if isinstance(b, Settled) and b.target == target]
        return bool(finals) and finals[-1] is not Final.HUMAN

    def holder(self, run: str, at: float) -> str | None:
        """See `Journal.holder`."""
        self._catch_up()
        runner = self._runners.get(run)
        return runner.holder if runner and runner.expires > at else None

    def renew(self, lease: Lease, at: float, ttl: float) -> None:
        """See `Journal.renew`."""
        self._catch_up()
        self._fence(lease)
        self._hold(lease.run, _Runner(lease.epoch, lease.holder, at + ttl), self._locks)

    def release(self, lease: Lease, keep: Iterable[str] = ()) -> None:
        """See `Journal.release`."""
        self._catch_up()
        self._fence(lease)
        kept = set(keep)
        locks = {t: r for t, r in self._locks.items() if r != lease.run or t in kept}
        self._hold(lease.run, _Runner(lease.epoch, None, 0.0), locks)

    def locks(self) -> list[Held]:
        """See `Journal.locks`."""
        self._catch_up()
        return [Held(target, run) for target, run in sorted(self._locks.items())]

    def audit(self) -> list[str]:
        """What is wrong with the chain of records."""
        rows = []
        for e in self._all():
            plan = e.body.plan if isinstance(e.body, RunStarted | Revoked) else None
            text = e.body.model_dump_json()
            rows.append((e.seq, e.run, e.number, e.at, text, e.prev, e.hash, e.body.kind, plan))
        return broken(rows)

    def _all(self) -> list[Event]:
        self._catch_up()
        return self._events

    def _fence(self, lease: Lease) -> None:
        if (runner := self._runners.get(lease.run)) is None or runner.epoch != lease.epoch:
            raise StaleLease(f"another runner took over run {lease.run}")

    def _hold(self, run: str, runner: _Runner, locks: dict[str, str]) -> None:
        self._commit({"runner": [run, *runner], "locks": locks})
        self._runners[run], self._locks = runner, locks

    def _commit(self, transaction: dict[str, Any]) -> None:
        text = json.dumps(transaction, separators=(",", ":")).encode()
        try:
            # What an attempt before this one left behind would else stand in the middle.
            self._disk.cut(self._read)
            self._disk.append(b"%s %s\n" % (_sum(text), text))
            self._disk.sync()
        except OSError as error:
            raise JournalUnwritable(f"the journal can't be written: {error}") from error
        self._read = len(self._disk.data)

    def _catch_up(self) -> None:
        if self._version != self._disk.versions:
            self._events, self._runners, self._locks, self._read = [], {}, {}, 0
            self._version = self._disk.versions
        while (end := self._disk.data.find(b"\n", self._read)) >= 0:
            line = bytes(self._disk.data[self._read : end])
            if line not in self._disk.read:
                checksum, _, text = line.partition(b" ")
                if checksum != _sum(text):
                    return
                self._disk.read[line] = _parsed(json.loads(text))
            self._read = end + 1
            events, runner, locks = self._disk.read[line]
            self._events += events
            if runner is not None:
                self._runners[runner[0]], self._locks = runner[1], locks


def _parsed(transaction: dict[str, Any]) -> tuple[list[Event], tuple[str, _Runner] | None, dict[str, str]]:
    if "events" in transaction:
        rows = transaction["events"]
        return [Event(s, r, n, at, BODY.validate_json(b), p, h) for s, r, n, at, b, p, h in rows], None, {}
    run, epoch, holder, expires = transaction["runner"]
    return [], (run, _Runner(epoch, holder, expires)), transaction["locks"]


def _sum(text: bytes) -> bytes:
    return sha256(text).hexdigest()[:16].encode()
