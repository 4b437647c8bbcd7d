"""A backup by the author's own commands: what one prints is kept, and another one is given it back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from remediate.adapters.backups.manifest import Manifest, noted, seal, sealed, vault_of, whole
from remediate.adapters.backups.settings import BackupSettings
from remediate.adapters.backups.store import Stored, pour, store
from remediate.adapters.backups.stream import only_read, program, silenced
from remediate.adapters.hosts.step import HostStep, rendered
from remediate.errors import StepFailed
from remediate.model.base import State
from remediate.model.step import CheckResult, Context, Estimate, Level, Probe, Result, Role, StepClass


class CommandBackup(HostStep):
    """Keep what ``dump`` prints on the host; an undo gives it to ``load`` on stdin.

    ``check`` gets the stored bytes on stdin and must succeed, or nothing is changed. Without ``load`` this
    puts nothing back: the change must have an undo of its own, or another backup beside this one.
    """

    kind: ClassVar[str] = "command-backup"
    filled: ClassVar[tuple[str, ...]] = ("dump", "load", "check", "what")
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    role: ClassVar[Role] = Role.BACKUP
    level: ClassVar[Level | None] = Level.STORED
    default_estimate: ClassVar[Estimate] = Estimate(apply=60.0, verify=5.0, undo=60.0)

    dump: tuple[str, ...] = Field(min_length=1)
    load: tuple[str, ...] | None = Field(default=None, min_length=1)
    check: tuple[str, ...] | None = Field(default=None, min_length=1)
    what: str = Field(min_length=1)

    def title(self) -> str:
        """One line."""
        back = "" if self.load else ", to be put back by hand"
        return f"back up {self.what} by {self.dump[0]}{back}"

    @property
    def restores(self) -> bool:
        """By the author's command."""
        return self.load is not None

    def observe(self, context: Context) -> State:  # noqa: ARG002
        """Nothing: what the command prints may be anything, and large."""
        return {}

    def apply(self, context: Context) -> Result:
        """Store what the command prints, then show the stored bytes to ``check``."""
        settings, vault = BackupSettings.of(context.target), vault_of(context)
        vault.begin()
        taken, began = time.time(), time.monotonic()
        with only_read():
            with program(context, self._words(context, self.dump)) as dumping:
                stored = store(vault.folder, "output", dumping.output(), settings.recipients)
            if not stored.raw_size:
                raise StepFailed(
                    f"{dumping.name} printed nothing: a backup of nothing protects nothing",
                    "let the command write to its standard output",
                )
            seconds = time.monotonic() - began
            if self.check:
                self._give(context, self.check, stored)
        manifest = Manifest(
            **Manifest.about(context, taken, settings.keep_days),
            kind=self.kind,
            what=rendered(context.target, self.what),
            level=Level.STORED,
            versions={},
            stored=stored,
            dump_seconds=round(seconds, 3),
            data={"dump": list(self.dump), "load": None if self.load is None else list(self.load)},
        )
        digest = seal(vault, manifest)
        seen = f"; {self.check[0]} accepts them" if self.check else ""
        return Result(
            changed=False,
            summary=f"kept {stored.raw_size} bytes of {manifest.what} in {stored.size}"
            f"{', encrypted' * bool(stored.encryption)}{seen}",
            data={"manifest": digest, "backup": manifest.id, "bytes": stored.size},
        )

    def _words(self, context: Context, argv: Sequence[str]) -> list[str]:
        return [rendered(context.target, word) for word in argv]

    def _give(self, context: Context, argv: Sequence[str], stored: Stored, *, changes: bool = False) -> str:
        """Start a command with the stored bytes on its stdin; returns its name."""
        identity = BackupSettings.of(context.target).identity
        key = context.secrets.resolve(identity) if identity else ""
        with program(context, self._words(context, argv), changes=changes) as taking:
            pour(vault_of(context).folder, stored, taking.write, key)
            taking.finish()
        return taking.name

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """The stored bytes have the hashes that were noted."""
        return whole(context)

    def quiesce(self, context: Context) -> bool:
        """Whether no command of any attempt goes on; ends those that do."""
        return silenced(context)

    def probe(self, context: Context) -> Probe:
        """A backup is there when it was sealed, and noted."""
        return sealed(context)

    def undo(self, context: Context) -> Result:
        """Give the stored bytes to ``load``."""
        if not context.data.get("manifest"):
            return Result(changed=False, summary="no backup was completed, so no change was made after it")
        manifest = noted(context)
        if self.load is None:
            return Result(changed=False, summary=f"{manifest.what}: this backup has no command that loads it")
        name = self._give(context, self.load, manifest.stored, changes=True)
        return Result(summary=f"{name} took the {manifest.stored.raw_size} bytes of {manifest.what}")

    def release(self, context: Context) -> Result:
        """Delete what was kept."""
        there = vault_of(context).discard()
        super().release(context)
        return Result(changed=there, summary="the copy is deleted" if there else "nothing was kept")
