"""Reads a maintenance window as people write it. A local time that means no instant, or two, is an error."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from remediate.errors import InputError
from remediate.model.base import seconds
from remediate.model.change import Window

_HELP = (
    "write START/END such as 2026-11-22T22:00+01:00/2026-11-23T02:00+01:00, 2026-11-22 22:00/02:00"
    " (local time, next day if earlier), now/2h, or 2026-11-22T22:00Z/PT4H"
)
_TIME = r"(\d\d):(\d\d)(?::(\d\d))?"
_INSTANT = re.compile(rf"(\d{{4}})-(\d\d)-(\d\d)[Tt ]{_TIME}\s*([Zz]|[+-]\d\d:?\d\d)?")
_CLOCK = re.compile(_TIME)
_ISO = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_ISO_SECONDS = (604800, 86400, 3600, 60, 1)


def parse_window(text: str, timezone: ZoneInfo | str, now: datetime) -> Window:
    """The window in a text such as ``2026-11-22 22:00/02:00``.

    Args:
        text: START/END. START is ``now`` or a date with a time; END is one too, or a time of day, or a
            length (``4h``, or ISO 8601 ``PT4H``; a day has 24 hours).
        timezone: of times that are written without an offset.
        now: what ``now`` means; cut to whole seconds.

    Raises:
        InputError: says what is wrong, and how to write it.
    """
    zone = ZoneInfo(timezone) if isinstance(timezone, str) else timezone
    parts = [part.strip() for part in text.split("/")]
    if len(parts) != 2 or not all(parts):
        raise InputError(f"window {text!r}: not START/END", _HELP)
    first, second = parts
    if first.lower() == "now":
        start = now.astimezone(zone).replace(microsecond=0)
    else:
        start = _instant(first, zone, text)
    end = _end(second, start, zone, text)
    if end <= start:
        raise InputError(f"window {text!r}: ends before it starts", _HELP)
    return Window(start=start, end=end)


def _end(text: str, start: datetime, zone: ZoneInfo, whole: str) -> datetime:
    if clock := _CLOCK.fullmatch(text):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        try:
            wall = start.replace(hour=hour, minute=minute, second=second, tzinfo=None, fold=0)
        except ValueError as error:
            raise InputError(f"window {whole!r}: {text}: {error}", _HELP) from None
        if wall <= start.replace(tzinfo=None):
            wall += timedelta(days=1)
        return _resolve(wall, start.tzinfo or UTC, whole)
    if text.upper().startswith("P") or not re.match(r"\d{4}-", text):
        return _after(start, _length(text, whole))
    return _instant(text, zone, whole)


def _length(text: str, whole: str) -> float:
    if (iso := _ISO.fullmatch(text.upper())) and any(iso.groups()):
        return float(sum(int(n or 0) * unit for n, unit in zip(iso.groups(), _ISO_SECONDS, strict=True)))
    try:
        return seconds(text)
    except ValueError:
        raise InputError(f"window {whole!r}: {text!r} is neither a time nor a length", _HELP) from None


def _after(start: datetime, length: float) -> datetime:
    # In UTC, where an hour is an hour.
    try:
        return start.astimezone(UTC) + timedelta(seconds=length)
    except OverflowError:
        raise InputError("the window is too long", _HELP) from None


def _instant(text: str, zone: ZoneInfo, whole: str) -> datetime:
    match = _INSTANT.fullmatch(text)
    if not match:
        raise InputError(f"window {whole!r}: {text!r} is no date with a time", _HELP)
    *digits, offset = match.groups()
    try:
        wall = datetime(*(int(part or 0) for part in digits))  # type: ignore[arg-type]
        if offset:
            return datetime.fromisoformat(f"{wall.isoformat()}{offset.upper()}")
    except ValueError as error:
        raise InputError(f"window {whole!r}: {text}: {error}", _HELP) from None
    return _resolve(wall, zone, whole)


def _resolve(wall: datetime, zone: tzinfo, whole: str) -> datetime:
    """The one instant of a local time; an error when the clocks make it none or two."""
    first, second = wall.replace(tzinfo=zone, fold=0), wall.replace(tzinfo=zone, fold=1)
    before, after = first.utcoffset() or timedelta(0), second.utcoffset() or timedelta(0)
    if before == after:
        return first
    named = f"window {whole!r}: {wall:%Y-%m-%d %H:%M} in {zone}"
    if before < after:
        valid = first.astimezone(UTC).astimezone(zone)
        raise InputError(
            f"{named} does not exist: the clocks go forward over it",
            f"write {valid:%Y-%m-%d %H:%M}, which is what they show instead, or a time with its offset",
        )
    raise InputError(
        f"{named} happens twice: the clocks go back over it",
        f"write {first.isoformat(timespec='minutes')} for the first or {second.isoformat(timespec='minutes')}"
        " for the second",
    )
