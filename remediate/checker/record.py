"""A run's record, read into what the rules ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from remediate.checker.outside import Outside
from remediate.model.base import State
from remediate.model.event import (
    Body,
    Decided,
    Event,
    Intent,
    Outcome,
    Probed,
    RollbackStarted,
    Verb,
    Verified,
)
from remediate.model.plan import Plan, PlannedStep
from remediate.model.step import Status, Verdict

#: A step on a target.
Cell = tuple[str, str]
_CONCLUSIVE = (Verdict.APPLIED, Verdict.NOT_APPLIED, Verdict.PARTIAL)


def conclusive(verdict: Verdict) -> bool:
    """Whether it settles an attempt."""
    return verdict in _CONCLUSIVE


@dataclass
class Record:
    """The plan, the events, and the ways to look at them."""

    plan: Plan
    events: tuple[Event, ...]
    outside: Outside = Outside()  # noqa: RUF009 -- frozen
    _steps: dict[str, PlannedStep] = field(init=False)

    def __post_init__(self) -> None:
        self._steps = {step.id: step for step in self.plan.steps}

    def step(self, name: str) -> PlannedStep | None:
        """A step of the plan."""
        return self._steps.get(name)

    @cached_property
    def bodies(self) -> tuple[Body, ...]:
        """What happened, in order."""
        return tuple(event.body for event in self.events)

    def intents(self, verb: Verb) -> Iterator[tuple[int, Intent]]:
        """Position and body of each intent."""
        for place, body in enumerate(self.bodies):
            if isinstance(body, Intent) and body.verb is verb:
                yield place, body

    def of(self, cell: Cell) -> list[tuple[int, Body]]:
        """Position and body of what is told about one step on one target."""
        return self._by_cell.get(cell, [])

    @cached_property
    def _by_cell(self) -> dict[Cell, list[tuple[int, Body]]]:
        found: dict[Cell, list[tuple[int, Body]]] = {}
        for place, body in enumerate(self.bodies):
            step, target = getattr(body, "step", None), getattr(body, "target", None)
            if step is not None and target is not None:
                found.setdefault((step, target), []).append((place, body))
        return found

    @property
    def cells(self) -> list[Cell]:
        """All that anything is told about."""
        return list(self._by_cell)

    def known_before(self, place: int, target: str) -> State:
        """The state that the run knew at this position: as planned, then as each read after an effect."""
        known = self.plan.original(target)
        for at, after in self._reads.get(target, []):
            if at < place:
                known.update(after)
        return known

    @cached_property
    def _reads(self) -> dict[str, list[tuple[int, State]]]:
        found: dict[str, list[tuple[int, State]]] = {}
        for place, body in enumerate(self.bodies):
            if isinstance(body, Outcome | Probed) and body.after is not None:
                found.setdefault(body.target, []).append((place, body.after))
        return found

    @cached_property
    def rollbacks(self) -> list[tuple[int, RollbackStarted]]:
        """Position and body of each rollback's start."""
        return [(place, body) for place, body in enumerate(self.bodies) if isinstance(body, RollbackStarted)]

    def effect(self, cell: Cell, before: int | None = None) -> bool | None:
        """Whether the step's effect may stand on the target: None if it was never begun or is known not to.

        True: it was done. False: it was begun, and nobody knows, or it failed on the way.
        """
        state: bool | None = None
        for place, body in self.of(cell):
            if before is not None and place >= before:
                break
            match body:
                case Intent(verb=Verb.APPLY):
                    state = False
                case Outcome(verb=Verb.APPLY, result=result) if state is False:
                    state = result.status is Status.OK
                case Probed(verb=Verb.APPLY, verdict=verdict) | Decided(verdict=verdict) if state is False:
                    state = {Verdict.APPLIED: True, Verdict.NOT_APPLIED: None}.get(verdict, False)
                case Outcome(verb=Verb.UNDO, result=result) if result.status is Status.OK:
                    state = None
                case _:
                    pass
        return state

    def verified(self, cell: Cell, before: int) -> bool:
        """Whether the last verification before this position passed."""
        last = [b for place, b in self.of(cell) if place < before and isinstance(b, Verified)]
        return bool(last) and last[-1].ok
