"""The status of a change on its ticket, moved along with the run."""

from __future__ import annotations

from collections import deque

import pytest

from remediate.model.event import RunFinished, Stopped
from remediate.tickets.entries import Composer
from remediate.tickets.interface import Change

from .fake import FakeTickets, Fate
from .world import STARTED, TAKEN, World, render, survives, told


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

    def test_a_note_tells_no_secret(self) -> None:
        scrub = lambda text: text.replace("change status", "[redacted]")  # noqa: E731
        composer = Composer("r-1", render, lambda _e: (), scrub)
        world = World(FakeTickets(), render, change=Change("a" * 64), composer=composer)
        world.system.refuse_status = True
        world.add(STARTED)
        world.go()
        assert "can't [redacted]" in world.system.shown[0].text
        assert "can't [redacted]" in world.problems[0]

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

    def test_a_later_process_sets_it_at_once(self) -> None:
        """A process that died between its last entry and the status."""
        world = self.world()
        world.add(STARTED, RunFinished(exit_code=0, summary="done"))
        world.go()
        assert world.system.status == "in progress"
        world.process()
        assert world.close(seconds=0)
        assert world.system.status == "verified-new"

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

    def test_attempts_are_counted_for_each_move(self) -> None:
        world = self.world()
        world.system.status_fails = 2
        world.add(STARTED)
        world.go()
        world.system.status_fails = 2
        world.add(RunFinished(exit_code=0, summary="done"))
        assert world.close()
        assert world.system.status == "verified-new"
        assert [e.run for e in world.system.shown] == ["r-1", "r-1"]

    def test_a_run_that_is_rolled_back_afterwards(self) -> None:
        world = self.world()
        world.add(STARTED, RunFinished(exit_code=0, summary="done"))
        assert world.close()
        assert world.system.status == "verified-new"
        world.add(TAKEN, RunFinished(exit_code=4, summary="rolled back"))
        assert world.close()
        assert world.system.status == "verified-original"

    def test_each_ending_has_a_note_of_its_own(self) -> None:
        world = self.world()
        world.add(STARTED)
        world.go()
        world.system.refuse_status = True
        for code in (5, 0, 4):
            world.add(RunFinished(exit_code=code, summary="done"))
            world.process()
            assert world.close()
            assert world.close()
        notes = [e for e in world.system.shown if e.run == "r-1.status"]
        assert [e.last for e in notes] == [2, 3, 4]
        for note, result in zip(notes, ("a human", "changed and verified", "rolled back"), strict=True):
            assert result in note.text
            assert "could not be set to say so" in note.text
        assert told(world) == [1, 2, 3, 4]
