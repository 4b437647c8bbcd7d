"""A journal, a clock, a ticket, and one process after another that carries the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from remediate.model.event import Body, Event, Inspected, RunStarted, RunTaken
from remediate.tickets.entries import Composer
from remediate.tickets.interface import Change
from remediate.tickets.pump import Pace, Pump

from .fake import FakeTickets, Killed

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


@dataclass
class World:
    """See the module."""

    system: FakeTickets
    render: Callable[[Event], str | None]
    pace: Pace = field(default_factory=Pace)
    change: Change | None = None
    composer: Composer | None = None
    journal: list[Event] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pump = self.process()

    def process(self) -> Pump:
        """A new process; the one before is gone."""
        composer = self.composer or Composer("r-1", self.render, lambda _event: (), str)
        self.pump = Pump(
            self.system,
            "7",
            composer,
            lambda after: self.journal[after:],
            self.change,
            self.problems.append,
            self.system.clock,
            self.pace,
        )
        self.pump.begin()
        return self.pump

    def add(self, *bodies: Body) -> None:
        """Journal events."""
        for body in bodies:
            number = len(self.journal) + 1
            self.journal.append(
                Event(seq=number, run="r-1", number=number, at=0.0, body=body, prev="", hash="")
            )

    def go(self, seconds: float = 36_000.0, moves: int = 10_000) -> None:
        """Step until there is nothing to do, or for so long."""
        end = self.system.clock.now + seconds
        for _ in range(moves):
            delay = self.pump.step()
            if delay is None:
                return
            self.system.clock.now += delay
            if self.system.clock.now > end:
                self.system.clock.now = end
                return
        raise AssertionError("it goes on for ever")

    def close(self, seconds: float = 36_000.0) -> bool:
        """Ask for the end; whether everything stands on the ticket."""
        self.pump.closing += 1
        self.go(seconds)
        return self.pump.closed == self.pump.closing

    def years_later(self) -> None:
        """Whatever was still on its way has arrived."""
        self.system.clock.now = self.system.down_until = 1e9
        self.system.last_posted("7", "r-1")


def told(world: World) -> list[int]:
    """Numbers of the events whose lines stand on the ticket, in its order."""
    text = "\n".join(entry.text for entry in world.system.shown if entry.run == "r-1")
    return [int(line[1:].partition(">")[0]) for line in text.split("\n") if line.startswith("<")]


def lasts(world: World) -> list[int]:
    return [entry.last for entry in world.system.shown if entry.run == "r-1"]


def expected(world: World) -> list[int]:
    return [event.number for event in world.journal if render(event) is not None]


def survives(world: World, action: Callable[[], bool | None]) -> bool:
    """Whether the action said yes; a process that dies in it is followed by another."""
    try:
        return bool(action())
    except Killed:
        world.process()
        return False
