"""What a run's events add up to: cells (one step on one target), targets, the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from remediate.model.base import State
from remediate.model.event import Final, RunFinished
from remediate.model.plan import Plan
from remediate.model.runbook import Scope
from remediate.model.step import Role, StepClass, Verdict


class Phase(Enum):
    """Where an effect is: apply or undo of one step on one target."""

    NONE = "not begun"
    INTENDED = "in flight"
    OK = "done"
    FAILED = "failed"
    DOUBT = "in doubt"
    NOT_APPLIED = "not applied"
    HELD = "held back"


@dataclass(slots=True)
class Cell:
    """One step on one target."""

    phase: Phase = Phase.NONE
    attempt: int = 0
    verified: bool | None = None
    undo: Phase = Phase.NONE
    undo_attempt: int = 0
    undo_tries: int = 0
    """Undo attempts since a process last took the run: bounds the retries of each."""
    undo_since: float = 0.0
    probes: int = 0
    overwrite: bool = False
    """A human lets its undo overwrite what others changed since."""
    decided: Verdict | None = None
    """What a human said of an attempt in doubt; taken up as soon as the target can be read."""
    doubt_since: float = 0.0
    at: float = 0.0
    """When anything was last heard of this cell; waits are counted from here."""
    before: State = field(default_factory=dict)
    data: State = field(default_factory=dict)

    @property
    def begun(self) -> bool:
        """Whether an effect of this step may exist."""
        return self.phase in (Phase.INTENDED, Phase.OK, Phase.FAILED, Phase.DOUBT)


@dataclass(slots=True)
class TargetState:
    """One target on its way through the run."""

    wave: int
    known: State
    """The last state that this run knows: first as approved, then as its own steps left it."""
    original: State
    touched: bool = False
    inspected: bool = False
    failure: str = ""
    rolling: bool = False
    settled: Final | None = None
    accepted: bool = False
    """A human answers for it as it is: nothing more is tried on it."""
    unread: int = 0
    unread_since: float = 0.0
    at: float = 0.0


@dataclass(slots=True)
class RunState:
    """The whole run."""

    plan: Plan
    targets: dict[str, TargetState]
    cells: dict[tuple[int, str], Cell] = field(default_factory=dict)
    number: int = 0
    run: str = ""
    started_at: float = 0.0
    wave: int = 0
    """The wave that is under way: gates passed so far."""
    front: int = -1
    """The step of the wave that is under way, -1 while its targets are inspected; none before it is open."""
    open: list[str] | None = None
    """Targets on which the front may still be open, so that those that are done are not asked again; None:
    to be found anew."""
    wave_done_at: float = 0.0
    begun: set[tuple[int, int]] = field(default_factory=set)
    """(wave, step) pairs with an effect: what an undo of everything would have to walk back."""
    measured: dict[tuple[int, int], float] = field(default_factory=dict)
    """Seconds that the undo of a (wave, step) takes, where a backup measured it by restoring itself."""
    doubtful: set[tuple[int, str]] = field(default_factory=set)
    """Cells that were ever in doubt; only these are looked through for patience that ran out."""
    failed: dict[str, str] = field(default_factory=dict)
    """Targets that failed, with the reason; they count against the failure budget for good."""
    rolling: bool = False
    """Whether any target rolls back, or did."""
    stopping: str = ""
    """Why nothing goes forward any more."""
    reach: Scope | None = None
    """How far the rollback goes that stopped the run."""
    paused: bool = False
    abort: str = ""
    finished: RunFinished | None = None

    @classmethod
    def new(cls, plan: Plan) -> RunState:
        """The state before any event."""
        originals = {name: plan.original(name) for name in plan.by_name}
        return cls(
            plan,
            {
                name: TargetState(index, dict(originals[name]), originals[name])
                for index, wave in enumerate(plan.waves)
                for name in wave.targets
            },
        )

    @property
    def scope(self) -> Scope:
        """How far a rollback goes that stops the run now."""
        return Scope.RUN if self.abort else self.plan.rollback

    def cell(self, step: str | int, target: str) -> Cell:
        """The cell of this step on this target, made when first asked for."""
        index = step if isinstance(step, int) else self.plan.step_index[step]
        found = self.cells.get((index, target))
        if found is None:
            found = self.cells[index, target] = Cell()
        return found

    def set_back(self, seconds: float) -> None:
        """The clock was set back by so much: nothing that is waited for is farther away for that."""
        for cell in self.cells.values():
            cell.at, cell.doubt_since = cell.at - seconds, cell.doubt_since - seconds
            cell.undo_since -= seconds
        for target in self.targets.values():
            target.at, target.unread_since = target.at - seconds, target.unread_since - seconds
        self.wave_done_at -= seconds

    def fail(self, target: str, reason: str) -> None:
        """Count a target as failed, once, with its first reason."""
        self.failed.setdefault(target, reason)
        self.targets[target].failure = self.targets[target].failure or reason


def may_retry(step_class: StepClass) -> bool:
    """Only a tokened or state-based step can be begun again without harm (docs/invariants.md)."""
    return step_class in (StepClass.TOKENED, StepClass.STATE_BASED)


def has_effect(role: Role) -> bool:
    """Whether a step with this role changes its target."""
    return role in (Role.CHANGE, Role.BACKUP)
