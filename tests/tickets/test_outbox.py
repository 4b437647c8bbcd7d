"""The outbox over a ticket system that fails in every way, with processes that die at every point."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediate.errors import Refused, Waiting
from remediate.model.event import Event, Inspected, Progress, RunStarted, RunTaken
from remediate.tickets.doubt import Doubt
from remediate.tickets.interface import Change, TicketSystem
from remediate.tickets.outbox import Outbox
from remediate.tickets.pump import Pace

from .conformance import Seen, TicketConformance, Transcript
from .fake import FakeTickets, Fate, Killed
from .world import SILENT, STARTED, TAKEN, World, expected, lasts, render, survives, told


@pytest.fixture
def world() -> World:
    return World(FakeTickets(), render)


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

    def test_every_outage_is_told_and_begins_with_short_waits(self, world: World) -> None:
        world.add(TAKEN)
        world.go()
        for _ in range(2):
            world.system.down_until = world.system.clock.now + 1000
            world.add(Progress(text="a"))
            assert [world.pump.step() for _ in range(3)] == [1, 2, 4]
            world.go()
        assert len(world.problems) == 2

    def test_after_an_end_the_log_goes_on_at_its_pace(self, world: World) -> None:
        world.add(TAKEN, SILENT)
        assert world.close()
        world.add(SILENT)
        world.go()
        assert lasts(world) == [2]
        world.add(TAKEN)
        world.go(seconds=4)
        assert lasts(world) == [2]
        assert world.close()
        assert lasts(world) == [2, 4]

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

    def test_a_process_that_died_may_have_left_a_post_on_its_way(self, world: World) -> None:
        world.system.fates = deque(["killed-late"])
        world.system.delay = 10.0
        world.add(Progress(text="a"))
        with pytest.raises(Killed):
            world.go()
        world.process()
        world.go()
        world.years_later()
        assert told(world) == [1]

    def test_an_entry_taken_late_stands_once(self, world: World) -> None:
        world.system.fates = deque(["late"])
        world.system.delay = 14.0
        world.add(Progress(text="a"))
        world.go()
        assert world.close()
        world.years_later()
        assert told(world) == [1]

    def test_no_time_to_settle_passes_while_nobody_answers(self, world: World) -> None:
        """It is down for 20 seconds and answers again after 31; the entry appears 9 seconds later."""
        world.system.fates = deque(["late"])
        world.system.delay = 10.0
        world.add(Progress(text="a"))
        world.go(seconds=5)
        now = world.system.clock.now
        world.system.down_until = now + 20
        world.system.late = [(now + 40, entry) for _, entry in world.system.late]
        world.go()
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

    def test_who_slept_through_a_takeover_waits_for_the_others_post(self, world: World) -> None:
        """The other one died with a post on its way, of which the sleeper knows nothing."""
        world.add(STARTED)
        world.go()
        sleeper = world.pump
        world.process()
        world.add(TAKEN, Progress(text="a"))
        world.system.fates = deque(["taken", "killed-late"])
        with pytest.raises(Killed):
            world.go(seconds=20)
        world.pump = sleeper
        assert world.close()
        world.years_later()
        assert told(world) == [1, 2, 3]

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
                hang.wait(2)
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
