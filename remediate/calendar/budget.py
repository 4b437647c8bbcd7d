"""The time budget: what may still begin before a window ends. Pure functions; durations in seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil

from remediate.model.change import Window


def latest_start(window_end: datetime, step: float, verify: float, undo: float) -> datetime:
    """The point of no return of a step: begun later, its rollback would not be over by the window's end.

    Raises:
        ValueError: a duration is negative, infinite or not a number.
    """
    total = _total(step, verify, undo)
    try:
        # Rounded up: a microsecond too early does no harm.
        return window_end - timedelta(microseconds=ceil(total * 1e6))
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def fits(now: datetime, window: Window, apply: float, verify: float, undo_total: float) -> bool:
    """Whether a forward step may begin now: the window is open, and ``now + apply + verify + undo_total``
    is not after its end. ``undo_total`` is the rollback of everything, this step included.

    Raises:
        ValueError: a duration is negative, infinite or not a number.
    """
    return window.start <= now <= latest_start(window.end, apply, verify, undo_total)


def _total(*durations: float) -> float:
    for value in durations:
        if not 0 <= value < float("inf"):
            raise ValueError(f"not a duration in seconds: {value!r}")
    return sum(durations)
