"""From events to entries: what stands together, how much, and which files."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediate.credentials.scrub import SHORTEST, Scrubber
from remediate.model.event import Event, GatePassed, Progress
from remediate.tickets.entries import BYTES, FILE_BYTES, LINES, Composer
from remediate.tickets.files import leaks

from .fake import FakeTickets
from .world import SILENT, STARTED, World, lasts, render, told

#: An internal event that has a line.
NOTE = GatePassed(wave=0, failed=0)


@pytest.fixture
def world() -> World:
    return World(FakeTickets(), render)


class TestEntries:
    def test_internal_events_stand_together_public_ones_alone(self, world: World) -> None:
        world.add(STARTED, NOTE, NOTE, Progress(text="half"), NOTE, Progress(text="more"), NOTE)
        world.go()
        assert [(e.last, e.public) for e in world.system.shown] == [
            (3, False),
            (4, True),
            (5, False),
            (6, True),
            (7, False),
        ]
        assert told(world) == [1, 2, 3, 4, 5, 6, 7]

    def test_silent_events_are_covered_by_their_neighbours(self, world: World) -> None:
        world.add(SILENT, STARTED, SILENT, NOTE, SILENT, Progress(text="half"), SILENT, NOTE)
        world.go()
        assert lasts(world) == [5, 6, 8]

    def test_silent_tail_is_covered_at_the_end(self, world: World) -> None:
        world.add(STARTED, SILENT)
        world.go()
        world.add(SILENT, SILENT)
        world.go()
        assert lasts(world) == [2]
        assert world.close()
        assert lasts(world) == [2, 4]
        assert "complete up to event #4" in world.system.shown[-1].text

    def test_internal_events_are_collected_for_a_while(self, world: World) -> None:
        for _ in range(20):
            world.add(NOTE)
            world.go(seconds=1)
        world.go()
        assert told(world) == list(range(1, 21))
        assert 3 <= len(world.system.shown) <= 5

    def test_what_is_left_of_a_full_entry_waits_again(self, world: World) -> None:
        world.add(*[NOTE] * (LINES - 1))
        world.go(seconds=3)
        world.add(NOTE, NOTE)
        world.go(seconds=4)
        assert lasts(world) == [LINES]
        world.go(seconds=2)
        assert lasts(world) == [LINES, LINES + 1]

    def test_a_public_event_does_not_wait(self, world: World) -> None:
        world.add(NOTE, Progress(text="half"))
        world.go(seconds=0)
        assert lasts(world) == [1, 2]

    def test_an_entry_is_bounded_in_lines_and_bytes(self) -> None:
        long = World(FakeTickets(), lambda event: f"<{event.number}> " + "é" * 4000)
        long.add(*[NOTE] * 20)
        long.go()
        assert told(long) == list(range(1, 21))
        assert all(len(e.text.encode()) <= BYTES for e in long.system.shown)
        many = World(FakeTickets(), render)
        many.add(*[NOTE] * (3 * LINES + 1))
        many.go()
        assert lasts(many) == [LINES, 2 * LINES, 3 * LINES, 3 * LINES + 1]

    def test_a_line_too_long_is_cut_after_scrubbing(self) -> None:
        text = "x" * (BYTES - 3) + "secret" + "y" * BYTES
        composer = Composer(
            "r-1", lambda _e: text, lambda _e: (), lambda t: t.replace("secret", "[redacted]")
        )
        world = World(FakeTickets(), render, composer=composer)
        world.add(STARTED)
        world.go()
        (entry,) = world.system.shown
        assert "sec" not in entry.text
        assert "cut: 60,007 bytes" in entry.text

    def test_events_that_cannot_be_shown_hold_nothing_back(self) -> None:
        def broken(event: Event) -> str | None:
            return str(1 // (event.number - 2))

        world = World(FakeTickets(), broken)
        world.add(NOTE, NOTE, NOTE)
        world.go()
        (entry,) = world.system.shown
        assert "event #2, gate-passed, can't be shown: ZeroDivisionError" in entry.text
        assert lasts(world) == [3]

    def test_a_failing_scrubber_lets_no_text_out(self) -> None:
        composer = Composer("r-1", lambda _e: "secret", lambda _e: (), lambda _t: str(1 // 0))
        world = World(FakeTickets(), render, composer=composer)
        world.add(NOTE)
        world.go()
        assert "secret" not in world.system.shown[0].text


def test_a_problem_tells_no_secret() -> None:
    """An adapter's error may repeat what it was given."""
    composer = Composer("r-1", render, lambda _e: (), lambda t: t.replace("hunter2", "[redacted]"))
    world = World(FakeTickets(known=frozenset()), render, composer=composer)
    world.pump._problem("no right for hunter2")
    assert world.problems == ["no right for [redacted]"]


