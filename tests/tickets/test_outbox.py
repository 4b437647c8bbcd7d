"""The outbox over a ticket system that fails in every way, with processes that die at every point."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediate.errors import Refused, Waiting
from remediate.model.event import (
    Event,
    Inspected,
    Progress,
    RunFinished,
    RunStarted,
    RunTaken,
    Stopped,
)
from remediate.tickets.doubt import Doubt
from remediate.tickets.entries import BYTES, FILE_BYTES, LINES, Composer
from remediate.tickets.interface import Change, EntryList, TicketSystem
from remediate.tickets.outbox import Outbox
from remediate.tickets.pump import Pace

from .conformance import Seen, TicketConformance, Transcript
from .fake import Clock, FakeTickets, Fate, Killed, World

STARTED = RunStarted(
    plan="a" * 64,
    plan_id="p-1",
    ticket="7",
    runbook="patch",
    runner="alice",
    tool_version="1",
    targets=1,
    steps=1,
)
TAKEN = RunTaken(runner="alice", tool_version="1")
SILENT = Inspected(wave=1, target="web1", ok=True)


def render(event: Event) -> str | None:
    """A line that is found again on the ticket."""
    return None if isinstance(event.body, Inspected) else f"<{event.number}> {event.body.kind}"


@pytest.fixture
def world() -> World:
    return World(FakeTickets(), render)


def told(world: World) -> list[int]:
    """Numbers of the events whose lines stand on the ticket, in its order."""
    text = "\n".join(entry.text for entry in world.system.shown if entry.run == "r-1")
    return [int(line[1:].partition(">")[0]) for line in text.split("\n") if line.startswith("<")]


def lasts(world: World) -> list[int]:
    return [entry.last for entry in world.system.shown if entry.run == "r-1"]


def expected(world: World) -> list[int]:
    return [event.number for event in world.journal if render(event) is not None]


class TestFake(TicketConformance):
    """The fake conforms, or tests with it would prove nothing."""

    @pytest.fixture
    def system(self) -> FakeTickets:
        return FakeTickets()

    @pytest.fixture
    def ticket_id(self) -> str:
        return "7"

    @pytest.fixture
    def transcript(self, system: FakeTickets) -> Transcript:
        return lambda _ticket: [Seen(e.text, e.public, e.attachments) for e in system.shown]


class TestEntries:
    def test_internal_events_stand_together_public_ones_alone(self, world: World) -> None:
        world.add(STARTED, TAKEN, TAKEN, Progress(text="half"), TAKEN, Progress(text="more"), TAKEN)
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
        world.add(SILENT, STARTED, SILENT, TAKEN, SILENT, Progress(text="half"), SILENT, TAKEN)
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
            world.add(TAKEN)
            world.go(seconds=1)
            world.system.clock.now += 1
        world.go()
        assert told(world) == list(range(1, 21))
        assert len(world.system.shown) == 4

    def test_a_public_event_does_not_wait(self, world: World) -> None:
        world.add(TAKEN, Progress(text="half"))
        world.go(seconds=0)
        assert lasts(world) == [1, 2]

    def test_an_entry_is_bounded_in_lines_and_bytes(self) -> None:
        long = World(FakeTickets(), lambda event: f"<{event.number}> " + "é" * 4000)
        long.add(*[TAKEN] * 20)
        long.go()
        assert told(long) == list(range(1, 21))
        assert all(len(e.text.encode()) <= BYTES for e in long.system.shown)
        many = World(FakeTickets(), render)
        many.add(*[TAKEN] * (3 * LINES + 1))
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
        world.add(TAKEN, TAKEN, TAKEN)
        world.go()
        assert "event #2, run-taken, can't be shown: ZeroDivisionError" in world.system.shown[0].text
        assert lasts(world) == [3]

    def test_a_failing_scrubber_lets_no_text_out(self) -> None:
        composer = Composer("r-1", lambda _e: "secret", lambda _e: (), lambda _t: str(1 // 0))
        world = World(FakeTickets(), render, composer=composer)
        world.add(TAKEN)
        world.go()
        assert "secret" not in world.system.shown[0].text


class TestFiles:
    def world(self, *paths: Path) -> World:
        composer = Composer("r-1", render, lambda _e: paths, lambda t: t.replace("hunter2", "[redacted]"))
        return World(FakeTickets(), render, composer=composer)

    def test_they_are_attached(self, tmp_path: Path) -> None:
        file = tmp_path / "a.log"
        file.write_bytes(b"\0data")
        world = self.world(file)
        world.add(STARTED, TAKEN)
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


class TestOutages:
    def test_down_for_hours(self, world: World) -> None:
        world.add(STARTED)
        world.go()
        world.system.down_until = world.system.clock.now + 6 * 3600
        for _ in range(100):
            world.add(TAKEN, Progress(text="still at it"))
        world.go(seconds=5 * 3600)
        assert lasts(world) == [1]
        assert len(world.problems) == 1
        assert world.system.calls.count("ask") < 5 * 60 + 20
        assert world.close()
        assert told(world) == expected(world)

    def test_waits_double_up_to_a_minute(self, world: World) -> None:
        world.add(STARTED)
        world.system.down_until = 1e9
        assert [world.pump.step() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    def test_a_lost_reply_makes_no_double(self, world: World) -> None:
        world.system.fates = deque(["lost", "taken", "lost"])
        world.add(STARTED, Progress(text="a"), TAKEN, Progress(text="b"))
        world.go()
        assert told(world) == [1, 2, 3, 4]
        assert lasts(world) == [1, 2, 3, 4]

    def test_what_was_not_sent_is_posted_without_waiting_for_it(self, world: World) -> None:
        world.system.fates = deque(["unreachable"])
        world.add(Progress(text="a"))
        world.go(seconds=1.5)
        assert lasts(world) == [1]

    def test_what_was_dropped_is_posted_after_it_settled(self, world: World) -> None:
        world.system.fates = deque(["dropped"])
        world.add(Progress(text="a"))
        world.go(seconds=14)
        assert lasts(world) == []
        world.go(seconds=5)
        assert lasts(world) == [1]

    def test_an_entry_taken_late_stands_once(self, world: World) -> None:
        world.system.fates = deque(["late"])
        world.system.delay = 14.0
        world.add(Progress(text="a"))
        world.go()
        assert world.close()
        world.years_later()
        assert told(world) == [1]

    def test_a_frozen_server_that_takes_it_after_hours(self, world: World) -> None:
        """The time to settle counts from when the system answers again, not from the post."""
        world.system.fates = deque(["late"])
        world.system.delay = 10.0
        world.add(Progress(text="a"))
        world.go(seconds=5)
        assert world.system.late
        world.system.down_until = world.system.clock.now + 7200
        world.system.late = [(world.system.down_until + 10, entry) for _, entry in world.system.late]
        world.go(seconds=7000)
        world.add(Progress(text="b"))
        world.go()
        world.years_later()
        assert told(world) == [1, 2]

    def test_an_entry_taken_even_later_is_told(self, world: World) -> None:
        world.system.fates = deque(["late"])
        world.system.delay = 100.0
        world.add(Progress(text="a"), Progress(text="b"))
        world.go()
        world.system.clock.now += 200
        assert world.close()
        assert lasts(world) == [1, 2, 1]
        assert world.problems[-1].endswith("twice, taken late: [1]")

    def test_a_bug_in_an_adapter_counts_as_doubt(self, world: World) -> None:
        world.system.fates = deque(["bug"])
        world.add(Progress(text="a"))
        world.go(seconds=14)
        assert lasts(world) == []
        assert "ZeroDivisionError" in world.problems[0]
        world.go(seconds=10)
        assert lasts(world) == [1]

    def test_refusals_are_tried_rarely_and_told_once(self, world: World) -> None:
        world.system.fates = deque(["refused"] * 5)
        world.add(Progress(text="a"))
        world.go(seconds=1000)
        assert world.system.calls.count("post") == 4
        assert len(world.problems) == 1
        assert world.close()
        assert told(world) == [1]

    def test_an_entry_that_reads_otherwise_is_told_and_not_repeated(self, world: World) -> None:
        world.system.fates = deque(["altered"])
        world.add(Progress(text="a"), Progress(text="b"))
        world.go()
        assert told(world) == [1, 2]
        assert len(world.problems) == 1

    def test_an_entry_that_is_not_shown_is_waited_for(self, world: World) -> None:
        world.system.fates = deque(["hidden"])
        world.add(Progress(text="a"), Progress(text="b"))
        world.go(seconds=10_000)
        assert not world.close(10_000)
        assert world.system.calls.count("post") == 1

    def test_a_ticket_that_went_back_is_filled_again(self, world: World) -> None:
        """A restored backup: what it lost is posted again, after waiting for a stale answer to pass."""
        world.add(Progress(text="a"), Progress(text="b"))
        world.go()
        world.system.shown.pop()
        world.add(Progress(text="c"))
        world.go(seconds=14)
        assert lasts(world) == [1]
        world.go()
        assert told(world) == [1, 2, 3]

    def test_a_stale_answer_repeats_nothing(self, world: World) -> None:
        world.add(Progress(text="a"), Progress(text="b"))
        world.go()
        kept = world.system.shown.pop()
        world.add(Progress(text="c"))
        world.go(seconds=5)
        world.system.shown.append(kept)
        world.go()
        assert told(world) == [1, 2, 3]

    def test_a_ticket_ahead_of_the_journal_is_told(self, world: World) -> None:
        world.add(*[TAKEN] * 9)
        world.go()
        del world.journal[4:]
        world.process()
        assert not world.close(1000)
        assert "event #9, which the journal does not hold" in world.problems[0]

    def test_an_end_asked_for_meanwhile_is_another_end(self, world: World) -> None:
        read = world.pump._events

        def flushed_meanwhile(after: int) -> Sequence[Event]:
            found = list(read(after))
            if after == 0 and world.system.shown and len(world.journal) == 1:
                world.add(TAKEN)
                world.pump.closing += 1
            return found

        world.add(TAKEN)
        world.pump._events = flushed_meanwhile
        world.pump.closing = 1
        while not world.pump.closed:
            world.system.clock.now += world.pump.step() or 0
        assert (world.pump.closed, lasts(world)) == (1, [1])
        assert world.close()
        assert lasts(world) == [1, 2]

    def test_a_journal_that_cannot_be_read_is_waited_for(self, world: World) -> None:
        world.add(TAKEN)
        world.go()

        def unreadable(_after: int) -> list[Event]:
            raise OSError("database is locked")

        good, world.pump._events = world.pump._events, unreadable
        assert world.pump.step() == 1.0
        world.pump._events = good
        world.add(TAKEN)
        world.go()
        assert told(world) == [1, 2]


def test_a_doubt_is_about_the_newest_entry_that_may_come() -> None:
    doubt = Doubt(15)
    doubt.arise(7)
    doubt.arise(5)
    doubt.answered(5, 0)
    assert doubt.wait(0) > 0
    doubt.answered(7, 1)
    assert doubt.wait(1) == 0


class TestStatus:
    def world(self) -> World:
        return World(FakeTickets(), render, change=Change("a" * 64))

    @pytest.mark.parametrize(
        ("code", "status"), [(0, "verified-new"), (4, "verified-original"), (5, "needs-human")]
    )
    def test_it_follows_the_run(self, code: int, status: str) -> None:
        world = self.world()
        world.add(STARTED, TAKEN)
        world.go()
        assert world.system.status == "in progress"
        world.add(RunFinished(exit_code=code, summary="done"))
        world.go()
        assert world.system.status == "in progress"
        assert world.close()
        assert world.system.status == status
        assert world.system.calls[-1] == "finished"  # a reply after it might open the ticket again

    def test_a_run_that_only_paused_leaves_it(self) -> None:
        world = self.world()
        world.add(STARTED, Stopped(reason="interrupted"))
        assert world.close()
        assert world.system.status == "in progress"

    def test_a_refusal_is_noted_once_and_holds_nothing_up(self) -> None:
        world = self.world()
        world.system.refuse_status = True
        world.add(STARTED)
        world.system.fates = deque(["taken", "dropped"])
        world.go()
        world.add(RunFinished(exit_code=4, summary="done"))
        world.go()
        assert world.close()
        assert world.close()
        world.process()
        assert world.close()
        notes = [e for e in world.system.shown if e.run == "r-1.status"]
        assert [e.last for e in notes] == [1, 2]
        assert all("You can't change status" in e.text for e in notes)
        assert told(world) == [1, 2]

    @pytest.mark.parametrize("fate", ["altered", "hidden", "lost", "late", "dropped"])
    def test_a_note_with_any_fate_is_not_repeated(self, fate: Fate) -> None:
        world = self.world()
        world.system.refuse_status = True
        world.system.fates = deque([fate])
        world.add(STARTED)
        assert world.close()
        notes = [e for e in world.system.shown if e.run == "r-1.status"]
        assert len(notes) == (0 if fate == "hidden" else 1)
        assert told(world) == [1]

    @pytest.mark.parametrize("fate", ["late", "killed-late"])
    def test_a_last_note_taken_late_is_not_repeated(self, fate: Fate) -> None:
        world = self.world()
        world.add(STARTED, RunFinished(exit_code=0, summary="done"))
        world.go()
        world.system.refuse_status = True
        world.system.fates = deque([fate])
        while not survives(world, world.close):
            pass
        world.years_later()
        assert [e.last for e in world.system.shown if e.run == "r-1.status"] == [2]

    def test_a_note_that_is_not_shown_is_not_repeated(self) -> None:
        world = self.world()
        world.system.refuse_status = True
        world.system.fates = deque(["hidden", "dropped"])
        world.add(STARTED)
        assert world.close()
        assert world.system.calls.count("post") == 3

    def test_a_status_that_goes_on_failing_holds_nothing_up(self) -> None:
        world = self.world()
        world.system.status_fails = 3
        world.add(STARTED)
        world.go(seconds=30)
        assert told(world) == [1]
        assert "500" in world.system.shown[0].text

    def test_a_status_that_failed_once_is_set(self) -> None:
        world = self.world()
        world.system.status_fails = 2
        world.add(STARTED)
        world.go()
        assert world.system.status == "in progress"
        assert [e.run for e in world.system.shown] == ["r-1"]


FATES = st.sampled_from(
    [
        "taken",
        "taken",
        "unreachable",
        "dropped",
        "lost",
        "late",
        "refused",
        "altered",
        "bug",
        "killed-before",
        "killed-after",
        "killed-late",
    ]
)
ACTIONS = st.one_of(
    st.sampled_from([STARTED, TAKEN, SILENT, Progress(text="p")]).map(lambda body: ("event", body)),
    FATES.map(lambda fate: ("fate", fate)),
    st.floats(0.1, 400.0).map(lambda seconds: ("go", seconds)),
    st.floats(0.1, 400.0).map(lambda seconds: ("down", seconds)),
    st.just(("restart", None)),
    st.just(("close", None)),
)


def survives(world: World, action: Callable[[], bool | None]) -> bool:
    """Whether the action said yes; a process that dies in it is followed by another."""
    try:
        return bool(action())
    except Killed:
        world.process()
        return False


def act(world: World, what: str, detail: object) -> None:
    match what, detail:
        case "event", (RunStarted() | RunTaken() | Inspected() | Progress()) as body:
            world.add(body)
        case "fate", fate:
            world.system.fates.append(cast(Fate, fate))
        case "go", float() as seconds:
            survives(world, lambda: world.go(seconds))
        case "down", float() as seconds:
            world.system.down_until = world.system.clock.now + seconds
        case "restart", _:
            world.process()
        case _:
            survives(world, lambda: world.close(60.0))


@settings(max_examples=400, deadline=None)
@given(st.lists(ACTIONS, max_size=60), st.floats(0.0, 14.9), st.booleans())
def test_every_event_stands_once_and_in_order(
    actions: Sequence[tuple[str, object]], delay: float, workflow: bool
) -> None:
    """Whatever fails and whoever dies, as long as no entry is taken later than the time to settle."""
    world = World(FakeTickets(delay=delay), render, change=Change("a" * 64) if workflow else None)
    world.system.refuse_status = workflow
    for what, detail in actions:
        act(world, what, detail)
        assert told(world) == expected(world)[: len(told(world))]
    while not survives(world, world.close):
        pass
    world.years_later()
    assert told(world) == expected(world)
    assert sorted(set(lasts(world))) == lasts(world)
    assert not world.journal or lasts(world)[-1] == len(world.journal)
    assert all(entry.public == ("progress" in entry.text) for entry in world.system.shown)
    notes = [entry.last for entry in world.system.shown if entry.run == "r-1.status"]
    assert notes == sorted(set(notes))


class TestThread:
    """The thread around it, in real time."""

    PACE = Pace(settle=0.1, linger=0.02, rarely=0.2, slowest=0.2)

    @pytest.fixture
    def system(self) -> FakeTickets:
        return FakeTickets()

    @pytest.fixture
    def journal(self, world: World) -> World:
        return world

    def outbox(self, system: TicketSystem, world: World) -> Outbox:
        return Outbox(
            system,
            "7",
            "r-1",
            lambda after: world.journal[after:],
            render,
            problem=world.problems.append,
            pace=self.PACE,
        )

    def test_carries_events_as_they_come(self, world: World) -> None:
        outbox = self.outbox(world.system, world)
        outbox.check()
        outbox.start()
        for number in range(1, 6):
            world.add(Progress(text="p"))
            outbox.wake()
            deadline = time.monotonic() + 5
            while told(world) != list(range(1, number + 1)):
                assert time.monotonic() < deadline
                time.sleep(0.002)
        world.add(SILENT)
        assert outbox.flush(5)
        assert lasts(world)[-1] == 6
        outbox.stop()
        assert not [t for t in threading.enumerate() if t.name == "outbox r-1"]

    def test_nothing_blocks_while_a_call_hangs(self, world: World) -> None:
        hang = threading.Event()

        class Hanging(FakeTickets):
            def last_posted(self, ticket: str, run: str) -> int:
                hang.wait(10)
                return super().last_posted(ticket, run)

        system = Hanging()
        outbox = self.outbox(system, world)
        outbox.start()
        world.add(TAKEN)
        started = time.monotonic()
        for _ in range(1000):
            outbox.wake()
        assert time.monotonic() - started < 0.5
        assert not outbox.flush(0.1)
        outbox.stop(0.1)
        assert time.monotonic() - started < 1
        hang.set()
        assert outbox.flush(5)
        outbox.stop()
        assert [e.last for e in system.shown] == [1]

    def test_flush_tries_at_once_and_may_be_called_again(self, world: World) -> None:
        world.system.fates = deque(["refused", "refused"])
        outbox = Outbox(
            world.system,
            "7",
            "r-1",
            lambda after: world.journal[after:],
            render,
            pace=Pace(settle=0.1, linger=0.0, rarely=1000),
        )
        outbox.start()
        world.add(TAKEN)
        outbox.wake()
        assert not outbox.flush(0.3)
        assert not outbox.flush(0.3) or world.system.calls.count("post") == 3
        assert outbox.flush(1)
        outbox.stop()

    def test_flush_does_not_answer_for_events_that_came_after_the_last(self, world: World) -> None:
        outbox = self.outbox(world.system, world)
        outbox.start()
        for number in range(1, 30):
            world.add(TAKEN)
            assert outbox.flush(5)
            assert lasts(world)[-1] == number
        outbox.stop()

    def test_a_display_that_fails_does_not_end_the_log(self, world: World) -> None:
        def fail(_text: str) -> None:
            raise OSError("broken pipe")

        world.system.fates = deque(["refused"])
        outbox = Outbox(
            world.system, "7", "r-1", lambda a: world.journal[a:], render, problem=fail, pace=self.PACE
        )
        outbox.start()
        world.add(TAKEN)
        assert outbox.flush(5)
        outbox.stop()

    def test_check(self, world: World) -> None:
        outbox = self.outbox(world.system, world)
        outbox.check()
        world.system.down_until = world.system.clock.now + 1
        with pytest.raises(Waiting, match="nothing was begun"):
            outbox.check()
        world.system.down_until = 0
        world.system.known = frozenset()
        with pytest.raises(Refused, match="no ticket 7"):
            outbox.check()

    def test_the_fake_lists_its_entries(self, system: FakeTickets) -> None:
        assert isinstance(system, EntryList)
        assert isinstance(system.clock, Clock)
