"""Tables of a live database are put back from a backup, each only if nobody else has written to it since.

A table is known to be ours if it holds exactly what the run's last mark says that it held after the change,
or what the backup holds. Everything else is somebody's work, and stays until a human has signed that it may
be lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from remediate.adapters.backups.content import changed, digests
from remediate.adapters.backups.manifest import Content, Manifest, TableMeasure
from remediate.adapters.backups.proof import Origin
from remediate.adapters.backups.store import Stored, pour, write
from remediate.adapters.databases.dumps.interface import Dumper, Job
from remediate.adapters.databases.endpoint import Endpoint
from remediate.adapters.databases.engine import MARKS, Engine, Session
from remediate.errors import StepFailed
from remediate.model.base import canonical
from remediate.model.step import Context

_NOTE = "restoring.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup, opened and checked."""

    id: str
    folder: Path
    stored: Stored
    content: Content
    origin: Origin
    database: str
    tables: tuple[str, ...] | None


def kept_in(folder: Path, manifest: Manifest) -> Kept:
    """What the manifest of a database's backup says."""
    data = manifest.data
    tables = data["tables"]
    return Kept(
        id=manifest.id,
        folder=folder,
        stored=manifest.stored,
        content=Content.model_validate(data["content"]),
        origin=Origin.model_validate(data["origin"]),
        database=str(data["database"]),
        tables=tuple(map(str, tables)) if isinstance(tables, list) else None,
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """What has to be done: tables to restore from the dump, and tables to drop."""

    restore: list[str]
    drop: list[str]


def put_back(context: Context, dumper: Dumper, place: Endpoint, kept: Kept, identity: str, job: Job) -> str:
    """Make the database's definitions, and the rows that this run changed, what they were; says how.

    Raises:
        StepFailed: others changed something since; or the definitions differ in something that is no table.
    """
    engine = dumper.engine
    with engine.open(place, kept.database, job.token) as session:
        work = _work(dumper, session, kept, context.token.run, overwrite=context.overwrite)
        if not (work.restore or work.drop):
            return ""
        # Durable before the first effect: a table that is cut in the middle looks like nobody's work.
        write(kept.folder, _NOTE, canonical({"restore": work.restore, "drop": work.drop}))
        context.clients.fence()
        for name in work.drop:
            session.do(f"DROP TABLE IF EXISTS {engine.quote(name)}")
    if work.restore:
        context.clients.fence()
        dumper.replace(
            place,
            kept.database,
            work.restore,
            kept.origin.parts,
            lambda to: pour(kept.folder, kept.stored, to, identity),
            job,
        )
    with engine.open(place, kept.database, job.token) as session:
        _compare(engine, session, kept, work.restore)
    (kept.folder / _NOTE).unlink(missing_ok=True)
    done = [f"restored {', '.join(work.restore)}"] if work.restore else []
    return "; ".join([*done, *([f"dropped {', '.join(work.drop)}"] if work.drop else [])])


def _work(dumper: Dumper, session: Session, kept: Kept, run: str, *, overwrite: bool) -> _Work:
    engine = dumper.engine
    marks = _marks(engine, session, run)
    differing = _tables(dumper, session, kept)
    interrupted = _interrupted(kept.folder)
    present = set(engine.tables(session))
    candidates = sorted({*differing, *interrupted, *(name for name in marks if name in kept.content.tables)})
    now = {
        name: TableMeasure(rows=m.rows, checksum=m.checksum)
        for name, m in engine.measure(session, [name for name in candidates if name in present]).items()
    }
    restore, drop, foreign = [], [], []
    for name in candidates:
        before, held = kept.content.tables.get(name), now.get(name)
        if name not in {*differing, *interrupted} and before in (held, marks[name]):
            # Its rows are as they were, or were when our change was made: then others wrote them since.
            continue
        if overwrite or name in interrupted or held is None or held in (marks.get(name), before):
            if before is not None:
                restore.append(name)
            elif held is not None:
                drop.append(name)
        else:
            foreign.append(_loss(name, held, before, marks.get(name)))
    if foreign:
        raise StepFailed(
            f"others changed what this would overwrite: {'; '.join(foreign)}. Nothing was restored",
            f"`remediate backups restore {kept.id} --into NEW_DATABASE`, and merge by hand; or sign that it "
            "may be lost: `remediate decide RUN STEP TARGET overwrite --key KEY`",
        )
    return _Work(restore, drop)


def _tables(dumper: Dumper, session: Session, kept: Kept) -> set[str]:
    """Tables whose definition (or index, constraint, trigger) is not as it was."""
    names = changed(kept.content.schema_, digests(dumper.engine, session, kept.tables))
    owners = {**dumper.owners(session), **kept.origin.owners}
    others = [n for n in names if not n.startswith("table ") and n not in owners]
    if others:
        raise StepFailed(
            f"{', '.join(others)} changed, and can't be put back alone. By hand: "
            f"`remediate backups restore {kept.id} --into NEW_DATABASE`, and take the definitions from there"
        )
    return {owners.get(name, name.removeprefix("table ")) for name in names}


def _marks(engine: Engine, session: Session, run: str) -> dict[str, TableMeasure]:
    """What each table held after the last change of this run that is still there."""
    if not engine.columns(session, MARKS):
        return {}
    found = session.rows(
        f"SELECT tables FROM {MARKS} WHERE run = %s ORDER BY at, step, part",  # noqa: S608 - a constant
        (run,),
    )
    measures: dict[str, TableMeasure] = {}
    for (text,) in found:
        held: Mapping[str, Mapping[str, object]] = json.loads(text)
        measures |= {name: TableMeasure.model_validate(m) for name, m in held.items()}
    return measures


def _interrupted(folder: Path) -> set[str]:
    """Tables that an earlier attempt of this had begun to put back."""
    try:
        note = json.loads((folder / _NOTE).read_bytes())
    except FileNotFoundError:
        return set()
    return {*note["restore"], *note["drop"]}


def _loss(name: str, held: TableMeasure, before: TableMeasure | None, marked: TableMeasure | None) -> str:
    """What a restore of this table would lose, as far as counts tell."""
    then = "did not exist" if before is None else f"had {before.rows} rows"
    after = "the run noted nothing about it" if marked is None else f"our change left {marked.rows} rows"
    return f"table {name} {then} at the backup, {after}, and it has {held.rows} rows now with other contents"


def _compare(engine: Engine, session: Session, kept: Kept, restored: list[str]) -> None:
    differ = changed(kept.content.schema_, digests(engine, session, kept.tables))
    now = engine.measure(session, restored)
    differ += [
        f"rows of {name}"
        for name, m in now.items()
        if kept.content.tables[name] != TableMeasure(rows=m.rows, checksum=m.checksum)
    ]
    if differ:
        raise StepFailed(f"after the restore these still differ: {', '.join(differ)}")