class TestFiles:
    def world(self, *paths: Path) -> World:
        composer = Composer("r-1", render, lambda _e: paths, lambda t: t.replace("hunter2", "[redacted]"))
        return World(FakeTickets(), render, composer=composer)

    def test_they_are_attached(self, tmp_path: Path) -> None:
        file = tmp_path / "a.log"
        file.write_bytes(b"\0data")
        world = self.world(file)
        world.add(STARTED, NOTE)
        world.go()
        assert [e.attachments for e in world.system.shown] == [(b"\0data",)]

    def test_what_cannot_be_attached_is_named(self, tmp_path: Path) -> None:
        good, secret, big = (tmp_path / name for name in ("good", "secret", "big"))
        good.write_text("fine")
        secret.write_text("password is hunter2")
        with big.open("wb") as stream:
            stream.truncate(FILE_BYTES + 1)
        world = self.world(tmp_path / "missing", tmp_path, secret, big, good)
        world.add(STARTED)
        world.go()
        (entry,) = world.system.shown
        assert entry.attachments == (b"fine",)
        assert "missing: No such file" in entry.text
        assert "secret: it holds what looks like a secret" in entry.text
        assert "big: more than 7,000,000 bytes" in entry.text
        assert entry.text.count("not attached") == 4

    def test_their_sum_is_bounded(self, tmp_path: Path) -> None:
        def file(event: Event) -> tuple[Path, ...]:
            path = tmp_path / str(event.number)
            path.write_bytes(bytes([event.number]) * 3_000_000)
            return (path,)

        world = World(FakeTickets(), render, composer=Composer("r-1", render, file, str))
        world.add(*[NOTE] * 5)
        world.go()
        assert [len(e.attachments) for e in world.system.shown] == [2, 2, 1]

    def test_a_clean_file_is_scrubbed_once(self, tmp_path: Path) -> None:
        file = tmp_path / "a.log"
        file.write_text("first")
        seen: list[str] = []

        def scrub(text: str) -> str:
            seen.append(text)
            return text

        composer = Composer("r-1", render, lambda _e: (file,), scrub)
        world = World(FakeTickets(down_until=1e9), render, composer=composer)
        world.pump._known = 0
        world.add(NOTE)
        world.go(seconds=1000)
        file.write_text("second")
        world.go(seconds=1000)
        assert (seen.count("first"), seen.count("second")) == (1, 1)

    def test_refused_files_do_not_hold_the_log_up(self, tmp_path: Path) -> None:
        file = tmp_path / "a.log"
        file.write_bytes(b"data")
        world = self.world(file)
        world.system.fates = deque(["refused-files"])
        world.add(STARTED)
        world.go(seconds=60)
        (entry,) = world.system.shown
        assert "not attached: a.log: the ticket system did not take it" in entry.text
        assert "refuses an entry with files: 413" in world.problems[0]

    def test_an_entry_refused_with_and_without_files_is_tried_rarely(self, tmp_path: Path) -> None:
        file = tmp_path / "a.log"
        file.write_bytes(b"data")
        world = self.world(file)
        world.system.fates = deque(["refused"] * 100)
        world.add(STARTED)
        world.go(seconds=3000)
        assert 5 <= world.system.calls.count("post") <= 15

    @pytest.mark.parametrize(
        ("text", "leak"),
        [
            ("nothing", False),
            ("", False),
            ('{"password":"env:DB_PASSWORD"}', False),
            ('{"password":"env:DB_PASSWORD","x":1,"api_key":"file:/etc/remediate/token"}', False),
            ("password=command:vault-read and so on", False),
            ("password=[redacted]", False),
            ('{"password":"env:DB_PASSWORD","x":"hunter2-secret"}', True),
            ('{"password":"hunter2-secret"}', True),
            ('{"password":"env:DB_PASSWORD hunter2"}', True),
            ('{"password":"user:hunter2"}', True),
            ("hunter2-secret", True),
            ("password=env:A password=guess password=env:B", True),
            ('{"password":"env:A"}{"password":"x"}{"password":"env:A"}', True),
        ],
    )
    def test_a_reference_is_no_secret(self, text: str, leak: bool) -> None:
        scrubber = Scrubber()
        scrubber.add("hunter2-secret")
        assert leaks(text, scrubber.scrub(text)) == leak

    @given(st.text("ab:env[redct]", max_size=20), st.text("ab:env", max_size=8))
    def test_a_known_value_never_passes(self, around: str, secret: str) -> None:
        scrubber = Scrubber()
        if len(secret) < SHORTEST or secret.startswith("env:"):
            return
        scrubber.add(secret)
        text = f"{around}{secret}{around}"
        assert leaks(text, scrubber.scrub(text))
