"""Reads one iCalendar file, and refuses whatever its parsers would pass over in silence.

icalendar drops an event without an END, keeps a property that it can't parse as broken, and takes a time in
an unknown zone for a time without one. recurring_ical_events swaps an end before a start, keeps one of two
events with the same UID, and reads an UNTIL without a zone as UTC. Each of these could lose a freeze.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from remediate.calendar import broken

if TYPE_CHECKING:
    from icalendar import Calendar
    from recurring_ical_events import CalendarQuery

#: Bytes; events; dates in one list; times of day in one rule.
LARGEST = 5 * 1024 * 1024
MOST_EVENTS = 5000
_MOST_DATES = 5000
_MOST_TIMES = 24

_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_TIMES = ("DTSTART", "DTEND", "RECURRENCE-ID")
_LISTS = ("EXDATE", "RDATE")


def read(path: Path, zone: ZoneInfo) -> list[CalendarQuery]:
    """The calendars in a file, ready to be asked for occurrences.

    Raises:
        Refused: anything in it is missing, malformed or too much.
    """
    import recurring_ical_events
    from icalendar import Calendar

    text = _text(path)
    _check_structure(path, text)
    try:
        calendars = Calendar.from_ical(text, multiple=True)
        for calendar in calendars:
            _check(path, calendar, zone)
        return [recurring_ical_events.of(calendar) for calendar in calendars]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        raise broken(path, f"not a valid calendar: {error}") from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise broken(path, f"can't be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise broken(path, f"larger than {LARGEST} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise broken(path, f"not UTF-8 at byte {error.start}") from None


def _check_structure(path: Path, text: str) -> None:
    """Every BEGIN has its END, and there is at least one calendar: else the file is cut off, or none."""
    open_: list[str] = []
    calendars = 0
    for number, line in enumerate(text.splitlines(), 1):
        word, _, name = line.strip().upper().partition(":")
        if line[:1] in " \t" or word not in ("BEGIN", "END"):
            continue
        if word == "BEGIN":
            open_.append(name)
            calendars += name == "VCALENDAR"
        elif not open_ or open_.pop() != name:
            raise broken(path, f"line {number}: END:{name} without its BEGIN")
    if open_:
        raise broken(path, f"cut off: {open_[-1]} has no END")
    if not calendars:
        raise broken(path, "holds no calendar (BEGIN:VCALENDAR)")


def _check(path: Path, calendar: Calendar, zone: ZoneInfo) -> None:
    events = calendar.walk("VEVENT")
    if len(events) > MOST_EVENTS:
        raise broken(path, f"more than {MOST_EVENTS} events")
    uids = Counter(str(e["UID"]) for e in events if "UID" in e and "RECURRENCE-ID" not in e)
    for event in events:
        name = str(event.get("SUMMARY") or event.get("UID") or "an event")
        try:
            if uids[str(event.get("UID"))] > 1:
                raise ValueError(f"another event has its UID {event['UID']}")
            _check_event(event, zone)
        except ValueError as error:
            raise broken(path, f"event {name!r}: {error}") from None
    for component in calendar.walk():
        for field, problem in component.errors:
            raise broken(path, f"{component.name}: {field or 'a line'}: {problem}")


def _check_event(event: Any, zone: ZoneInfo) -> None:
    """Make times without a zone aware, and refuse what is left unclear."""
    if event.errors:
        name, problem = event.errors[0]
        raise ValueError(f"{name or 'a line'}: {problem}")
    if "DTSTART" not in event:
        raise ValueError("no DTSTART")
    if twice := [name for name in (*_TIMES, "DURATION") if isinstance(event.get(name), list)]:
        raise ValueError(f"{twice[0]} stands there twice")
    for name in _TIMES:
        if name in event:
            event[name].dt = _aware(event[name], zone)
    for value in _values(event):
        value.dt = _aware(value, zone)
    start = event["DTSTART"].dt
    if "DTEND" in event:
        _check_end(start, event["DTEND"].dt)
    if "DURATION" in event and event["DURATION"].dt.total_seconds() < 0:
        raise ValueError("its DURATION is negative")
    rules = event.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        _check_rule(rule, start, zone)


def _values(event: Any) -> Iterator[Any]:
    for name in _LISTS:
        lists = event.get(name, [])
        values = [value for one in (lists if isinstance(lists, list) else [lists]) for value in one.dts]
        if len(values) > _MOST_DATES:
            raise ValueError(f"more than {_MOST_DATES} dates in {name}")
        yield from values


def _aware(value: Any, zone: ZoneInfo) -> Any:
    dt = value.dt
    if isinstance(dt, tuple):
        first, last = dt
        return (_localise(first, value, zone), _localise(last, value, zone))
    return _localise(dt, value, zone)


def _localise(dt: Any, value: Any, zone: ZoneInfo) -> Any:
    if not isinstance(dt, datetime) or dt.tzinfo is not None:
        return dt
    if name := value.params.get("TZID"):
        raise ValueError(f"the time zone {name!r} is neither known nor in the file")
    return dt.replace(tzinfo=zone)


def _check_end(start: date, end: date) -> None:
    if isinstance(start, datetime) != isinstance(end, datetime):
        raise ValueError("one of DTSTART and DTEND is a date and the other a time")
    if end < start:
        raise ValueError("it ends before it starts")


def _check_rule(rule: Any, start: date, zone: ZoneInfo) -> None:
    """Refuse a rule that can't end or be worked out in reasonable time, and make UNTIL exact."""
    if rule.get("FREQ", [""])[0] not in _FREQUENCIES:
        raise ValueError(
            f"RRULE: FREQ={rule.get('FREQ', ['?'])[0]} (a freeze repeats {' or '.join(_FREQUENCIES)})"
        )
    if any(int(n) < 1 for n in rule.get("INTERVAL", [])):
        raise ValueError("RRULE: INTERVAL is less than 1")
    if any(int(n) < 1 for n in rule.get("COUNT", [])):
        raise ValueError("RRULE: COUNT is less than 1")
    if prod(len(rule.get(part, [0])) for part in ("BYHOUR", "BYMINUTE", "BYSECOND")) > _MOST_TIMES:
        raise ValueError(f"RRULE: more than {_MOST_TIMES} times a day")
    months = [int(m) for m in rule.get("BYMONTH", range(1, 13))]
    days = [abs(int(d)) for d in rule.get("BYMONTHDAY", [1])]
    if not any(d <= _DAYS_IN_MONTH[m - 1] for m in months for d in days):
        raise ValueError("RRULE: no month has such a day")
    if "UNTIL" in rule:
        rule["UNTIL"] = [_until(u, start, zone) for u in rule["UNTIL"]]


def _until(until: date, start: date, zone: ZoneInfo) -> date:
    """UNTIL in the form that RFC 5545, 3.3.10 asks for: a date for a date, else in UTC."""
    if not isinstance(start, datetime):
        return until.astimezone(zone).date() if isinstance(until, datetime) and until.tzinfo else _day(until)
    if not isinstance(until, datetime):
        # Written by many calendars, and meant to include that day.
        until = datetime.combine(until, time(23, 59, 59))
    return (until if until.tzinfo else until.replace(tzinfo=start.tzinfo)).astimezone(UTC)


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value
