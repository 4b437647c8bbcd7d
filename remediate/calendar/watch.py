"""Whether a change freeze is on, asked again and again while a run goes on and the files may change."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from remediate.calendar import Freeze, load_freezes
from remediate.errors import RemediateError

#: How far ahead occurrences are worked out at once, so that most questions cost no more than a look at the
#: files.
_AHEAD = timedelta(hours=1)


class FreezeWatch:
    """The freezes of these calendar files as they are when they are asked for. Safe on any thread."""

    def __init__(self, paths: Sequence[Path], timezone: ZoneInfo) -> None:
        self._paths, self._timezone = tuple(paths), timezone
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._from = self._until = datetime.min.replace(tzinfo=UTC)
        self._near: tuple[Freeze, ...] = ()

    def why(self, now: float) -> str:
        """The freeze that is on at this time (epoch seconds), in words; empty if there is none.

        A file that can't be read is a reason too: never taken for "no freeze".
        """
        if not self._paths:
            return ""
        at = datetime.fromtimestamp(now, UTC)
        with self._lock:
            try:
                self._refresh(at)
            except RemediateError as error:
                self._seen = ()
                return error.problem
            on = [f for f in self._near if f.start <= at < f.end]
        return "; ".join(f"change freeze: {f}" for f in on)

    def _refresh(self, at: datetime) -> None:
        seen = tuple(map(_mark, self._paths))
        if seen == self._seen and self._from <= at < self._until:
            return
        until = at + _AHEAD
        self._near = load_freezes(self._paths, self._timezone).conflicts(at, until)
        self._seen, self._from, self._until = seen, at, until


def _mark(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino
