"""One thread that writes for many: in order, together, and never again after a failure."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from remediate.errors import JournalUnwritable, StaleLease
from remediate.journal.sqlite import SqliteJournal
from remediate.journal.writer import Writer
from remediate.model.event import Event
from tests.journal.conformance import FAR, TTL, abort, begin, intent


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """A real one."""
    with closing(SqliteJournal(tmp_path / "journal.db")) as made:
        yield made


def test_every_event_is_delivered_once_and_in_order(journal: SqliteJournal) -> None:
    """Those of other processes too, whenever they were written."""
    lease = begin(journal)
    seen: list[Event] = []
    writer = Writer(journal, lease, lambda: 5.0, seen.extend, 1)
    barrier = threading.Barrier(6)

    def write(n: int) -> None:
        barrier.wait()
        for number in range(20):
            writer.record(intent(number, f"t{n}"))

    def ask(_: int) -> None:
        barrier.wait()
        with closing(SqliteJournal(journal.path)) as other:
            for _ in range(20):
                other.append("r-1", [abort()], 6.0, None)

    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(write, n) for n in range(4)] + [pool.submit(ask, n) for n in range(2)]
        for job in jobs:
            job.result()
    done = threading.Event()
    writer.post((), lambda _: done.set())
    assert done.wait(10)
    writer.close()
    assert [e.number for e in seen] == list(range(2, 2 + 6 * 20))
    assert seen == journal.events("r-1", 1)
    for n in range(4):
        own = [e.body.attempt for e in seen if e.body.kind == "intent" and e.body.target == f"t{n}"]
        assert own == list(range(20))


def test_it_is_durable_and_delivered_when_record_returns(journal: SqliteJournal) -> None:
    lease = begin(journal)
    seen: list[Event] = []
    writer = Writer(journal, lease, lambda: 5.0, seen.extend, 1)
    for number in range(10):
        writer.record(intent(number))
        assert [e.body for e in seen[-1:]] == [intent(number)]
        with closing(SqliteJournal(journal.path)) as other:
            assert other.events("r-1")[-1] == seen[-1]
    writer.close()


def test_after_a_takeover_every_caller_hears_of_it(journal: SqliteJournal) -> None:
    lease = begin(journal)
    seen: list[Event] = []
    writer = Writer(journal, lease, lambda: 5.0, seen.extend, 1)
    writer.record(intent())
    with closing(SqliteJournal(journal.path)) as other:
        other.acquire("r-1", ["t1"], FAR, 2 * TTL, TTL)
    for _ in range(3):
        with pytest.raises(StaleLease):
            writer.record(intent())
    problems: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    writer.post([intent()], problems.put)
    assert isinstance(problems.get(timeout=5), StaleLease)
    writer.close()
    assert len(journal.events("r-1")) == 2
    assert len(seen) == 1


def test_after_one_failure_nothing_more_is_written(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that is lost must not be followed by one that builds on it."""
    lease = begin(journal)
    writer = Writer(journal, lease, lambda: 5.0, lambda _: None, 1)
    real = journal.append

    def fails(*_: object) -> list[Event]:
        raise JournalUnwritable("no room")

    monkeypatch.setattr(journal, "append", fails)
    with pytest.raises(JournalUnwritable):
        writer.record(intent())
    monkeypatch.setattr(journal, "append", real)
    with pytest.raises(JournalUnwritable):
        writer.record(intent(2))
    writer.close()
    assert len(journal.events("r-1")) == 1


def test_closing_writes_what_is_queued(journal: SqliteJournal) -> None:
    lease = begin(journal)
    writer = Writer(journal, lease, lambda: 5.0, lambda _: None, 1)
    for number in range(50):
        writer.post([intent(number)], lambda _: None)
    writer.close()
    assert len(journal.events("r-1")) == 51
