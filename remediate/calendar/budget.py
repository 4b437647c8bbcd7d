"""The time budget: what may still begin before a window ends. Pure functions; durations in seconds."""

from __future__ import annotations

from datetime import datetime, timedelta

from remediate.model.change import Window


def latest_start(window_end: datetime, step: float, verify: float, undo: float) -> datetime:
    """The point of no return of a step: begun later, its rollback would not be over by the window's end.

    Raises:
        ValueError: a duration is negative, infinite or not a number.
    """
    return window_end - _span(step, verify, undo)


def fits(now: datetime, window: Window, apply: float, verify: float, undo_total: float) -> bool:
    """Whether a forward step may begin now: the window is open, and ``now + apply + verify + undo_total``
    is not after its end. ``undo_total`` is the rollback of everything, this step included.

    Raises:
        ValueError: a duration is negative, infinite or not a number.
    """
    return window.start <= now <= latest_start(window.end, apply, verify, undo_total)


def _span(*durations: float) -> timedelta:
    for value in durations:
        if not 0 <= value < float("inf"):
            raise ValueError(f"not a duration in seconds: {value!r}")
    try:
        return timedelta(seconds=sum(durations))
    except OverflowError:
        return timedelta.max
