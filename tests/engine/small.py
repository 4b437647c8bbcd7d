"""What small simulated runs have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from remediate.engine.port import Job
from remediate.model.base import State
from remediate.model.event import (
    Final,
    Intent,
    Verb,
)
from remediate.model.step import CheckResult, Result
from tests.engine.sim import Sim

#: A step on targets; what came of it.
Effect = Callable[[str, Sequence[Job]], Mapping[str, Result]]


def finals(sim: Sim) -> set[Final | None]:
    """How its targets ended."""
    return {t.settled for t in sim.state.targets.values()}


def intents(sim: Sim, verb: Verb, step: str) -> int:
    """How often this was begun."""
    bodies = [e.body for e in sim.journal.events]
    return sum(isinstance(b, Intent) and b.verb is verb and b.step == step for b in bodies)


def bounded(sim: Sim, looks: int = 4000) -> Sim:
    """The simulation, which fails when the engine goes on for ever."""
    left = iter(range(looks))

    def asked() -> bool:
        assert next(left, None) is not None, "it goes on for ever"
        return False

    sim.interrupted = asked
    return sim


def instead(sim: Sim, name: str, does: Callable[..., object]) -> None:
    """The simulated targets do this instead of what they would."""
    setattr(sim.world, name, does)


def before_each(sim: Sim, step: str, happens: Callable[[], object]) -> None:
    """Something happens right before this step is verified."""
    plain = sim.world.verify

    def verify(name: str, jobs: Sequence[Job]) -> Mapping[str, tuple[CheckResult, ...]]:
        if name == step:
            happens()
        return plain(name, jobs)

    instead(sim, "verify", verify)


def read_back(sim: Sim, look: Callable[[str], State]) -> None:
    """The final read of a target is this."""
    instead(sim, "read_back", look)


def at_work(sim: Sim, seconds: float) -> list[float]:
    """Whatever was begun is at work for so long. Gives the times at which it is probed or undone."""
    start, times = sim.clock(), list[float]()
    plain_probe, plain_undo = sim.world.probe, sim.world.undo
    instead(sim, "quiesce", lambda *_: sim.clock() >= start + seconds)

    def probe(step: str, job: Job) -> object:
        times.append(sim.clock() - start)
        return plain_probe(step, job)

    def undo(step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        times.append(sim.clock() - start)
        return plain_undo(step, jobs)

    instead(sim, "probe", probe)
    instead(sim, "undo", undo)
    return times
