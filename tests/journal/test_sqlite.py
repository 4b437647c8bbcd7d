"""The journal in SQLite: conformance, processes, edits, full disks."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from remediate.errors import InputError, JournalUnwritable, Refused, StaleLease
from remediate.journal.chain import record_hash
from remediate.journal.holder import this_process
from remediate.journal.interface import Lease
from remediate.journal.sqlite import SqliteJournal
from remediate.model.event import Outcome, Progress, Revoked, Verb
from remediate.model.step import Result
from tests.journal.conformance import TTL, JournalConformance, Open, abort, begin, intent, started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Open]:
    """Opens it."""
    made: list[SqliteJournal] = []

    def open_() -> SqliteJournal:
        made.append(SqliteJournal(path))
        return made[-1]

    yield open_
    for journal in made:
        journal.close()


class TestConformance(JournalConformance):
    """The interface."""

    @pytest.fixture
    def opened(self, opened: Open) -> Open:
        """SQLite."""
        return opened


# -- many at once --

_OTHER = """
import sys, time
from pathlib import Path
from remediate.journal.holder import this_process
from remediate.journal.sqlite import SqliteJournal
from remediate.errors import Refused
from tests.journal.conformance import abort, intent, started
path, what, argument = sys.argv[1:]
journal = SqliteJournal(Path(path))
if what == "acquire":
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        lease = journal.acquire("r-1", ["t1"], this_process(), 0.0, 60.0)
    except Refused:
        print("refused", flush=True)
    else:
        journal.append("r-1", [started()], 1.0, lease)
        print("acquired", flush=True)
        sys.stdin.readline()
elif what == "ask":
    for _ in range(int(argument)):
        journal.append("r-1", [abort()], 2.0, None)
elif what == "write":
    lease = journal.acquire(argument, [argument], this_process(), 0.0, 60.0)
    journal.append(argument, [started(argument.ljust(64, "0"))], 1.0, lease)
    print("ready", flush=True)
    n = 0
    while True:
        n += 1
        journal.append(argument, [intent(n), intent(n)], 2.0, lease)
        print(n, flush=True)
"""


def other(path: Path, what: str, argument: str = "") -> subprocess.Popen[str]:
    """A second process with the same journal."""
    argv = [sys.executable, "-c", _OTHER, str(path), what, argument]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)


def line(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    """Let it go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def finish(process: subprocess.Popen[str]) -> None:
    """Close its pipes after its end."""
    process.wait(120)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def test_of_many_processes_one_gets_the_run(path: Path, opened: Open) -> None:
    """And when it is killed, the next one gets it at once, without waiting for the lease to end."""
    opened()
    processes = [other(path, "acquire") for _ in range(4)]
    for process in processes:
        assert line(process) == "ready"
    for process in processes:
        go(process)
    said = [line(process) for process in processes]
    assert sorted(said) == ["acquired", "refused", "refused", "refused"]
    winner = processes[said.index("acquired")]
    with pytest.raises(Refused, match=f"process {winner.pid}"):
        opened().acquire("r-1", ["t1"], this_process(), 1.0, TTL)
    winner.kill()
    winner.wait()
    assert opened().acquire("r-1", ["t1"], this_process(), 1.0, TTL).epoch == 2
    for process in processes:
        finish(process)


def test_a_process_that_is_killed_while_it_writes_leaves_whole_records(path: Path, opened: Open) -> None:
    """Whatever it said was written is there; what it wrote together is there together."""
    journal = opened()
    for number in range(5):
        run = f"r-{number}"
        process = other(path, "write", run)
        assert line(process) == "ready"
        count = 0
        for _ in range(3 + 5 * number):
            count = int(line(process))
        process.send_signal(signal.SIGKILL)
        finish(process)
        written = [e for e in journal.events(run) if e.body.kind == "intent"]
        assert len(written) >= 2 * count
        assert len(written) % 2 == 0
        assert [e.number for e in journal.events(run)] == list(range(1, len(written) + 2))
    assert SqliteJournal(path).audit() == []


def test_processes_and_threads_write_one_chain(path: Path, opened: Open) -> None:
    journal = opened()
    lease = begin(journal)
    askers = [other(path, "ask", "25") for _ in range(2)]
    own = [opened() for _ in range(3)]

    def ask(n: int) -> None:
        for _ in range(20):
            own[n].append("r-1", [abort()], 2.0, None)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(ask, n) for n in range(3)]
        for n in range(40):
            journal.append("r-1", [intent(n), intent(n)], 3.0, lease)
        for future in futures:
            future.result()
    for process in askers:
        finish(process)
        assert process.returncode == 0
    events = journal.events("r-1")
    assert len(events) == 1 + 2 * 25 + 3 * 20 + 2 * 40
    assert [e.number for e in events] == list(range(1, len(events) + 1))
    pairs = [e.number for e in events if e.body.kind == "intent"]
    assert all(b == a + 1 for a, b in zip(pairs[::2], pairs[1::2], strict=True)), "a batch stays together"
    assert opened().audit() == []  # type: ignore[attr-defined]


