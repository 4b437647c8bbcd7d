"""Time that only moves when somebody waits, and the end of a process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


class Crash(BaseException):
    """The process dies here: nothing after this line happens."""


@dataclass
class Clock:
    """The clock on the wall, which somebody may set, and under it one that nobody can."""

    now: float = START.timestamp()
    _set: float = 0.0

    def __call__(self) -> float:
        return self.now

    @property
    def monotonic(self) -> float:
        """Seconds that truly passed, from some start."""
        return self.now - self._set

    def jump(self, seconds: float) -> None:
        """Somebody sets it forward, or back."""
        self.now += seconds
        self._set += seconds
