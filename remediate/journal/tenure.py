"""A process's hold on its run, renewed before it is too old for others to respect."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from remediate.journal.interface import Journal, Lease


def seconds_since_boot() -> float:
    """Seconds that nobody can set, and that pass while the machine sleeps, where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Tenure:
    """Renews one lease, from any thread.

    Its age is the larger of two: others read the clock on the wall to take the run over, and that clock may
    have been set back while this process slept.

    Args:
        lease: just acquired.
        clock: epoch seconds.
        lasts: seconds for which others respect the lease.
        passing: seconds of a clock that nobody sets.
    """

    def __init__(
        self,
        journal: Journal,
        lease: Lease,
        clock: Callable[[], float],
        lasts: float,
        passing: Callable[[], float] = seconds_since_boot,
    ) -> None:
        self._journal, self._lease, self._lasts = journal, lease, lasts
        self._clock, self._passing = clock, passing
        self._lock = threading.Lock()
        self._at, self._passed = clock(), passing()

    def renew(self, parts: int) -> float:
        """Go on holding the run, if one of so many parts of the lease is over.

        Returns:
            Until when others respect it, by the clock that nobody sets.

        Raises:
            StaleLease: another process took over.
        """
        with self._lock:
            now, passed = self._clock(), self._passing()
            age = max(now - self._at, passed - self._passed)
            if age >= self._lasts / parts:
                self._journal.renew(self._lease, now, self._lasts)
                self._at, self._passed, age = now, passed, 0.0
            return passed + self._lasts - age
