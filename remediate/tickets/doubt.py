"""Whether an entry may still be on its way to the ticket."""

from __future__ import annotations

NEVER = 2**63


class Doubt:
    """About one entry at a time: posts go one by one, and only without a doubt.

    Args:
        settle: seconds for which the ticket must have answered on end without showing the entry, before it
            is taken for lost.
    """

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._number = 0
        self._calm: float | None = None

    def arise(self, number: int) -> None:
        """The entry up to this event may or may not be taken; `NEVER`: no answer will tell, only time."""
        self._number, self._calm = max(self._number, number), None

    def answered(self, last: int, now: float) -> None:
        """The ticket shows entries up to this event."""
        if last >= self._number:
            self._number = 0
        elif self._calm is None:
            self._calm = now

    def silence(self) -> None:
        """The ticket system does not answer; it may still hold the entry."""
        self._calm = None

    def wait(self, now: float) -> float:
        """Seconds after which to ask again; 0 when the entry is there or can be taken for lost."""
        if not self._number:
            return 0.0
        left = self._settle if self._calm is None else self._calm + self._settle - now
        if left <= 0:
            self._number = 0
            return 0.0
        return min(left, max(1.0, self._settle / 8))
