"""What is written down about a backup; it is sealed last, and its digest is kept in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, JsonValue, ValidationError

from remediate.adapters.backups.store import Stored, check
from remediate.adapters.hosts.vault import Vault
from remediate.errors import StepFailed
from remediate.model.base import Frozen, sha256
from remediate.model.step import CheckResult, Context, Level, Probe, Verdict
from remediate.model.wording import problems

FORMAT = "remediate.backup/1"
_DAY = 86400.0
#: Until the year 9999, with which calendars end.
_Time = Annotated[float, Field(ge=0, lt=253402300800)]


class TableMeasure(Frozen):
    """What a table held."""

    rows: int
    checksum: str


class Content(Frozen):
    """What a database held at one instant: equal contents mean equal databases.

    ``schema_`` has a digest for each definition, ``answers`` the sorted rows of the author's queries.
    """

    tables: dict[str, TableMeasure]
    schema_: dict[str, str]
    answers: dict[str, list[list[str | None]]]

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables.values())


class Manifest(Frozen):
    """One backup. Times are epoch seconds, durations seconds, sizes bytes.

    ``data`` is what its kind needs to restore it.
    """

    format: str = FORMAT
    id: str
    run: str
    step: str
    target: str
    kind: str
    what: str
    """In words: ``MariaDB database shop``."""
    taken: _Time
    keep_until: _Time
    level: Level
    versions: dict[str, str]
    stored: Stored
    beside: tuple[Stored, ...] = ()
    """Further files of this backup, without which it can't be put back."""
    dump_seconds: float
    restore_seconds: float | None = None
    data: dict[str, JsonValue] = {}

    @classmethod
    def about(cls, context: Context, taken: float, keep_days: int) -> dict[str, Any]:
        """What every manifest says, as far as the context knows it."""
        token = context.token
        name = f"{token.run}/{token.step}/{context.target.name}/{taken}"
        return {
            "id": sha256(name.encode())[:12],
            "run": token.run,
            "step": token.step,
            "target": context.target.name,
            "taken": taken,
            "keep_until": taken + keep_days * _DAY,
        }

    @property
    def taken_at(self) -> str:
        """In UTC, to the second."""
        return f"{datetime.fromtimestamp(self.taken, UTC):%Y-%m-%d %H:%M:%S}"


def vault_of(context: Context) -> Vault:
    """Where this context's backup lies."""
    return Vault.of(context.workspace, context.target.name)


def seal(vault: Vault, manifest: Manifest) -> str:
    """Write it down; returns the digest to be remembered."""
    return vault.seal(manifest.model_dump(mode="json"))


def read(vault: Vault, digest: str) -> Manifest:
    """The manifest with this digest.

    Raises:
        StepFailed: it is missing, was changed, or was written by another version.
    """
    return _parsed(vault.open(digest), vault.folder)


def _parsed(raw: Mapping[str, Any], folder: Path) -> Manifest:
    if raw.get("format") != FORMAT:
        raise StepFailed(f"{folder}: a backup of the format {raw.get('format')!r} can't be read")
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        raise StepFailed(f"{folder}: the manifest can't be read: {problems(error)[0]}") from None


def noted(context: Context) -> Manifest:
    """The manifest whose digest the context's step noted, its file hashed again.

    Raises:
        StepFailed: it, or the file that it names, is not what was stored.
    """
    vault = vault_of(context)
    manifest = read(vault, str(context.data.get("manifest", "")) or vault.digest())
    for stored in (manifest.stored, *manifest.beside):
        check(vault.folder, stored)
    return manifest


def whole(context: Context) -> tuple[CheckResult, ...]:
    """A step's own verification: the stored bytes have the hashes that were noted."""
    manifest = noted(context)
    actual = f"{manifest.stored.size} bytes with the right hash in {vault_of(context).folder}"
    return (CheckResult(title="the backup is whole", ok=True, expected="its hash is right", actual=actual),)


def sealed(context: Context) -> Probe:
    """A backup is there when it was sealed, and noted: without its hash nothing could vouch for it later."""
    vault = vault_of(context)
    mine = vault.sealed() and context.data.get("manifest") == vault.digest()
    verdict = Verdict.APPLIED if mine else Verdict.NOT_APPLIED
    return Probe(verdict=verdict, evidence=f"{vault.folder} holds {'the' if mine else 'no'} noted backup")
