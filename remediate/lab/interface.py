"""What every part of the lab can do: install what it needs, start, stop, tell how it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

#: Everything that the lab writes lives here, whichever clone started it: there is one lab per machine.
HOME = Path("/var/lib/remediate-lab")

#: Told one short line for each thing that takes time.
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Item:
    """One line of ``remediate lab status``."""

    name: str
    address: str
    state: str  # "up", "down", "broken"
    detail: str = ""


class Component(Protocol):
    """A part of the lab. Every method may be repeated, and ``down`` also cleans up after a crash."""

    name: str

    def packages(self) -> tuple[str, ...]:
        """Debian packages that the machine itself needs."""

    def up(self, progress: Progress) -> None:
        """Build what is missing (cached below HOME) and start; a running component is left as it is."""

    def down(self) -> None:
        """Stop and remove everything that runs or is mounted; caches stay."""

    def reset(self, progress: Progress) -> None:
        """Return to the state just after the first ``up``, without building caches again."""

    def status(self) -> tuple[Item, ...]:
        """How each part is right now, read from the machine, not remembered."""
