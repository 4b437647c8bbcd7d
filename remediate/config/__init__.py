"""The project's settings: `remediate.toml`, read once, typed and frozen.

Paths in the file are relative to the folder that holds it. Scalar settings that concern one machine can be
overridden by the variables in `ENVIRONMENT`; whoever may approve what can not, because that is agreed in
the file and reviewed with it.
"""

from __future__ import annotations

import os
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError, model_validator

from remediate.config.explain import explain, place
from remediate.config.sections import (
    Approval,
    Audit,
    Backups,
    CalendarSection,
    CredentialSection,
    Journal,
    Limits,
    Person,
    Project,
    Proof,
    Ssh,
    TicketSection,
)
from remediate.errors import InputError
from remediate.model.base import Frozen

FILE = "remediate.toml"

#: Environment variable -> section and key that it overrides. `REMEDIATE_PROJECT` names the folder itself.
ENVIRONMENT: dict[str, tuple[str, str]] = {
    "REMEDIATE_INVENTORY": ("project", "inventory"),
    "REMEDIATE_RUNBOOKS": ("project", "runbooks"),
    "REMEDIATE_STATE": ("project", "state"),
    "REMEDIATE_PLAN_EXPIRY": ("project", "plan_expiry"),
    "REMEDIATE_SSH_KNOWN_HOSTS": ("ssh", "known_hosts"),
    "REMEDIATE_CALENDAR_TIMEZONE": ("calendar", "timezone"),
    "REMEDIATE_TICKET_SYSTEM": ("ticket", "system"),
    "REMEDIATE_JOURNAL_PATH": ("journal", "path"),
    "REMEDIATE_LIMITS_PARALLEL": ("limits", "parallel"),
    "REMEDIATE_LIMITS_CONNECT_TIMEOUT": ("limits", "connect_timeout"),
    "REMEDIATE_LIMITS_STEP_TIMEOUT": ("limits", "step_timeout"),
}


class Config(Frozen):
    """All settings of a project. ``root`` is the folder that holds `remediate.toml`."""

    root: Path
    project: Project = Project()
    ssh: Ssh = Ssh()
    people: dict[str, Person] = {}
    approval: Approval = Approval()
    calendar: CalendarSection = CalendarSection()
    ticket: TicketSection = TicketSection()
    journal: Journal = Journal()
    audit: Audit = Audit()
    limits: Limits = Limits()
    backups: Backups = Backups()
    proof: Proof = Proof()
    credentials: CredentialSection = CredentialSection()

    @model_validator(mode="after")
    def _one_person_per_alias(self) -> Config:
        # Otherwise somebody could approve their own plan under the name they share.
        owner: dict[str, str] = {}
        for name, alias in self._aliases():
            other = owner.setdefault(_fold(alias), name)
            if other != name:
                raise ValueError(f"people: {alias!r} belongs to both {other!r} and {name!r}")
        return self

    @model_validator(mode="after")
    def _plain_known_hosts(self) -> Config:
        # Ansible hands it to ssh inside an option, and a colon stands between two files.
        if (path := self.known_hosts) and (strange := re.search(r"[\"'\\\s{}%:]", str(path))):
            raise ValueError(f"ssh.known_hosts: {str(path)!r}: ssh can't take {strange[0]!r} in this path")
        return self

    def _aliases(self) -> Iterator[tuple[str, str]]:
        for name, person in self.people.items():
            yield name, name
            for alias in (*person.principals, *person.logins):
                yield name, alias

    @cached_property
    def _owners(self) -> dict[str, str]:
        return {_fold(alias): name for name, alias in self._aliases()}

    def find_person(self, alias: str) -> str | None:
        """The name of the person with this name, principal, login or address; None if it is nobody's.

        Case doesn't matter, nor does a display name around an address (``Ann <ann@example.org>``).
        """
        for form in _forms(alias):
            if form in self._owners:
                return self._owners[form]
        return None

    def person(self, alias: str) -> str:
        """Like `find_person`, but an alias that is nobody's stands for itself, folded for comparison."""
        return self.find_person(alias) or _forms(alias)[-1]

    def path(self, value: Path) -> Path:
        """An absolute path; relative ones start at the project folder, ``~`` is the home folder."""
        return self.root / value.expanduser()

    @property
    def inventory(self) -> Path:
        """Absolute path of the default inventory."""
        return self.path(self.project.inventory)

    @property
    def runbooks(self) -> Path:
        """Absolute path of the folder of runbooks."""
        return self.path(self.project.runbooks)

    @property
    def state(self) -> Path:
        """Absolute path of the folder of journal, backups and workspaces."""
        return self.path(self.project.state)

    @property
    def journal_path(self) -> Path:
        """Absolute path of the journal."""
        return self.path(self.journal.path) if self.journal.path else self.state / "journal.db"

    @property
    def journal_key(self) -> Path:
        """Absolute path of the key that signs the journal's checkpoints."""
        return self.path(self.audit.key) if self.audit.key else self.journal_path.with_suffix(".key")

    @property
    def known_hosts(self) -> Path | None:
        """Absolute path of the known hosts file, if the project has its own."""
        return self.path(self.ssh.known_hosts) if self.ssh.known_hosts else None

    @property
    def timezone(self) -> ZoneInfo:
        """The zone of times that are written without one."""
        return ZoneInfo(self.calendar.timezone)


def _fold(alias: str) -> str:
    return unicodedata.normalize("NFKC", alias).strip().casefold()


def _forms(alias: str) -> tuple[str, ...]:
    """The spellings of one alias, the most exact last."""
    folded = _fold(alias)
    address = re.fullmatch(r".*<([^<>\s]+)>", folded)
    return (folded, address[1]) if address else (folded,)


def find_project(start: Path | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """The nearest folder with a `remediate.toml`: ``start`` (default: ``$REMEDIATE_PROJECT``, else here) or
    one above it.

    Raises:
        InputError: there is none up to the root.
    """
    named = (os.environ if environ is None else environ).get("REMEDIATE_PROJECT")
    begin = (start or Path(named or ".")).expanduser().absolute()
    for folder in (begin, *begin.parents):
        if (folder / FILE).is_file():
            return folder
    raise InputError(
        f"{begin}: no {FILE} here or in any folder above",
        "go to the project, or name it with --project DIR or REMEDIATE_PROJECT",
    )


def load_config(project: Path, environ: Mapping[str, str] | None = None) -> Config:
    """The settings in ``project/remediate.toml``, with the overrides of the environment.

    Raises:
        InputError: names the file, the line where it is known, the field, and for an unknown key the one
            that was probably meant.
    """
    root = project.expanduser().absolute()
    file = root / FILE
    try:
        text = file.read_bytes().decode()
        raw = tomllib.loads(text)
    except OSError as error:
        raise InputError(
            f"{file}: can't be read: {error.strerror}", "name the project with --project"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 at byte {error.start}", "save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: not TOML: {error}", "mend the file at that place") from None
    if "root" in raw:
        raise InputError(place(file, text, ("root",)) + "unknown key 'root'", "remove it")
    sources = _override(raw, os.environ if environ is None else environ)
    try:
        return Config.model_validate({**raw, "root": root})
    except ValidationError as error:
        raise explain(Config, error, file, text, sources) from None


def _override(raw: dict[str, Any], environ: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Put the environment's settings into ``raw``; says which field came from which variable."""
    for name in sorted(environ):
        if name.startswith(("REMEDIATE_APPROVAL_", "REMEDIATE_PEOPLE_")):
            raise InputError(
                f"{name}: who may approve can't be set by the environment", f"unset it and edit {FILE}"
            )
    sources: dict[tuple[str, ...], str] = {}
    for name, (section, key) in ENVIRONMENT.items():
        if value := environ.get(name):
            table = raw.setdefault(section, {})
            if isinstance(table, dict):
                table[key] = value
                sources[section, key] = name
    return sources
