"""The backup of a database: dumped at one instant, stored, restored elsewhere, and compared."""

from __future__ import annotations

import re
import time
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from remediate.adapters.ansible import processes
from remediate.adapters.backups import proof
from remediate.adapters.backups.manifest import Manifest, noted, seal, sealed, vault_of, whole
from remediate.adapters.backups.putback import kept_in, put_back
from remediate.adapters.backups.settings import BackupSettings
from remediate.adapters.databases.dumps.interface import Dumper, Job, dumper_named
from remediate.adapters.databases.engine import endpoint
from remediate.adapters.databases.facts import schema_facts
from remediate.adapters.hosts.attempts import tokens
from remediate.adapters.hosts.step import rendered
from remediate.errors import InDoubt, StepFailed
from remediate.model.base import State
from remediate.model.results import UNDO_SECONDS
from remediate.model.step import (
    CheckResult,
    Context,
    Estimate,
    Level,
    Probe,
    Result,
    Role,
    Step,
    StepClass,
)

#: Nothing that a program could take for an option or a connection string.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_$.-]{0,62}")
TableName = Annotated[str, Field(pattern=r"^[^-`\"\s\x00-\x1f][^`\"\x00-\x1f]{0,126}$")]


class DatabaseBackup(Step):
    """Keep a database as it is at one instant, proved by restoring it.

    ``queries`` are asked of the source and of the restored copy; their answers must be the same. ``scratch``
    names another host whose server takes the copy; by default a private server on this machine does.
    """

    kind: ClassVar[str] = "database-backup"
    filled: ClassVar[tuple[str, ...]] = ("database",)
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    role: ClassVar[Role] = Role.BACKUP
    level: ClassVar[Level | None] = Level.RESTORED
    default_estimate: ClassVar[Estimate] = Estimate(apply=120.0, verify=10.0, undo=120.0)

    engine: Literal["mariadb", "postgres"]
    database: str = Field(min_length=1)
    queries: tuple[str, ...] = ()
    tables: tuple[TableName, ...] | None = Field(default=None, min_length=1)
    scratch: str | None = None
    may_be_empty: bool = False

    def title(self) -> str:
        """One line."""
        what = f"{self._dumper.engine.title} database {self.database}"
        some = f", tables {', '.join(self.tables)}," if self.tables else ""
        return f"back up the {what}{some} and prove it by a restore"

    def name(self, context: Context) -> str:
        """The database, with the target's values filled in."""
        name = rendered(context.target, self.database)
        if not _NAME.fullmatch(name):
            raise StepFailed(f"{name!r} is no name of a database that its programs can take")
        return name

    @property
    def _dumper(self) -> Dumper:
        return dumper_named(self.engine)

    def observe(self, context: Context) -> State:
        """The definitions of the database, by digests; none of its rows."""
        engine = self._dumper.engine
        with engine.open(endpoint(context, self.engine), self.name(context)) as session:
            return schema_facts(engine, session, self.name(context))

    def apply(self, context: Context) -> Result:
        """Dump, store, restore the stored bytes, compare."""
        try:
            return self._back_up(context)
        except InDoubt as error:
            # Whatever was lost, the database was only read.
            raise StepFailed(f"{error.problem}; nothing was changed", error.advice) from None

    def _back_up(self, context: Context) -> Result:
        dumper, settings = self._dumper, BackupSettings.of(context.target)
        job = Job(str(context.token), time.monotonic() + context.timeout)
        vault = vault_of(context)
        vault.begin()
        taken = time.time()
        name = self.name(context)
        place = endpoint(context, self.engine)
        source = proof.Source(place, name, self.tables, self.queries, self.may_be_empty)
        dumped = proof.dump(dumper, source, vault.folder, settings.recipients, job)
        identity = context.secrets.resolve(settings.identity) if settings.identity else ""
        with proof.scratch(context, dumper, name, self.scratch) as copy:
            seconds = proof.load(dumper, copy, dumped.origin, vault.folder, dumped.stored, identity, job)
            proof.compare(dumper, copy, dumped.content, source)
        manifest = Manifest(
            **Manifest.about(context, taken, settings.keep_days),
            kind=self.kind,
            what=f"{dumper.engine.title} database {name}",
            level=Level.RESTORED,
            versions=dumped.origin.versions,
            stored=dumped.stored,
            dump_seconds=round(dumped.seconds, 3),
            restore_seconds=round(seconds, 3),
            data={
                "engine": self.engine,
                "database": name,
                "tables": None if self.tables is None else [*self.tables],
                "queries": [*self.queries],
                "origin": dumped.origin.model_dump(mode="json"),
                "content": dumped.content.model_dump(mode="json"),
            },
        )
        digest = seal(vault, manifest)
        return Result(
            changed=False,
            summary=_proved(manifest, dumped.content.rows, len(dumped.content.tables), len(self.queries)),
            data={
                "manifest": digest,
                "backup": manifest.id,
                "bytes": dumped.stored.size,
                "rows": dumped.content.rows,
                "dump_seconds": manifest.dump_seconds,
                UNDO_SECONDS: manifest.restore_seconds,
            },
        )

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """The stored bytes have the hashes that were noted."""
        return whole(context)

    def quiesce(self, context: Context) -> bool:
        """Whether no program, scratch server or session of any attempt is left; ends those that are."""
        names = tokens(context)
        if not processes.end([f"{processes.TOKEN}={name}" for name in names]):
            return False
        engine = self._dumper.engine
        with engine.open(endpoint(context, self.engine), "") as session:
            left = [number for name in names for number in engine.sessions(session, name)]
            for number in left:
                engine.end(session, number)
            return not any(engine.sessions(session, name) for name in names)

    def probe(self, context: Context) -> Probe:
        """A backup is there when it was sealed, and noted."""
        return sealed(context)

    def undo(self, context: Context) -> Result:
        """Put back what differs, if it is all ours; whatever others wrote stays."""
        if not context.data.get("manifest"):
            return Result(changed=False, summary="no backup was completed, so no change was made after it")
        manifest, settings = noted(context), BackupSettings.of(context.target)
        job = Job(str(context.token), time.monotonic() + context.timeout)
        identity = context.secrets.resolve(settings.identity) if settings.identity else ""
        place = endpoint(context, self.engine)
        done = put_back(
            context, self._dumper, place, kept_in(vault_of(context).folder, manifest), identity, job
        )
        return Result(
            changed=bool(done), summary=done or "the definitions are as kept; rows stay as they are"
        )

    def release(self, context: Context) -> Result:
        """Delete the dump."""
        there = vault_of(context).discard()
        return Result(changed=there, summary="the dump is deleted" if there else "nothing was kept")


def _proved(manifest: Manifest, rows: int, tables: int, queries: int) -> str:
    """What the summary may claim, and no more."""
    asked = f" and the answers to {queries} quer{'y' if queries == 1 else 'ies'}" if queries else ""
    return (
        f"kept {tables} table{'s' * (tables != 1)} with {rows} rows in {manifest.stored.size} bytes"
        f"{', encrypted' if manifest.stored.encryption else ''}; the stored bytes were restored in "
        f"{manifest.restore_seconds:.1f} s, and all definitions, row counts and checksums{asked} are the same"
    )
