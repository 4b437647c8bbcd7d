"""Windows, freezes and the time budget hold over every clock change of three zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from remediate.calendar import load_freezes
from remediate.calendar.budget import fits, latest_start
from remediate.calendar.window import parse_window
from remediate.errors import InputError
from remediate.model.change import Window

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
NOW = datetime(2026, 11, 22, 21, 0, 0, 123456, tzinfo=UTC)
DAYS = ("2026-03-08", "2026-11-01", "2026-03-29", "2026-10-25", "2026-04-05", "2026-10-04")

zones = st.sampled_from(ZONES)
#: Minutes of 2026 in UTC, half of them close to a clock change of one of the zones.
instants = st.one_of(
    st.integers(0, 365 * 1440).map(lambda m: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=m)),
    st.tuples(st.sampled_from(DAYS), st.integers(-1440, 1440)).map(
        lambda pair: datetime.fromisoformat(pair[0]).replace(tzinfo=UTC) + timedelta(minutes=pair[1])
    ),
)
walls = instants.map(lambda i: i.replace(tzinfo=None))


def readings(wall: datetime, zone: ZoneInfo) -> set[datetime]:
    """Every instant at which the clocks of the zone show this time, found by trying all offsets."""
    candidates = (wall.replace(tzinfo=UTC) - timedelta(minutes=30 * n) for n in range(-28, 29))
    return {c for c in candidates if c.astimezone(zone).replace(tzinfo=None, fold=0) == wall}


@given(walls, zones)
@example(datetime(2026, 10, 25, 2, 30), "Europe/Berlin")
@example(datetime(2026, 3, 29, 2, 30), "Europe/Berlin")
@example(datetime(2026, 4, 5, 1, 45), "Australia/Lord_Howe")
@example(datetime(2026, 10, 4, 2, 15), "Australia/Lord_Howe")
def test_a_local_time_is_read_as_the_clocks_show_it_or_not_at_all(wall: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    meant = readings(wall, zone)
    text = f"{wall:%Y-%m-%d %H:%M}/1h"
    if len(meant) == 1:
        assert parse_window(text, zone, NOW) == Window(start=min(meant), end=min(meant) + timedelta(hours=1))
        return
    with pytest.raises(InputError, match="happens twice" if meant else "does not exist") as caught:
        parse_window(text, zone, NOW)
    for instant in meant:
        # The advice names both readings, and each of them is understood.
        advised = instant.astimezone(zone).isoformat(timespec="minutes")
        assert advised in caught.value.advice
        assert parse_window(f"{advised}/1h", zone, NOW).start == instant


@given(instants, st.integers(1, 3000), zones)
def test_an_offset_settles_it_and_lengths_are_exact(start: datetime, minutes: int, name: str) -> None:
    zone = ZoneInfo(name)
    end = start + timedelta(minutes=minutes)
    window = Window(start=start, end=end)
    first, second = (i.astimezone(zone).isoformat() for i in (start, end))
    for text in (
        f"{first}/{second}",
        f"{first}/{minutes}m",
        f"{first} / PT{minutes}M",
        f"{start:%Y-%m-%dT%H:%MZ}/{second}",
    ):
        assert parse_window(text, name, NOW) == window


@given(instants, st.integers(0, 1439), zones)
def test_a_time_of_day_ends_within_the_day_that_follows(start: datetime, minute: int, name: str) -> None:
    zone = ZoneInfo(name)
    text = f"{start.astimezone(zone):%Y-%m-%d %H:%M}/{minute // 60:02}:{minute % 60:02}"
    try:
        window = parse_window(text, zone, NOW)
    except InputError as error:
        reject(error)
        return
    local = window.end.astimezone(zone)
    assert (local.hour, local.minute) == (minute // 60, minute % 60)
    assert timedelta(0) < window.end - window.start <= timedelta(hours=25)


def reject(error: InputError) -> None:
    """A time that the clocks skip or repeat is the only reason to refuse."""
    assert "happens twice" in error.problem or "does not exist" in error.problem


def test_now_is_cut_to_seconds() -> None:
    window = parse_window("NOW/2h", "Europe/Berlin", NOW)
    assert window.start == NOW.replace(microsecond=0)
    assert window.end - window.start == timedelta(hours=2)
    assert parse_window("now/02:00", "Europe/Berlin", NOW).end == datetime(2026, 11, 23, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "/", "now", "now/", "/2h", "a/b", "now/2h/3h", "2026-11-22/2h", "2026-13-01 00:00/2h",
     "2026-11-22 25:00/2h", "now/0h", "now/-2h", "now/PT", "now/P", "now/2", "now/24:00",
     "2026-11-22 22:00+25:00/2h",
     "2026-11-22 22:00/2026-11-22 21:00", "2026-11-22 22:00/2026-11-22 22:00", "now/99999999999d", "now/inf"],
)  # fmt: skip
def test_what_is_no_window_teaches_how_to_write_one(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_window(text, "Europe/Berlin", NOW)
    assert "START/END" in caught.value.advice


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60, deadline=None)
@given(zones, st.integers(0, 1439), st.integers(1, 1440), instants)
def test_every_instant_of_a_daily_freeze_is_in_conflict(
    name: str, minute: int, minutes: int, probe: datetime
) -> None:
    """Compared with the same freeze worked out by hand for each day around the probe."""
    zone = ZoneInfo(name)
    begin = datetime(2025, 12, 1, minute // 60, minute % 60)
    end = begin + timedelta(minutes=minutes)
    text = "\r\n".join(
        ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", "UID:1",
         f"DTSTART;TZID={name}:{begin:%Y%m%dT%H%M%S}", f"DTEND;TZID={name}:{end:%Y%m%dT%H%M%S}",
         "RRULE:FREQ=DAILY", "END:VEVENT", "END:VCALENDAR", "")
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        file = Path(folder) / "f.ics"
        file.write_text(text)
        found = load_freezes([file], "UTC").conflicts(probe, probe + timedelta(minutes=1))
    days = (
        probe.astimezone(zone).replace(hour=begin.hour, minute=begin.minute, fold=0) + timedelta(d)
        for d in range(-3, 3)
    )
    inside = any(
        day.astimezone(UTC) <= probe < (day + timedelta(minutes=minutes)).replace(fold=0).astimezone(UTC)
        for day in days
    )
    # The reading by the clock is always covered; the exact length may make the freeze longer, never shorter.
    assert bool(found) >= inside
    for freeze in found:
        assert freeze.end - freeze.start >= timedelta(minutes=minutes)
        assert freeze.end - freeze.start <= timedelta(minutes=minutes + 60)


spans = st.floats(0, 1e6)


@given(instants, st.integers(1, 10_000), spans, spans, spans, st.floats(-1e5, 1e7))
def test_what_fits_is_over_before_the_window_ends(
    start: datetime, minutes: int, apply: float, verify: float, undo: float, after: float
) -> None:
    window = Window(start=start, end=start + timedelta(minutes=minutes))
    now = start + timedelta(seconds=after)
    last = latest_start(window.end, apply, verify, undo)
    spare = window.end - last - timedelta(seconds=apply + verify + undo)
    assert timedelta(0) <= spare <= timedelta(microseconds=1)
    assert fits(now, window, apply, verify, undo) == (window.start <= now <= last)
    if fits(now, window, apply, verify, undo):
        assert now + timedelta(seconds=apply + verify + undo) <= window.end
        assert not fits(window.end + timedelta(microseconds=1), window, 0, 0, 0)


def test_the_budget_at_its_edge() -> None:
    window = Window(start=NOW, end=NOW + timedelta(hours=1))
    assert fits(NOW + timedelta(minutes=30), window, 600, 300, 900)
    assert not fits(NOW + timedelta(minutes=30, microseconds=1), window, 600, 300, 900)
    assert not fits(NOW - timedelta(seconds=1), window, 1, 1, 1)
    assert not fits(NOW, window, 1e300, 1, 1)


def test_a_time_at_which_the_clocks_change() -> None:
    """In Berlin, 02:30 was not there on 29 March 2026 and was there twice on 25 October."""
    for text, says in (("2026-03-29 02:30/4h", "does not exist"), ("2026-10-25 02:30/4h", "happens twice")):
        with pytest.raises(InputError, match=says):
            parse_window(text, "Europe/Berlin", NOW)
    assert parse_window("2026-10-25 03:30/4h", "Europe/Berlin", NOW).start == datetime(
        2026, 10, 25, 2, 30, tzinfo=UTC
    )


@pytest.mark.parametrize("text", ["now/0h", "2026-11-22 22:00/2026-11-22 21:00"])
def test_a_window_of_no_length(text: str) -> None:
    with pytest.raises(InputError, match="ends before it starts"):
        parse_window(text, "Europe/Berlin", NOW)


def test_no_window_is_turned_around() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        Window(start=NOW, end=NOW)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_a_duration_that_is_none(bad: float) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        latest_start(NOW, 1, bad, 1)
