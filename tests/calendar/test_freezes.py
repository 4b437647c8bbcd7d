"""Freezes from calendar files: recurrences, zones, clock changes, and files that can't be trusted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from remediate.calendar import Calendar, Freeze, load_freezes
from remediate.errors import InputError, Refused

BERLIN = ZoneInfo("Europe/Berlin")

OFFICE = """BEGIN:VTIMEZONE
TZID:Our Office
BEGIN:STANDARD
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE"""


def event(*lines: str, uid: str = "1", summary: str = "year end") -> str:
    return "\n".join(("BEGIN:VEVENT", f"UID:{uid}", f"SUMMARY:{summary}", *lines, "END:VEVENT"))


def ics(*parts: str) -> str:
    return "\r\n".join(
        "\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", *parts, "END:VCALENDAR", "")).split("\n")
    )


@pytest.fixture
def load(tmp_path: Path) -> Loader:
    return Loader(tmp_path / "freezes.ics")


class Loader:
    def __init__(self, path: Path) -> None:
        self.path = path

    def text(self, text: str | bytes, zone: str = "Europe/Berlin") -> Calendar:
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_freezes([self.path], zone)

    def events(self, *parts: str, zone: str = "Europe/Berlin") -> Calendar:
        return self.text(ics(*parts), zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spans(freezes: tuple[Freeze, ...]) -> list[tuple[datetime, datetime]]:
    return [(f.start, f.end) for f in freezes]


def test_a_freeze_is_named_with_its_file(load: Loader) -> None:
    calendar = load.events(event("DTSTART:20261220T000000Z", "DTEND:20270103T000000Z"))
    (freeze,) = calendar.conflicts(utc("2026-12-24 22:00"), utc("2026-12-25 02:00"))
    assert freeze.summary == "year end"
    assert str(freeze) == f"year end (2026-12-20 00:00 to 2027-01-03 00:00 UTC, {load.path})"


@pytest.mark.parametrize(
    ("start", "end", "hit"),
    [
        ("2026-11-22 20:00", "2026-11-22 21:00", False),
        ("2026-11-22 20:00", "2026-11-22 21:01", True),
        ("2026-11-22 22:00", "2026-11-22 22:01", True),
        ("2026-11-22 22:59", "2026-11-22 23:30", True),
        ("2026-11-22 23:00", "2026-11-22 23:30", False),
        ("2026-11-22 20:00", "2026-11-23 23:30", True),
    ],
)
def test_both_ends_are_half_open(load: Loader, start: str, end: str, hit: bool) -> None:
    calendar = load.events(event("DTSTART:20261122T210000Z", "DTEND:20261122T230000Z"))
    assert bool(calendar.conflicts(utc(start), utc(end))) is hit


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        (["DTSTART:20261122T210000Z", "DURATION:PT2H"], "22 21:00", "22 23:00"),
        (["DTSTART;TZID=America/New_York:20261122T210000", "DURATION:PT2H"], "23 02:00", "23 04:00"),
        (["DTSTART;TZID=Our Office:20261122T220000", "DURATION:PT2H"], "22 21:00", "22 23:00"),
        (["DTSTART;TZID=W. Europe Standard Time:20261122T220000", "DURATION:PT2H"], "22 21:00", "22 23:00"),
        (["DTSTART:20261122T220000", "DTEND:20261123T000000"], "22 21:00", "22 23:00"),
        (["DTSTART;VALUE=DATE:20261122"], "21 23:00", "22 23:00"),
        (["DTSTART;VALUE=DATE:20261122", "DTEND;VALUE=DATE:20261124"], "21 23:00", "23 23:00"),
        (["DTSTART:20261122T210000Z"], "22 21:00", "22 21:00"),
    ],
)
def test_forms_of_time(load: Loader, lines: list[str], start: str, end: str) -> None:
    """Times of November 2026 in UTC; the calendar's own zone is Berlin."""
    calendar = load.events(OFFICE, event(*lines))
    found = spans(calendar.conflicts(utc("2026-11-20 00:00"), utc("2026-11-25 00:00")))
    assert found == [(utc(f"2026-11-{start}"), utc(f"2026-11-{end}"))]


