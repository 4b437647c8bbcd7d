"""What a diagnosis brings home from one target."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from remediate.errors import RemediateError
from remediate.model.clip import clip

#: Characters of one part; the middle of a longer one is left out.
LONGEST_PART = 128 << 10


@dataclass(frozen=True, slots=True)
class Part:
    """One text: ``area`` is one of logs, configuration, resources, changes; ``name`` is its file's."""

    area: str
    name: str
    text: str


@dataclass(slots=True)
class Collected:
    """Everything of one target, gathered bit by bit: what can't be read is noted, and the rest goes on.

    Args:
        target: its name.
        deadline: monotonic seconds after which nothing more is asked.
    """

    target: str
    deadline: float
    parts: list[Part] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """What stands out, a line each: ``failed unit: nginx.service``."""
    missing: list[str] = field(default_factory=list)
    """What could not be read, with the reason."""
    capture: bytes = b""
    problem: str = ""
    """Why nothing at all could be read."""

    def left(self, most: float) -> float:
        """Seconds that the next question may take; 0 when the time is over."""
        return max(0.0, min(most, self.deadline - time.monotonic()))

    def add(self, area: str, name: str, read: Callable[[], str]) -> str:
        """Read one part; returns its text, or nothing if that can't be had."""
        if not self.left(1.0):
            self.missing.append(f"{area}/{name}: the time for this target was over")
            return ""
        try:
            text = clip(read(), LONGEST_PART)
        except Exception as error:  # whatever an adapter raises: the other parts are worth having
            self.missing.append(f"{area}/{name}: {words(error)}")
            return ""
        self.parts.append(Part(area, name, text))
        return text

    def lines(self, area: str) -> list[str]:
        """All lines of an area; of ``findings``, the findings; of ``anywhere``, everything."""
        found = list(self.findings) if area in ("findings", "anywhere") else []
        for part in self.parts:
            if area in (part.area, "anywhere"):
                found += part.text.splitlines()
        return found


def words(error: Exception) -> str:
    """An error in one line."""
    text = error.problem if isinstance(error, RemediateError) else str(error) or type(error).__name__
    return " ".join(text.split())
