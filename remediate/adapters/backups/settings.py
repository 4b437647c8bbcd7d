"""What the project says about backups (`[backups]` in remediate.toml), as each target's variables hold it."""

from __future__ import annotations

from dataclasses import dataclass

from remediate.model.target import Target

PREFIX = "remediate_backup_"
_KEEP_DAYS = 14


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """Who can read backups of a target, and for how long they are kept.

    ``recipients`` are public keys of age or SSH; none means that backups are not encrypted. ``identity`` is a
    secret reference to the private key that reads them.
    """

    recipients: tuple[str, ...] = ()
    identity: str = ""
    keep_days: int = _KEEP_DAYS

    @classmethod
    def of(cls, target: Target) -> BackupSettings:
        """Of one target."""
        recipients = target.vars.get(f"{PREFIX}recipients", [])
        days = target.vars.get(f"{PREFIX}keep_days", _KEEP_DAYS)
        return cls(
            recipients=tuple(str(one) for one in recipients) if isinstance(recipients, list | tuple) else (),
            identity=str(target.vars.get(f"{PREFIX}identity", "")),
            keep_days=days if isinstance(days, int) else _KEEP_DAYS,
        )