def test_floating_and_all_day_follow_the_configured_zone(load: Loader) -> None:
    calendar = load.events(event("DTSTART;VALUE=DATE:20261122"), zone="Pacific/Auckland")
    assert spans(calendar.conflicts(utc("2026-11-20 00:00"), utc("2026-11-25 00:00"))) == [
        (utc("2026-11-21 11:00"), utc("2026-11-22 11:00"))
    ]


def test_recurrence_exdate_rdate_and_moved_or_cancelled_occurrences(load: Loader) -> None:
    """Every Friday 16:00 to Monday 06:00 in November 2026: the 6th, 13th, 20th, 27th."""
    berlin = "TZID=Europe/Berlin"
    calendar = load.events(
        event(
            f"DTSTART;{berlin}:20261106T160000",
            f"DTEND;{berlin}:20261109T060000",
            "RRULE:FREQ=WEEKLY;COUNT=4",
            f"EXDATE;{berlin}:20261113T160000",
            f"RDATE;{berlin}:20261202T160000",
        ),
        event(
            f"RECURRENCE-ID;{berlin}:20261120T160000",
            f"DTSTART;{berlin}:20261121T120000",
            f"DTEND;{berlin}:20261121T130000",
            summary="moved",
        ),
        event(
            f"RECURRENCE-ID;{berlin}:20261127T160000",
            f"DTSTART;{berlin}:20261127T160000",
            f"DTEND;{berlin}:20261130T060000",
            "STATUS:CANCELLED",
        ),
    )
    assert [(f.start.astimezone(BERLIN).strftime("%d.%m. %H:%M"), f.summary)
            for f in calendar.conflicts(utc("2026-11-01 00:00"), utc("2026-12-31 00:00"))] == [
        ("06.11. 16:00", "year end"), ("21.11. 12:00", "moved"), ("02.12. 16:00", "year end")
    ]  # fmt: skip


def test_an_old_daily_recurrence(load: Loader) -> None:
    calendar = load.events(event("DTSTART:19800101T120000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY"))
    assert len(calendar.conflicts(utc("2026-11-20 00:00"), utc("2026-11-25 00:00"))) == 5


@pytest.mark.parametrize(
    ("until", "zone", "count"),
    [
        ("20261124T220000Z", "Europe/Berlin", 3),  # 23:00 there
        ("20261124T205959Z", "Europe/Berlin", 2),
        ("20261124T220000", "Europe/Berlin", 3),
        ("20261124", "Europe/Berlin", 3),
        ("20261124T220000", "America/New_York", 3),  # read as UTC, the last would be lost
        ("20261124", "America/New_York", 3),
        ("20261124", "Pacific/Auckland", 3),
    ],
)
def test_until_keeps_the_last_occurrence(load: Loader, until: str, zone: str, count: int) -> None:
    calendar = load.events(
        event(f"DTSTART;TZID={zone}:20261122T220000", "DURATION:PT1H", f"RRULE:FREQ=DAILY;UNTIL={until}")
    )
    assert len(calendar.conflicts(utc("2026-11-20 00:00"), utc("2026-12-20 00:00"))) == count


@pytest.mark.parametrize("until", ["20261124", "20261124T120000Z", "20261124T000000"])
def test_until_of_an_all_day_recurrence(load: Loader, until: str) -> None:
    calendar = load.events(event("DTSTART;VALUE=DATE:20261122", f"RRULE:FREQ=DAILY;UNTIL={until}"))
    assert len(calendar.conflicts(utc("2026-11-20 00:00"), utc("2026-12-20 00:00"))) == 3


