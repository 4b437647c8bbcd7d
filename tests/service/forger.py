"""Somebody with every right on the machine of the journal, who knows how its hashes are made."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from remediate.approval.checkpoint import ENDING, Checkpoint, SignedCheckpoint
from remediate.journal.chain import GENESIS, record_hash
from tests.service.world import World


@dataclass(frozen=True)
class Row:
    """A record without what is computed from the others."""

    run: str
    at: float
    kind: str
    plan: str | None
    body: str


def journal(world: World) -> Path:
    return world.root / ".remediate" / "journal.db"


def forge(world: World, change: Callable[[list[Row]], list[Row]]) -> None:
    """Change the records, and make all numbers and hashes anew, so that the chain is whole."""
    with closing(sqlite3.connect(journal(world))) as db, db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        rows = [Row(*r) for r in db.execute("SELECT run, at, kind, plan, body FROM events ORDER BY seq")]
        db.execute("DELETE FROM events")
        numbers, prev = Counter[str](), GENESIS
        for seq, row in enumerate(change(rows), 1):
            numbers[row.run] += 1
            number = numbers[row.run]
            hash_ = record_hash(prev, seq, row.run, number, row.at, row.body)
            db.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (seq, row.run, number, row.at, row.kind, row.plan, row.body, prev, hash_),
            )
            prev = hash_
    assert world.project.journal.audit() == []


def edited(kind: str, /, **fields: object) -> Callable[[list[Row]], list[Row]]:
    """Other fields in the first record of this kind."""

    def change(rows: list[Row]) -> list[Row]:
        place = next(i for i, row in enumerate(rows) if row.kind == kind)
        body = json.dumps(json.loads(rows[place].body) | fields, separators=(",", ":"))
        new = replace(rows[place], body=body, kind=str(fields.get("kind", kind)))
        return [*rows[:place], new, *rows[place + 1 :]]

    return change


def deleted(kind: str) -> Callable[[list[Row]], list[Row]]:
    """Without the first record of this kind."""

    def change(rows: list[Row]) -> list[Row]:
        place = next(i for i, row in enumerate(rows) if row.kind == kind)
        return [*rows[:place], *rows[place + 1 :]]

    return change


def keep(world: World, folder: Path) -> None:
    """A copy of the journal."""
    world.project.journal.close()
    folder.mkdir()
    for path in journal(world).parent.glob("journal.db*"):
        shutil.copy(path, folder)


def restore(world: World, folder: Path) -> None:
    """Put a copy in the journal's place."""
    for path in journal(world).parent.glob("journal.db*"):
        path.unlink()
    shutil.copytree(folder, journal(world).parent, dirs_exist_ok=True)


def checkpoints(world: World) -> list[Path]:
    """Those on the ticket, in their order."""
    found = (world.root / "tickets/T-1/attachments").glob(f"*{ENDING}")
    return sorted(found, key=lambda path: SignedCheckpoint.parse(path.read_bytes()).payload.seq)


def sign_again(world: World, key: Path) -> None:
    """All checkpoints on the ticket for the journal as it is now."""
    now = world.project.journal
    for path in checkpoints(world):
        said = SignedCheckpoint.parse(path.read_bytes()).payload
        (event,) = [e for e in now.events(said.run) if e.number == said.number]
        path.write_bytes(SignedCheckpoint.sign(Checkpoint.of(event, now.name()), key).data)
