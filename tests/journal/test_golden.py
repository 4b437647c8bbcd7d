"""Journals of earlier versions, and of this one, are understood by this version; those of others are refused.

`make_golden` writes them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import remediate
from remediate.checker import check
from remediate.engine.fold import replay
from remediate.errors import Exit, InputError, Refused, RemediateError
from remediate.journal.sqlite import SqliteJournal
from remediate.model.plan import parse_plan
from remediate.report.render import render
from remediate.report.run import run_document
from remediate.service.folders import private
from remediate.service.running import Screen, resume
from remediate.service.runs import overview
from tests.journal.make_golden import HERE, RUNS
from tests.reliability import record
from tests.service.forger import edited, forge, journal
from tests.service.world import World

FILES = sorted(HERE.glob("*/*.json"))
_INSERT = "INSERT INTO events (seq, run, number, at, kind, plan, body, prev, hash) VALUES (?,?,?,?,?,?,?,?,?)"


def golden(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def stored(path: Path, rows: list[list[object]]) -> SqliteJournal:
    """A journal that holds these records."""
    SqliteJournal(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(_INSERT, rows)
    return SqliteJournal(path)


def test_this_version_has_its_own() -> None:
    expected = {f"{run.__name__.replace('_', '-')}.json" for run in RUNS}
    assert {path.name for path in (HERE / remediate.__version__).iterdir()} == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_replayed(path: Path, tmp_path: Path) -> None:
    """The chain is whole, the fold ends where the run did, the checker is content, the report is made."""
    kept = golden(path)
    found = stored(tmp_path / "journal.db", kept["rows"])
    plan = parse_plan(kept["plan"].encode(), path.name)
    events = found.events(kept["run"])
    assert found.audit() == []
    assert found.run_of_plan(plan.digest) == kept["run"]
    assert len(events) == len(kept["rows"])
    state = replay(plan, events)
    assert state.finished is not None
    assert (state.finished.exit_code, state.finished.summary) == (kept["exit"], kept["summary"])
    assert {name: target.settled for name, target in state.targets.items()} == kept["finals"]
    assert check(plan, events) == ()
    document = run_document(plan, events)
    for surface in ("text", "markdown", "html", "json"):
        assert kept["run"] in render(document, surface)
    found.close()
    ends = Exit(kept["exit"]).name.lower().replace("_", " ")
    record("golden", f"{kept['version']}: {path.stem.replace('-', ' ')}", str(len(events)), ends)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_replayed_up_to_any_event(path: Path, tmp_path: Path) -> None:
    """As a later version finds it that takes the run over there."""
    kept = golden(path)
    found = stored(tmp_path / "journal.db", kept["rows"])
    plan, events = parse_plan(kept["plan"].encode(), path.name), found.events(kept["run"])
    for length in range(1, len(events) + 1):
        assert replay(plan, events[:length]).number == length
        assert check(plan, events[:length]) == ()
    found.close()


@pytest.fixture
def dead(tmp_path: Path) -> tuple[World, str]:
    """A project with a run whose process died between an intent and its outcome."""
    kept = golden(HERE / remediate.__version__ / "killed-and-recovered.json")
    world = World.make(tmp_path / "project")
    kinds = [row[4] for row in kept["rows"]]
    folder = private(journal(world).parent)
    stored(journal(world), kept["rows"][: kinds.index("run-taken")]).close()
    (private(folder / "runs" / kept["run"]) / "plan.json").write_text(kept["plan"])
    world.tampered = True
    return world, kept["run"]


STRANGE: dict[str, tuple[Callable[[World], object], type[RemediateError], str, str]] = {
    "another version": (
        lambda w: forge(w, edited("run-started", tool_version="0.0.9")),
        Refused, "was begun by remediate 0.0.9", "finish it with remediate 0.0.9",
    ),
    "an unknown kind of event": (
        lambda w: forge(w, edited("inspected", kind="teleported")), InputError, "record 3", "another version",
    ),
    "an unknown field": (
        lambda w: forge(w, edited("outcome", mood="good")), InputError, "mood", "another version",
    ),
    "an unknown value": (
        lambda w: forge(w, edited("intent", verb="ponder")), InputError, "record 4", "another version",
    ),
    "a field that is missing": (
        lambda w: forge(w, lambda rows: [type(r)(r.run, r.at, r.kind, r.plan, r.body.replace('"wave":0,', ""))
                                         for r in rows]),
        InputError, "wave", "another version",
    ),
    "another format of the file": (
        lambda w: _format(w, "2"), InputError, "has format 2", "use the version of remediate that wrote it",
    ),
}  # fmt: skip


def _format(world: World, value: str) -> None:
    with closing(sqlite3.connect(journal(world))) as db, db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'format'", (value,))


@pytest.mark.parametrize("what", STRANGE)
def test_what_this_version_cannot_understand_is_not_taken_up(dead: tuple[World, str], what: str) -> None:
    """Refused with advice, and not one record more."""
    world, run = dead
    change, kind, problem, advice = STRANGE[what]
    change(world)
    before = _rows(world)
    with pytest.raises(kind, match=problem) as caught:
        resume(world.project, run, Screen())
    assert advice in caught.value.advice
    assert _rows(world) == before


@pytest.mark.parametrize("what", ["an unknown kind of event", "another version"])
def test_what_cannot_be_understood_is_still_listed(dead: tuple[World, str], what: str) -> None:
    world, run = dead
    STRANGE[what][0](world)
    (row,) = overview(world.project)
    assert row.run == run


def _rows(world: World) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(journal(world))) as db:
        return db.execute("SELECT * FROM events ORDER BY seq").fetchall()