def test_one_object_is_safe_for_many_threads(path: Path) -> None:
    with closing(SqliteJournal(path)) as journal:
        leases = {n: begin(journal, f"r-{n}", str(n) * 64, [f"t{n}"]) for n in range(4)}
        barrier = threading.Barrier(4)

        def work(n: int) -> None:
            barrier.wait()
            for number in range(30):
                journal.append(f"r-{n}", [intent(number)], 2.0, leases[n])
                assert len(journal.events(f"r-{n}", number + 1)) == 1

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert journal.audit() == []


# -- what an audit finds --

EDITS = {
    "a body": "UPDATE events SET body = replace(body, '\"attempt\":4', '\"attempt\":5') WHERE number = 4",
    "a space in a body": "UPDATE events SET body = body || ' ' WHERE number = 4",
    "a time": "UPDATE events SET at = at + 0.001 WHERE number = 3",
    "a run's name": "UPDATE events SET run = 'r-9' WHERE number = 3",
    "a number": "UPDATE events SET number = 99 WHERE number = 6",
    "a record's hash": "UPDATE events SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE number = 4",
    "what went before": "UPDATE events SET prev = hash WHERE number = 4",
    "a deletion in the middle": "DELETE FROM events WHERE number = 4",
    "a deletion at the beginning": "DELETE FROM events WHERE number = 1",
    "a new order": "UPDATE events SET seq = 100 WHERE number = 4",
    "the kind of a request": "UPDATE events SET kind = 'progress' WHERE kind = 'requested'",
    "the plan that was used up": "UPDATE events SET plan = 'b' WHERE kind = 'run-started'",
    "a denial that is hidden": "UPDATE events SET plan = NULL WHERE kind = 'revoked'",
    "a denial that is called something else": "UPDATE events SET kind = 'requested' WHERE kind = 'revoked'",
    "a plan beside a record that has none": "UPDATE events SET plan = 'a' WHERE kind = 'intent'",
}


@pytest.fixture
def written(path: Path) -> Path:
    """A journal with a run of six events, a request and a denial."""
    with closing(SqliteJournal(path)) as journal:
        lease = begin(journal)
        journal.append("r-1", [intent(n) for n in range(2, 7)], 2.0, lease)
        journal.append("r-1", [abort()], 3.0, None)
        journal.append("", [Revoked(plan="a" * 64, by="carol", envelope="{}")], 4.0, None)
        assert journal.audit() == []
    return path


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_is_found(written: Path, what: str) -> None:
    with closing(sqlite3.connect(written)) as db, db:
        assert db.execute(EDITS[what]).rowcount > 0
    with closing(SqliteJournal(written)) as journal:
        assert journal.audit() != []


def test_a_forged_record_at_the_end_is_found(written: Path) -> None:
    """Without the hash of the one before it, and even with it but without its own."""
    with closing(sqlite3.connect(written)) as db, db:
        (prev,) = db.execute("SELECT hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        body = Progress(text="all is well").model_dump_json()
        db.execute(
            "INSERT INTO events VALUES (9, 'r-1', 8, 5.0, 'progress', NULL, ?, ?, ?)", (body, prev, "0" * 64)
        )
    with closing(SqliteJournal(written)) as journal:
        assert any("record 9" in finding for finding in journal.audit())


def test_a_deletion_is_named(written: Path) -> None:
    with closing(sqlite3.connect(written)) as db, db:
        db.execute("DELETE FROM events WHERE seq = 4")
    with closing(SqliteJournal(written)) as journal:
        findings = journal.audit()
    assert "records 4 to 4 are missing" in findings
    assert "run r-1: event 5 follows event 3" in findings


def test_a_record_that_was_exchanged_with_its_hash_is_found(written: Path) -> None:
    """A record that is whole by itself, but the one after it covers another."""
    with closing(sqlite3.connect(written)) as db, db:
        prev, run, number, at = db.execute(
            "SELECT prev, run, number, at FROM events WHERE seq = 4"
        ).fetchone()
        body = Progress(text="all is well").model_dump_json()
        own = record_hash(prev, 4, run, number, at, body)
        db.execute("UPDATE events SET kind = 'progress', body = ?, hash = ? WHERE seq = 4", (body, own))
    with closing(SqliteJournal(written)) as journal:
        assert journal.audit() == ["record 5 does not follow the record before it"]


def test_the_hash_covers_everything() -> None:
    """Else a record could be exchanged with no trace."""
    fields: dict[str, Any] = {"prev": "0" * 64, "seq": 1, "run": "r", "number": 1, "at": 1.0, "body": "{}"}
    others: dict[str, Any] = {"prev": "1" * 64, "seq": 2, "run": "s", "number": 2, "at": 1.5, "body": "{ }"}
    hashes = {record_hash(**fields)} | {record_hash(**fields | {name: others[name]}) for name in fields}
    assert len(hashes) == 7


def test_every_single_byte_of_a_record_is_covered(written: Path) -> None:
    """A bit flipped anywhere in the file shows, or is where no record is."""
    with closing(sqlite3.connect(written)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        bodies = [body.encode() for (body,) in db.execute("SELECT body FROM events")]
    data = written.read_bytes()
    for body in bodies:
        begin_ = data.index(body)
        for place in range(begin_, begin_ + len(body), 7):
            copy = written.with_name("copy.db")
            copy.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with closing(SqliteJournal(copy)) as journal:
                assert journal.audit() != [], place
            copy.unlink()


# -- files and disks --


def test_a_record_is_forced_to_the_disk(opened: Open) -> None:
    """FULL: SQLite calls fsync at each commit (https://sqlite.org/pragma.html#pragma_synchronous)."""
    journal = opened()
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)  # type: ignore[attr-defined]
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)  # type: ignore[attr-defined]


