"""A dump is stored, then the stored bytes are restored elsewhere and compared with what was dumped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from remediate.adapters.backups.content import changed, differences, digests, look
from remediate.adapters.backups.manifest import Content
from remediate.adapters.backups.store import Stored, pour, store
from remediate.adapters.databases.dumps.interface import Dumper, Job, Snapshot
from remediate.adapters.databases.dumps.scratch import scratch_server
from remediate.adapters.databases.endpoint import Endpoint
from remediate.adapters.databases.engine import endpoint
from remediate.errors import RemediateError, StepFailed
from remediate.model.base import Frozen, sha256
from remediate.model.step import Context

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """What is dumped, and what is asked of it."""

    place: Endpoint
    database: str
    tables: tuple[str, ...] | None
    queries: tuple[str, ...]
    may_be_empty: bool = False


class Origin(Frozen):
    """What a copy must know of the database and server that it comes from; see `Dumper`."""

    attributes: dict[str, str]
    parts: dict[str, list[int]]
    owners: dict[str, str]
    users: list[str]
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Dumped:
    """A stored dump, and what the database held at its instant. ``seconds`` is how long the dump took."""

    stored: Stored
    content: Content
    origin: Origin
    seconds: float


def dump(dumper: Dumper, source: Source, folder: Path, recipients: tuple[str, ...], job: Job) -> Dumped:
    """Store a dump, while a session that sees the same instant measures what must be in it.

    Raises:
        StepFailed: it is empty, not whole, or the database's definitions were changed meanwhile.
    """
    began = time.monotonic()
    with (
        dumper.snapshot(source.place, source.database, source.tables, job) as snapshot,
        ThreadPoolExecutor(1, thread_name_prefix="measure") as pool,
    ):
        number = snapshot.session.number
        looking = pool.submit(_look, dumper, snapshot, source)
        try:
            stream = _while_well(looking, snapshot.stream)
            stored = store(folder, f"dump.{dumper.suffix}", stream, recipients)
        except Exception:
            _end(dumper, source, number)
            raise
        content, origin = looking.result()
    with dumper.engine.open(source.place, source.database, job.token) as session:
        now = digests(dumper.engine, session, source.tables)
    if names := changed(content.schema_, now):
        raise StepFailed(
            f"somebody changed {', '.join(names)} while the dump was made; it is not used",
            "find out who changes the schema, or choose another time",
        )
    return Dumped(stored, content, origin, time.monotonic() - began)


def _look(dumper: Dumper, snapshot: Snapshot, source: Source) -> tuple[Content, Origin]:
    session = snapshot.session
    origin = Origin(
        attributes=dumper.attributes(session),
        parts=dumper.parts(session),
        owners=dumper.owners(session),
        users=dumper.users(session),
        versions=dumper.versions(session),
    )
    content = look(dumper.engine, session, source.tables, source.queries)
    if not content.rows and not source.may_be_empty:
        what = "no rows in any table" if content.tables else "no tables"
        raise StepFailed(
            f"the database {source.database} has {what}: a backup of nothing protects nothing",
            "if that is right, say may_be_empty=True",
        )
    snapshot.seen()
    return content, origin


def _while_well(looking: Future[T], pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, for as long as the other thread has no reason to give up."""
    for piece in pieces:
        if looking.done():
            looking.result()
        yield piece


def _end(dumper: Dumper, source: Source, number: int) -> None:
    """The session that measures could take hours more; nobody waits for its answer now."""
    with suppress(RemediateError), dumper.engine.open(source.place, "") as session:
        dumper.engine.end(session, number)


@dataclass(frozen=True, slots=True)
class Copy:
    """Where a copy is made."""

    place: Endpoint
    database: str
    private: bool = True
    """Whether the server is there for this copy alone."""


@contextmanager
def scratch(context: Context, dumper: Dumper, database: str, server: str | None) -> Iterator[Copy]:
    """Where a copy can be restored: a private server, or a database of its own on another target's server.

    Raises:
        StepFailed: there is no such server, or it does not answer.
    """
    token = context.token
    if server is None:
        # The same name: routines and views of some servers say it.
        with scratch_server(dumper.recipe, str(token)) as place:
            yield Copy(place, database)
        return
    if server not in context.peers:
        raise StepFailed(
            f"scratch={server!r} is none of the plan's hosts",
            "name it in the runbook's peers, and plan again",
        )
    place = endpoint(replace(context, target=context.peers[server]), dumper.engine.name)
    name = "remediate_scratch_" + sha256(f"{token.run}/{token.step}/{context.target.name}".encode())[:16]
    try:
        # An attempt that was killed may have left it.
        _drop(context, dumper, place, name)
        yield Copy(place, name, private=False)
    finally:
        _drop(context, dumper, place, name)


def _drop(context: Context, dumper: Dumper, place: Endpoint, name: str) -> None:
    context.clients.fence()
    with dumper.engine.open(place, "") as session:
        dumper.engine.drop(session, name)


def load(
    dumper: Dumper, copy: Copy, origin: Origin, folder: Path, stored: Stored, identity: str, job: Job
) -> float:
    """Restore a stored dump into a new database; returns the seconds that it took.

    Raises:
        StepFailed: the file is damaged, the database exists, or the dump can't be loaded.
    """
    began = time.monotonic()
    with dumper.engine.open(copy.place, "") as session:
        if copy.private:
            dumper.admit(session, origin.users)
        dumper.create(session, copy.database, origin.attributes)
    with dumper.loading(copy.place, copy.database, job) as loader:
        pour(folder, stored, loader.write, identity)
        loader.finish()
    return time.monotonic() - began


def compare(dumper: Dumper, copy: Copy, wanted: Content, source: Source) -> None:
    """The copy holds what the manifest says.

    Raises:
        StepFailed: it does not; names the differences.
    """
    with dumper.engine.open(copy.place, copy.database) as session:
        found = look(dumper.engine, session, source.tables, source.queries)
    if differ := differences(wanted, found):
        raise StepFailed(f"the restored copy is not what was dumped: {'; '.join(differ)}")
