"""Somebody sets the clock while a run goes on: it neither waits for the old time, nor falls silent."""

from __future__ import annotations

from itertools import pairwise

import pytest

from remediate.engine.runner import POLL, Runner
from remediate.errors import Exit
from remediate.model.event import GatePassed, Probed
from remediate.model.step import StepClass
from tests.engine.sim import Sim, SimInbox, compare, make_plan


def jumps_after(sim: Sim, kind: type, seconds: float) -> None:
    """The clock is set once, when the first such event was recorded."""
    plain = sim.journal.record

    def record(*bodies: object) -> None:
        plain(*bodies)  # type: ignore[arg-type]
        if any(isinstance(body, kind) for body in bodies):
            sim.journal.record = plain  # type: ignore[method-assign]
            sim.clock.jump(seconds)

    sim.journal.record = record  # type: ignore[method-assign]


@pytest.mark.parametrize("seconds", [-7200.0, -30.0, 7200.0])
def test_patience_is_no_longer_when_the_clock_is_set(seconds: float) -> None:
    sim = Sim(make_plan(targets=1, step_class=StepClass.OPAQUE, patience=10))
    sim.world.faults["s2-change", "t1"] = ["doubt"]
    jumps_after(sim, Probed, seconds)
    began = sim.clock.monotonic
    assert sim.process() is Exit.NEEDS_HUMAN
    assert sim.clock.monotonic - began < 30
    assert sum(isinstance(e.body, Probed) for e in sim.journal.events) < 10


def test_the_next_process_does_not_wait_for_the_old_time() -> None:
    """The clock was set back while no process lived; the soak had begun before."""
    sim = Sim(make_plan(targets=2, wave=1, soak=20.0))
    sim.interrupted = lambda: len(sim.journal.events) == 11
    assert sim.process() is Exit.INTERRUPTED
    sim.clock.jump(-7200)
    began = sim.clock.monotonic
    assert sim.process() is Exit.VERIFIED_NEW
    assert sim.clock.monotonic - began < 100
    assert any(isinstance(e.body, GatePassed) for e in sim.journal.events)


def test_a_runner_shows_that_it_lives_when_the_clock_is_set_back() -> None:
    """Else nobody would hear of an abort, and its lease would run out."""
    sim = Sim(make_plan(targets=1, soak=20.0))
    inbox, beats = SimInbox(sim.clock), list[float]()
    sim.journal.deliver = inbox.put

    def beat() -> None:
        beats.append(sim.clock.monotonic)
        if len(beats) == 10:
            sim.clock.jump(-7200)

    Runner(
        sim.plan, sim.state, sim.world, sim.journal, inbox, inbox, sim.clock, compare, heartbeat=beat
    ).run()  # fmt: skip
    assert len(beats) > 30
    assert max(b - a for a, b in pairwise(beats)) <= 2 * POLL
