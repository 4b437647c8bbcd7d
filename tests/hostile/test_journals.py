"""A journal whose rows somebody wrote by hand."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediate.errors import InputError, JournalUnwritable
from remediate.journal.sqlite import SqliteJournal
from tests.hostile import clear_refusal, hostile
from tests.hostile.mutations import json_values, spoiled, spoilings, text_of
from tests.report.runs import rolled_back

RUN = "r-hostile"
COLUMNS = ("seq", "run", "number", "at", "kind", "plan", "body", "prev", "hash")
cells = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=20), st.binary(max_size=20)
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of one run that went back."""
    path = tmp_path_factory.mktemp("whole") / "journal.db"
    journal = SqliteJournal(path)
    lease = journal.acquire(RUN, ["web1"], "somebody", 0.0, 60.0)
    journal.append(RUN, [event.body for event in rolled_back()], 1.0, lease)
    journal.close()
    return path


def fresh(folder: Path, content: bytes) -> Path:
    """A journal of an example's own: what SQLite keeps beside one would be taken for the other's."""
    path = Path(tempfile.mkdtemp(dir=folder)) / "journal.db"
    path.write_bytes(content)
    return path


def bodies(whole: Path, tmp_path: Path) -> list[str]:
    path = fresh(tmp_path, whole.read_bytes())
    with sqlite3.connect(path) as db:
        return [row[0] for row in db.execute("SELECT body FROM events ORDER BY seq")]


@hostile("journal rows: edited bodies", 100, "the audit names the record; the run is not read on")
@given(st.data())
def test_edited_bodies(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    texts = bodies(whole, tmp_path)
    place = data.draw(st.integers(0, len(texts) - 1))
    good = texts[place]
    new = data.draw(st.one_of(spoiled(good.encode()), json_values(json.loads(good)).map(text_of)))
    edited(whole, tmp_path, place + 1, "body", new.decode(errors="replace"))


@hostile("journal rows: any value in any column", 150, "the audit names it; no traceback, nothing written")
@given(st.data())
def test_edited_cells(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    texts = bodies(whole, tmp_path)
    place = data.draw(st.integers(1, len(texts)))
    column = data.draw(st.sampled_from(COLUMNS[1:]))
    edited(whole, tmp_path, place, column, data.draw(cells))


def edited(whole: Path, folder: Path, place: int, column: str, value: object) -> None:
    path = fresh(folder, whole.read_bytes())
    db = sqlite3.connect(path, isolation_level=None)
    before = db.execute("SELECT * FROM events ORDER BY seq").fetchall()
    for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {trigger}")
    try:
        db.execute(f"UPDATE events SET {column} = ? WHERE seq = ?", (value, place))  # noqa: S608 - a constant
    except sqlite3.Error:
        return  # the schema itself does not take it
    finally:
        after = db.execute("SELECT * FROM events ORDER BY seq").fetchall()
        db.close()
    journal = SqliteJournal(path)
    try:
        with clear_refusal(JournalUnwritable, InputError):
            assert bool(journal.audit()) == (after != before)
            journal.runs()
            journal.events(RUN)
    finally:
        journal.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT * FROM events ORDER BY seq").fetchall() == after


@hostile("journal files: changed bytes", 60, "refused or audited, no traceback")
@given(spoilings)
def test_changed_file(whole: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = fresh(tmp_path, spoil(whole.read_bytes()))
    with clear_refusal(JournalUnwritable, InputError):
        journal = SqliteJournal(path)
        try:
            journal.audit()
            journal.events(RUN)
        finally:
            journal.close()
