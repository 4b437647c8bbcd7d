"""The journal in one SQLite file: WAL, synchronous=FULL, one transaction per batch of records."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import JsonValue, ValidationError
from pydantic_core import PydanticSerializationError

from remediate.errors import InputError, JournalUnwritable, Refused, StaleLease
from remediate.journal.chain import GENESIS, broken, record_hash
from remediate.journal.holder import certainly_dead
from remediate.journal.interface import Held, Lease
from remediate.model.event import BODY, Body, Event, Final, Revoked, RunStarted
from remediate.model.wording import problems

FORMAT = "1"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, run TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL,
    kind TEXT NOT NULL, plan TEXT, body TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL,
    UNIQUE (run, number)
) STRICT;
CREATE UNIQUE INDEX consumed ON events (plan) WHERE kind = 'run-started';
CREATE INDEX revoked ON events (plan) WHERE kind = 'revoked';
CREATE TABLE runners (run TEXT PRIMARY KEY, epoch INTEGER NOT NULL, holder TEXT, expires REAL) STRICT;
CREATE TABLE locks (target TEXT PRIMARY KEY, run TEXT NOT NULL) STRICT;
"""

_TAIL = """
SELECT coalesce((SELECT max(seq) FROM events), 0),
       coalesce((SELECT hash FROM events ORDER BY seq DESC LIMIT 1), ''),
       coalesce((SELECT max(number) FROM events WHERE run = ?), 0)
"""
# Compare and append in one statement, which is its own transaction: it writes nothing unless the caller
# still has the lease and nobody else appended since the caller read the tail. One statement also because
# each gives up the interpreter's lock, and beside many workers it takes milliseconds to get that back.
_APPEND = """
INSERT INTO events (seq, run, number, at, kind, plan, body, prev, hash)
SELECT value ->> 0, ?1, value ->> 1, ?2, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM json_each(?3)
WHERE (SELECT coalesce(max(seq), 0) FROM events) = ?4
  AND (?5 IS NULL OR (SELECT epoch FROM runners WHERE run = ?1) = ?5)
"""

_OPEN_TO_ALL = frozenset({"requested", "decided", "overwrite", "revoked"})


