"""Change freezes from iCalendar files (RFC 5545).

A file that can't be understood whole is a refusal, never "no freeze". Where local time has two readings
(the hours of a clock change), a freeze begins as RFC 5545 says and ends at the later reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from remediate.errors import InputError, Refused
from remediate.model.base import Frozen
from remediate.model.change import Instant

if TYPE_CHECKING:
    from recurring_ical_events import CalendarQuery

#: The longest span that is looked at in one question; it bounds the expansion of recurrences.
LONGEST = timedelta(days=366)

#: How far around the span occurrences are fetched. All-day events are compared by the library in local
#: time without regard to offsets; the exact comparison, in UTC, is done here.
_MARGIN = timedelta(days=2)


class Freeze(Frozen):
    """A time in which nothing may be changed. ``end`` is exclusive."""

    summary: str
    start: Instant
    end: Instant
    source: str
    """The file it stands in."""

    def __str__(self) -> str:
        return f"{self.summary} ({self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC, {self.source})"


@dataclass(frozen=True)
class Calendar:
    """All freezes of all files."""

    files: tuple[tuple[Path, CalendarQuery], ...]
    timezone: ZoneInfo

    def conflicts(self, start: datetime, end: datetime) -> tuple[Freeze, ...]:
        """The freezes that share an instant with ``[start, end)``, in order of time.

        Raises:
            InputError: the span is empty, longer than a year, or without a time zone.
            Refused: a file turned out broken while its recurrences were worked out.
        """
        if start.tzinfo is None or end.tzinfo is None:
            raise InputError("a span without a time zone", "give aware instants")
        if not timedelta(0) < end - start <= LONGEST:
            raise InputError(f"a span from {start} to {end}", "ask for more than nothing, and at most a year")
        found = {f for path, query in self.files for f in self._occurrences(path, query, start, end)}
        return tuple(sorted(found, key=lambda f: (f.start, f.end, f.summary, f.source)))

    def _occurrences(
        self, path: Path, query: CalendarQuery, start: datetime, end: datetime
    ) -> Iterator[Freeze]:
        around = (start.astimezone(self.timezone) - _MARGIN, end.astimezone(self.timezone) + _MARGIN)
        try:
            for event in query.between(*around):
                if str(event.get("STATUS", "")).upper() == "CANCELLED":
                    continue
                freeze = self._freeze(path, event)
                # An event without a length takes its one instant.
                if freeze.start < end and (freeze.end > start or freeze.start == freeze.end >= start):
                    yield freeze
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise broken(path, f"its recurrences can't be worked out: {error}") from None

    def _freeze(self, path: Path, event: Any) -> Freeze:
        begin, finish = event["DTSTART"].dt, event["DTEND"].dt
        end = _instant(finish, self.timezone, later=True)
        if isinstance(begin, datetime) and isinstance(finish, datetime):
            # RFC 5545, 3.8.5.3: recurrences have the same exact length. People mean the same time on the
            # clock. These differ by an hour when the clocks change; the freeze lasts until both are over.
            exact = finish.replace(tzinfo=None) - begin.astimezone(finish.tzinfo).replace(tzinfo=None)
            end = max(end, begin.astimezone(UTC) + exact)
        summary = str(event.get("SUMMARY", "")).strip() or "change freeze"
        return Freeze(summary=summary, start=_instant(begin, self.timezone), end=end, source=str(path))


def load_freezes(paths: Iterable[Path], timezone: ZoneInfo | str) -> Calendar:
    """Read calendar files.

    Args:
        timezone: for all-day events and times without a zone.

    Raises:
        Refused: a file can't be read, or not understood whole.
    """
    from remediate.calendar.ical import read

    zone = ZoneInfo(timezone) if isinstance(timezone, str) else timezone
    return Calendar(tuple((path, query) for path in paths for query in read(path, zone)), zone)


def broken(path: Path, problem: str) -> Refused:
    """The refusal of a calendar file."""
    return Refused(f"{path}: {problem}", "mend the calendar file: a freeze that can't be read may be on now")


def _instant(value: date, zone: ZoneInfo, later: bool = False) -> datetime:
    """In UTC; a date begins at midnight. ``later``: of two readings of a local time, the second."""
    if not isinstance(value, datetime):
        value = datetime.combine(value, time(), zone)
    elif value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    first = value.replace(fold=0).astimezone(UTC)
    return max(first, value.replace(fold=1).astimezone(UTC)) if later else first
