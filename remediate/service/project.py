"""An opened project: its settings, journal, secrets and places. Made once per command."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from remediate.adapters.backups.settings import PREFIX
from remediate.config import Config, find_project, load_config
from remediate.credentials import Credentials
from remediate.errors import InputError
from remediate.journal.sqlite import SqliteJournal
from remediate.model.target import Target
from remediate.service.folders import private
from remediate.service.identity import logins, whoami

if TYPE_CHECKING:
    from remediate.calendar import Calendar
    from remediate.inventory import Inventory
    from remediate.tickets.interface import TicketSystem


@dataclass
class Project:
    """A folder with a `remediate.toml` and all that belongs to it.

    ``clock`` gives epoch seconds; tests put their own in.
    """

    config: Config
    clock: Callable[[], float] = time.time
    credentials: Credentials = field(init=False)

    def __post_init__(self) -> None:
        self.credentials = Credentials(self.config)

    @classmethod
    def open(cls, folder: Path | None = None) -> Project:
        """The project in this folder, or the nearest one above the current folder.

        Raises:
            InputError: there is none, or its settings are wrong.
        """
        return cls(load_config(find_project(folder)))

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.config.root

    @cached_property
    def journal(self) -> SqliteJournal:
        """The journal, opened when first needed."""
        return SqliteJournal(self.config.journal_path)

    @cached_property
    def tickets(self) -> TicketSystem:
        """The ticket system that the settings name."""
        from remediate.service.ticketing import open_tickets

        return open_tickets(self.config, self.credentials)

    @cached_property
    def calendar(self) -> Calendar:
        """Freezes of all calendar files.

        Raises:
            Refused: one of them can't be read; never taken for "no freeze".
        """
        from remediate.calendar import load_freezes

        return load_freezes(self._freeze_files, self.config.timezone)

    @cached_property
    def frozen(self) -> Callable[[float], str]:
        """Which change freeze is on at a time (epoch seconds), as the files are then; empty for none."""
        from remediate.calendar.watch import FreezeWatch

        return FreezeWatch(self._freeze_files, self.config.timezone).why

    @property
    def _freeze_files(self) -> list[Path]:
        return [self.config.path(p) for p in self.config.calendar.freezes]

    def inventory(self, path: Path | None = None) -> Inventory:
        """The inventory there, or the project's own, read now.

        Raises:
            InputError: it can't be read.
        """
        from remediate.inventory import Inventory

        return Inventory.load(path.absolute() if path else self.config.inventory, self.root)

    def reached(self, targets: Iterable[Target]) -> tuple[Target, ...]:
        """Targets with the project's own way to reach them, where the inventory doesn't say it.

        Set as the variables that host steps and Ansible both read, so that it stands in the plan.
        """
        settings: dict[str, JsonValue] = {}
        if self.config.known_hosts is not None:
            settings["remediate_known_hosts"] = str(self.config.known_hosts)
        if "connect_timeout" in self.config.limits.model_fields_set:
            # Ansible takes whole seconds.
            settings["ansible_ssh_timeout"] = math.ceil(self.config.limits.connect_timeout)
        everywhere = self._backups()
        return tuple(
            t.model_copy(update={"vars": {**everywhere, **({} if _is_local(t) else settings), **t.vars}})
            for t in targets
        )

    def _backups(self) -> dict[str, JsonValue]:
        """What the file says about backups; nothing where it says nothing."""
        section = self.config.backups
        said = section.model_dump(mode="json", include=section.model_fields_set)
        return {f"{PREFIX}{name}": value for name, value in said.items()}

    @property
    def me(self) -> str:
        """The person at the keyboard."""
        return whoami(self.config)

    @property
    def my_logins(self) -> tuple[str, ...]:
        """All names of the person at the keyboard."""
        return logins()

    def run_folder(self, run: str) -> Path:
        """Where a run keeps its plan, artefact copies and backups; mode 0700."""
        return private(self.config.state / "runs" / run)

    def find_run(self, run: str) -> str:
        """The full id of a run; a unique beginning is enough, ``last`` is the newest.

        Raises:
            InputError: no such run, or more than one.
        """
        runs = self.journal.runs()
        if run == "last" and runs:
            return runs[-1]
        matches = [r for r in runs if r == run] or [r for r in runs if r.startswith(run)]
        if len(matches) == 1:
            return matches[0]
        advice = "`remediate runs` lists them"
        raise InputError(f"{'several runs begin' if matches else 'no run begins'} with {run!r}", advice)

    def scrub(self, text: str) -> str:
        """The text without any secret that this process knows."""
        return self.credentials.scrubber.scrub(text)


def _is_local(target: Target) -> bool:
    return target.vars.get("ansible_connection") in ("local", "ansible.builtin.local")


@cache
def load_extensions() -> None:
    """Import the built-in step types and checks, and those that installed packages bring.

    Called where a plan's steps or checks are built, so that what only reads the journal answers sooner.

    Raises:
        InputError: one of them can't be loaded.
    """
    import remediate.authoring  # noqa: F401 - defining a step type registers it

    for entry in entry_points(group="remediate.steps"):
        try:
            entry.load()
        except Exception as error:
            raise InputError(
                f"the extension {entry.name} ({entry.value}) can't be loaded: {error}",
                "upgrade or remove the package that brings it",
            ) from error