def test_only_its_owner_may_read_it(path: Path, opened: Open) -> None:
    begin(opened())
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_journal_of_a_later_version_is_refused(path: Path, opened: Open) -> None:
    opened()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = '2'")
    with pytest.raises(InputError, match="has format 2; this version reads format 1"):
        opened()


@pytest.mark.parametrize(
    "data", [b"no database at all, but long enough to look like one" * 50, b"SQLite format 3\0"]
)
def test_what_is_no_journal_is_refused(path: Path, opened: Open, data: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(JournalUnwritable, match=r"journal\.db"):
        opened()
    assert path.read_bytes() == data, "and left as it is"


def test_a_damaged_journal_says_so(written: Path) -> None:
    """Neither a traceback nor a clean audit."""
    with closing(sqlite3.connect(written)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = db.execute("PRAGMA page_size").fetchone()
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events'").fetchone()
    data = bytearray(written.read_bytes())
    data[(root - 1) * page : root * page] = b"\xff" * page
    written.write_bytes(data)
    with closing(SqliteJournal(written)) as journal:
        assert "can't be read" in journal.audit()[0]
        for ask in (lambda: journal.events("r-1"), journal.runs, lambda: journal.revocations("a" * 64)):
            with pytest.raises(JournalUnwritable, match="can't be read"):
                ask()


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalUnwritable, match="can't be opened"):
        SqliteJournal(tmp_path / "file" / "journal.db")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "test", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Use up all room."""
    file = folder / "full"
    with file.open("wb", buffering=0) as stream:
        size = 65536
        while size:
            try:
                stream.write(b"x" * size)
            except OSError:
                size //= 2
    return file


def endless(journal: SqliteJournal, lease: Lease) -> None:
    """Append until that fails."""
    for number in itertools.count():
        journal.append("r-1", [intent(number)], 2.0, lease)


def test_a_full_disk(small: Path) -> None:
    """Nothing is written, which is said; with room again it goes on where it was."""
    with closing(SqliteJournal(small / "journal.db")) as journal:
        lease = begin(journal)
        full = fill(small)
        # What is allocated already takes some.
        with pytest.raises(JournalUnwritable, match="full"):
            endless(journal, lease)
        written = len(journal.events("r-1")) - 1
        with pytest.raises(JournalUnwritable):
            journal.append("r-1", [intent(written), intent(written)], 3.0, lease)
        assert len(journal.events("r-1")) == 1 + written
        full.unlink()
        journal.append("r-1", [intent(written), intent(written + 1)], 4.0, lease)
        assert [e.number for e in journal.events("r-1")] == list(range(1, written + 4))
        assert journal.audit() == []
    with closing(SqliteJournal(small / "journal.db")) as journal:
        assert journal.audit() == []


def test_a_full_disk_at_the_start(small: Path) -> None:
    fill(small)
    with pytest.raises(JournalUnwritable, match="can't be opened"):
        SqliteJournal(small / "journal.db")


def test_a_full_disk_when_a_run_is_taken_up(small: Path) -> None:
    with closing(SqliteJournal(small / "journal.db")) as journal:
        begin(journal)
        fill(small)
        with pytest.raises(JournalUnwritable):  # noqa: PT012
            for number in range(2000):
                journal.acquire(f"r-{number}", [f"target-{number}" * 50], this_process(), 0.0, TTL)


# -- hostile text --


@pytest.mark.parametrize(
    "text", ["\udcff\udc80 not UTF-8", "\x00", "\u202e", "\ud83d", "a\nb\r\n", "[remediate r-1 #9]"]
)
def test_any_text_can_be_recorded(opened: Open, text: str) -> None:
    """What a host says must not be able to halt the run."""
    journal = opened()
    lease = begin(journal)
    result = Result(summary=text, detail=text, data={"k": text, "l": [text, {text: 1}]})
    body = Outcome(
        verb=Verb.APPLY, step="s1", target="t1", attempt=1, result=result, after={"k": {"v": text}}
    )
    (event,) = journal.append("r-1", [body], 2.0, lease)
    assert opened().events("r-1")[1] == event
    json.dumps(event.as_json(), ensure_ascii=False).encode()
    assert opened().audit() == []  # type: ignore[attr-defined]


def test_start_needs_a_lease_of_that_run(opened: Open) -> None:
    with pytest.raises(StaleLease):
        opened().append("r-1", [started()], 1.0, Lease("r-1", 1, "nobody"))
    assert opened().runs() == []