@pytest.mark.parametrize(
    ("zone", "night", "before", "change"),
    [
        ("Europe/Berlin", "2026-03-28", "2026-03-28 21:00", 1.0),
        ("Europe/Berlin", "2026-10-24", "2026-10-24 20:00", -1.0),
        ("America/New_York", "2026-03-07", "2026-03-08 03:00", 1.0),
        ("America/New_York", "2026-10-31", "2026-11-01 02:00", -1.0),
        ("Australia/Lord_Howe", "2026-10-03", "2026-10-03 11:30", 0.5),
        ("Australia/Lord_Howe", "2026-04-04", "2026-04-04 11:00", -0.5),
    ],
)
def test_a_nightly_freeze_over_a_clock_change(
    load: Loader, zone: str, night: str, before: str, change: float
) -> None:
    """22:00 to 06:00 each night: it starts at 22:00 on the clock, and lasts to 06:00 and for eight hours."""
    calendar = load.events(
        event(
            f"DTSTART;TZID={zone}:20260101T220000", f"DTEND;TZID={zone}:20260102T060000", "RRULE:FREQ=DAILY"
        ),
        zone=zone,
    )
    midnight = datetime.fromisoformat(f"{night} 23:59").replace(tzinfo=ZoneInfo(zone))
    (freeze,) = calendar.conflicts(midnight, midnight + timedelta(minutes=1))
    assert freeze.start == utc(before)
    hours = (freeze.end - freeze.start) / timedelta(hours=1)
    assert hours == max(8.0, 8.0 - change)
    last = freeze.end - timedelta(minutes=1)
    assert calendar.conflicts(last, freeze.end) == (freeze,)
    assert calendar.conflicts(freeze.end, freeze.end + timedelta(minutes=1)) == ()


def test_all_day_over_a_clock_change(load: Loader) -> None:
    for day, hours in (("20260329", 23), ("20261025", 25)):
        calendar = load.events(event(f"DTSTART;VALUE=DATE:{day}"))
        (freeze,) = calendar.conflicts(utc("2026-01-01 00:00"), utc("2026-12-31 00:00"))
        assert freeze.end - freeze.start == timedelta(hours=hours)


def test_local_times_with_two_readings_or_none(load: Loader) -> None:
    """RFC 5545, 3.3.5: the first of two, and the offset before a gap; an end takes the later of two."""
    twice = load.events(
        event("DTSTART;TZID=Europe/Berlin:20261025T023000", "DTEND;TZID=Europe/Berlin:20261025T024500")
    )
    assert spans(twice.conflicts(utc("2026-10-24 00:00"), utc("2026-10-26 00:00"))) == [
        (utc("2026-10-25 00:30"), utc("2026-10-25 01:45"))
    ]
    never = load.events(
        event("DTSTART;TZID=Europe/Berlin:20260329T023000", "DTEND;TZID=Europe/Berlin:20260329T040000")
    )
    (freeze,) = never.conflicts(utc("2026-03-28 00:00"), utc("2026-03-30 00:00"))
    assert freeze.start == utc("2026-03-29 01:30")


def test_midnight_that_does_not_exist(load: Loader) -> None:
    """Beirut's clocks go forward at midnight."""
    calendar = load.events(event("DTSTART;VALUE=DATE:20260329"), zone="Asia/Beirut")
    assert spans(calendar.conflicts(utc("2026-03-27 00:00"), utc("2026-03-31 00:00"))) == [
        (utc("2026-03-28 22:00"), utc("2026-03-29 21:00"))
    ]