class SqliteJournal:
    """A `Journal` in a file of mode 0600. Safe to use from many threads and many processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self._tails: dict[str, tuple[int, str, int]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _create(path)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise JournalUnwritable(
                f"the journal {path} can't be opened: {error}",
                "mend the disk or its rights; nothing was done",
            ) from error

    def close(self) -> None:
        """Close the file; the object is of no use after that."""
        self._db.close()

    def append(self, run: str, bodies: Sequence[Body], at: float, lease: Lease | None) -> list[Event]:
        """See `Journal.append`."""
        if lease is None and (closed := {b.kind for b in bodies} - _OPEN_TO_ALL):
            raise StaleLease(f"{', '.join(sorted(closed))}: only the run's own runner may record this")
        if not bodies:
            return []
        with self._mutex:
            while True:
                seq, prev, number = self._tails.get(run) or self._read_tail(run)
                rows, events = _chain(run, bodies, at, seq, prev or GENESIS, number)
                epoch = lease.epoch if lease is not None else None
                done = self._execute(_APPEND, (run, at, json.dumps(rows), seq, epoch))
                if done.rowcount == len(rows):
                    last = events[-1]
                    # The tail of any other run in this process is stale now: they share one chain.
                    self._tails = {run: (last.seq, last.hash, last.number)}
                    return events
                self._tails = {}
                if lease is not None:
                    self._fence(lease)

    def _read_tail(self, run: str) -> tuple[int, str, int]:
        row: tuple[int, str, int] = self._execute(_TAIL, (run,)).fetchone()
        return row

    def events(self, run: str, after: int = 0) -> list[Event]:
        """See `Journal.events`."""
        return self._select("WHERE run = ? AND number > ? ORDER BY number", (run, after))

    def runs(self) -> list[str]:
        """See `Journal.runs`."""
        rows = self._read("SELECT run FROM events WHERE kind = 'run-started' ORDER BY seq", ())
        return [r[0] for r in rows]

    def name(self) -> str:
        """The hash of the first record, which stays the same wherever the file lies; empty before that."""
        rows = self._read("SELECT hash FROM events WHERE seq = 1", ())
        return rows[0][0] if rows else ""

    def run_of_plan(self, digest: str) -> str | None:
        """See `Journal.run_of_plan`."""
        rows = self._read("SELECT run FROM events WHERE kind = 'run-started' AND plan = ?", (digest,))
        return rows[0][0] if rows else None

    def revocations(self, digest: str) -> list[Event]:
        """See `Journal.revocations`."""
        return self._select("WHERE kind = 'revoked' AND plan = ? ORDER BY seq", (digest,))

    def acquire(self, run: str, targets: Iterable[str], holder: str, at: float, ttl: float) -> Lease:
        """See `Journal.acquire`."""
        names = list(targets)
        with self._write() as db:
            row = db.execute("SELECT epoch, holder, expires FROM runners WHERE run = ?", (run,)).fetchone()
            epoch, other, expires = row or (0, None, 0.0)
            if other and other != holder and expires > at and not certainly_dead(other):
                raise Refused(
                    f"run {run} is being executed by process {other.split('|')[2]} on {other.split('|')[0]}",
                    f"watch it with `remediate watch {run}`",
                )
            for target in names:
                taken = db.execute("SELECT run FROM locks WHERE target = ?", (target,)).fetchone()
                if taken and taken[0] != run and not self._has_let_go(db, taken[0], target, at):
                    raise Refused(
                        f"{target} is held by run {taken[0]}, which is not settled",
                        f"see `remediate status {taken[0]}`; finish it or abort it first",
                    )
                db.execute("INSERT OR REPLACE INTO locks VALUES (?, ?)", (target, run))
            db.execute("INSERT OR REPLACE INTO runners VALUES (?,?,?,?)", (run, epoch + 1, holder, at + ttl))
        return Lease(run, epoch + 1, holder)

    def holder(self, run: str, at: float) -> str | None:
        """Who executes this run, as far as its lease says."""
        rows = self._read("SELECT holder FROM runners WHERE run = ? AND expires > ?", (run, at))
        return rows[0][0] if rows else None

    def renew(self, lease: Lease, at: float, ttl: float) -> None:
        """See `Journal.renew`."""
        with self._write() as db:
            self._fence(lease)
            db.execute("UPDATE runners SET expires = ? WHERE run = ?", (at + ttl, lease.run))

    def release(self, lease: Lease, keep: Iterable[str] = ()) -> None:
        """See `Journal.release`."""
        kept = set(keep)
        with self._write() as db:
            self._fence(lease)
            db.execute("UPDATE runners SET holder = NULL, expires = NULL WHERE run = ?", (lease.run,))
            for (target,) in db.execute("SELECT target FROM locks WHERE run = ?", (lease.run,)).fetchall():
                if target not in kept:
                    db.execute("DELETE FROM locks WHERE target = ?", (target,))

    def locks(self) -> list[Held]:
        """See `Journal.locks`."""
        return [Held(*row) for row in self._read("SELECT target, run FROM locks ORDER BY target", ())]

    def audit(self) -> list[str]:
        """What is wrong with the hash chain; empty when it is whole."""
        try:
            with self._mutex, self._reading():
                rows = self._db.execute(
                    "SELECT seq, run, number, at, body, prev, hash, kind, plan FROM events ORDER BY seq"
                )
                return broken(rows)
        except JournalUnwritable as error:
            return [error.problem]

    def _prepare(self) -> None:
        with self._write() as db:
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
                for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                    db.execute(statement)
                db.execute("INSERT INTO meta VALUES ('format', ?)", (FORMAT,))
            row = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() or ("unknown",)
        if row[0] != FORMAT:
            raise InputError(
                f"the journal {self.path} has format {row[0]}; this version reads format {FORMAT}",
                "use the version of remediate that wrote it to finish its runs",
            )

    @staticmethod
    def _has_let_go(db: sqlite3.Connection, run: str, target: str, at: float) -> bool:
        """Whether a dead process left this lock behind: before its run's first event, so that it did nothing,
        or after its last, when the target was settled."""
        row = db.execute("SELECT holder, expires FROM runners WHERE run = ?", (run,)).fetchone()
        if not (row is None or row[0] is None or row[1] <= at or certainly_dead(row[0])):
            return False
        newest = "SELECT kind FROM events WHERE run = ? ORDER BY number DESC LIMIT 1"
        last = db.execute(newest, (run,)).fetchone()
        if last is None or last[0] != "run-finished":
            return last is None
        settled = (
            "SELECT json_extract(body, '$.final') FROM events WHERE run = ? AND kind = 'settled' "
            "AND json_extract(body, '$.target') = ? ORDER BY number DESC LIMIT 1"
        )
        final = db.execute(settled, (run, target)).fetchone()
        return final is not None and final[0] != Final.HUMAN.value

    def _execute(self, sql: str, args: tuple[object, ...]) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, args)
        except sqlite3.Error as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: sqlite3.Error) -> JournalUnwritable:
        return JournalUnwritable(
            f"the journal {self.path} can't be written: {error}",
            "mend the disk, then take the run up again with `remediate run`",
        )

    def _fence(self, lease: Lease) -> None:
        row = self._db.execute("SELECT epoch FROM runners WHERE run = ?", (lease.run,)).fetchone()
        if row is None or row[0] != lease.epoch:
            raise _stale(lease)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._unwritable(error) from error

    def _read(self, sql: str, args: tuple[object, ...]) -> list[tuple[str, ...]]:
        with self._mutex, self._reading():
            return self._db.execute(sql, args).fetchall()

    def _select(self, where: str, args: tuple[object, ...]) -> list[Event]:
        sql = f"SELECT seq, run, number, at, body, prev, hash FROM events {where}"  # noqa: S608 - constants
        with self._mutex, self._reading():
            rows = self._db.execute(sql, args).fetchall()
        return [Event(s, r, n, a, self._body(s, b), p, h) for s, r, n, a, b, p, h in rows]

    def _body(self, seq: int, text: str) -> Body:
        try:
            return BODY.validate_json(text)
        except ValidationError as error:
            raise InputError(
                f"record {seq} of the journal {self.path} can't be read: {problems(error)[0]}",
                "if another version of remediate wrote it, finish its runs with that one; "
                "`remediate audit` tells if it was edited",
            ) from None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalUnwritable(
                f"the journal {self.path} can't be read: {error}", "put its backup in its place"
            ) from error


def _create(path: Path) -> None:
    """Make the file, readable by nobody else. One that exists is never opened beside SQLite: closing it
    would give up every lock that this process holds on it (https://sqlite.org/howtocorrupt.html, 2.2)."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _chain(
    run: str, bodies: Sequence[Body], at: float, seq: int, prev: str, number: int
) -> tuple[list[tuple[object, ...]], list[Event]]:
    """Rows and events that follow this tail."""
    rows: list[tuple[object, ...]] = []
    events: list[Event] = []
    for given in bodies:
        seq, number = seq + 1, number + 1
        body, text = _text(given)
        hash_ = record_hash(prev, seq, run, number, at, text)
        plan = body.plan if isinstance(body, RunStarted | Revoked) else None
        rows.append((seq, number, body.kind, plan, text, prev, hash_))
        events.append(Event(seq, run, number, at, body, prev, hash_))
        prev = hash_
    return rows, events


def _text(body: Body) -> tuple[Body, str]:
    """The body and its JSON. What a host said may hold bytes that are no text: they become escapes."""
    try:
        return body, body.model_dump_json()
    except PydanticSerializationError:
        clean = BODY.validate_python(_readable(body.model_dump(mode="json")))
        return clean, clean.model_dump_json()


def _readable(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case list():
            return [_readable(item) for item in value]
        case dict():
            return {str(_readable(key)): _readable(item) for key, item in value.items()}
    return value


def _stale(lease: Lease) -> StaleLease:
    return StaleLease(
        f"another runner took over run {lease.run}; this one wrote nothing and stops",
        f"follow the other with `remediate watch {lease.run}`",
    )