ONE = event("DTSTART:20261122T210000Z", "DTEND:20261122T230000Z")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no calendar"),
        ("<html>503</html>", "holds no calendar"),
        (ics(ONE)[:-20], "cut off|without its BEGIN"),
        (ics(ONE.removesuffix("END:VEVENT")), "without its BEGIN"),
        (ics(ONE)[: ics(ONE).rindex("END:VCALENDAR")], "cut off: VCALENDAR has no END"),
        (ics(ONE.removesuffix("END:VEVENT") + ONE), "without its BEGIN"),
        (ics(event("SUMMARY:no start")), "no DTSTART"),
        (ics(event("DTSTART:2026-11-22")), "DTSTART"),
        (ics(event("DTSTART:20261122T210000Z", "DTSTART:20261123T210000Z")), "twice"),
        (ics(event("DTSTART:20261122T210000Z", "DTEND:20261121T210000Z")), "ends before it starts"),
        (ics(event("DTSTART:20261122T210000Z", "DURATION:-PT2H")), "negative"),
        (ics(event("DTSTART;VALUE=DATE:20261122", "DTEND:20261123T210000Z")), "one of DTSTART and DTEND"),
        (ics(event("DTSTART;TZID=Mars/Base:20261122T210000")), "'Mars/Base' is neither known"),
        (ics(event("DTSTART:20261122T210000Z", "RRULE:FREQ=DAILY", "EXDATE:soon")), "EXDATE"),
        (ics(event("DTSTART:20261122T210000Z", "RRULE:FREQ=OFTEN")), "RRULE"),
        (ics(event("DTSTART:20261122T210000Z", "RRULE:FREQ=DAILY;BYDAY=XX")), "RRULE"),
        (ics(event("DTSTART:20261122T210000Z", "RRULE:FREQ=DAILY;INTERVAL=0")), "INTERVAL"),
        (ics(event("DTSTART:20261122T210000Z", "RRULE:FREQ=DAILY;COUNT=0")), "COUNT"),
        (ics(event("DTSTART:20261122T210000Z", "RRULE:FREQ=SECONDLY")), "FREQ=SECONDLY"),
        (ics(event("DTSTART:20261122T210000Z", "RRULE:FREQ=MINUTELY")), "FREQ=MINUTELY"),
        (ics(event("DTSTART:20261122T210000Z", "RRULE:BYDAY=MO")), "FREQ"),
        (ics(event("DTSTART:20261122T210000Z", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")), "no month"),
        (ics(event("DTSTART:20261122T210000Z", "RRULE:FREQ=DAILY;BYHOUR=" + ",".join(map(str, range(24)))
                   + ";BYMINUTE=0,30")), "24 times a day"),
        (ics(event("DTSTART:20261122T210000Z", "what is this")), "line"),
        (ics(ONE, ONE), "another event has its UID"),
        (ics("CALSCALE:JULIAN", ONE), "Gregorian"),
        (ics(ONE).replace("year end", "\xe4").encode("latin-1"), "not UTF-8"),
        (b" " * (5 * 1024 * 1024 + 1), "larger than"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_understood_whole_is_refused(load: Loader, text: str | bytes, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        load.text(text)
    assert caught.value.problem.startswith(str(load.path))


def test_too_many_events(load: Loader) -> None:
    with pytest.raises(Refused, match="more than 5000 events"):
        load.events(*(event("DTSTART:20261122T210000Z", uid=str(n)) for n in range(5001)))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"none\.ics: can't be read"):
        load_freezes([tmp_path / "none.ics"], "UTC")


def test_no_files_and_empty_calendars_are_no_freeze(load: Loader) -> None:
    assert load_freezes([], "UTC").conflicts(utc("2026-01-01 00:00"), utc("2026-02-01 00:00")) == ()
    assert load.events().conflicts(utc("2026-01-01 00:00"), utc("2026-02-01 00:00")) == ()


def test_two_calendars_in_a_file_and_two_files(load: Loader, tmp_path: Path) -> None:
    load.text(ics(ONE) + ics(event("DTSTART:20261122T213000Z", "DURATION:PT1H", summary="two")))
    other = tmp_path / "other.ics"
    other.write_text(ics(event("DTSTART:20261122T220000Z", "DURATION:PT1H", summary="three")))
    calendar = load_freezes([load.path, other], BERLIN)
    found = calendar.conflicts(utc("2026-11-22 00:00"), utc("2026-11-23 00:00"))
    assert [f.summary for f in found] == ["year end", "two", "three"]


def test_a_question_that_makes_no_sense(load: Loader) -> None:
    calendar = load.events(ONE)
    now = utc("2026-11-22 00:00")
    for start, end in [
        (now, now),
        (now, now - timedelta(1)),
        (now, now + timedelta(400)),
        (now.replace(tzinfo=None), now),
    ]:
        with pytest.raises(InputError):
            calendar.conflicts(start, end)
