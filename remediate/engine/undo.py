"""The way back: when it starts, how far it reaches, and which step of it is next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container

from remediate.engine.action import Action, Probe, Record, Undo
from remediate.engine.state import Cell, Phase, RunState, TargetState, has_effect
from remediate.model.event import Body, Final, RollbackStarted, Settled
from remediate.model.plan import PlannedStep
from remediate.model.runbook import Scope
from remediate.model.step import Role

UNDO_TRIES = 3
_SETTLE_TIME = 0.5
_LONGEST_WAIT = 30.0


def backoff(tries: int) -> float:
    """Seconds to wait before the next try: half a second, doubling, at most half a minute."""
    return min(_SETTLE_TIME * 2.0 ** min(tries, 10), _LONGEST_WAIT)


def due(state: RunState, now: float) -> Body | None:
    """The rollback that has to be decided on now, if any."""
    if state.abort and not state.stopping:
        return begin(state, (), state.abort)
    failing = [n for n in state.failed if not state.targets[n].rolling and not state.targets[n].settled]
    failing += [n for n in _in_doubt_too_long(state, now) if n not in failing]
    if not failing:
        return _left_out(state)
    reason = "; ".join(f"{n}: {state.failed.get(n, 'in doubt for too long')}" for n in failing[:3])
    if len(failing) > 3:
        reason += f"; and {len(failing) - 3} more"
    failed = set(state.failed) | set(failing)
    if state.stopping or len(failed) <= state.plan.failure_budget:
        return RollbackStarted(targets=tuple(failing), reason=reason, stop=False)
    return begin(state, tuple(failing), reason)


def _left_out(state: RunState) -> RollbackStarted | None:
    """The intent of a step may be on its way to the journal while the run decides to turn back: whom it
    touched belongs to the rollback, too."""
    reach = state.reach
    if reach is None:
        return None
    names = [n for n, t in state.targets.items() if not t.settled and _in_scope(state, n, t, reach)]
    if not names:
        return None
    reason = "a step was begun there while the rollback was decided"
    return RollbackStarted(targets=tuple(names), reason=reason, stop=False)


def begin(state: RunState, failing: tuple[str, ...], reason: str) -> RollbackStarted:
    """Stop the run and undo what the plan says: these targets, whatever is unfinished, and the scope."""
    names = [n for n, t in state.targets.items() if n in failing or _in_scope(state, n, t, state.scope)]
    return RollbackStarted(targets=tuple(names), reason=reason, stop=True)


def _in_scope(state: RunState, name: str, target: TargetState, scope: Scope) -> bool:
    if not target.touched or target.rolling or target.accepted:
        return False
    if target.wave == state.wave:
        return scope is not Scope.TARGET or not _complete(state, name)
    return scope is Scope.RUN


def _complete(state: RunState, name: str) -> bool:
    return all(
        step_done(step, state.cell(i, name))
        for i, step in enumerate(state.plan.steps)
        if name in step.target_set
    )


def step_done(step: PlannedStep, cell: Cell) -> bool:
    """Whether nothing is left to do forward for this step on one target."""
    match step.role:
        case Role.GATE:
            return True
        case Role.CHECK:
            return cell.verified is True
        case Role.BACKUP | Role.CHANGE:
            return cell.phase is Phase.OK and cell.verified is True


def _in_doubt_too_long(state: RunState, now: float) -> list[str]:
    return [
        name
        for index, name in state.doubtful
        if (cell := state.cells[index, name]).phase is Phase.DOUBT
        and _overdue(state, cell, now)
        and not state.targets[name].rolling
    ]


def _overdue(state: RunState, cell: Cell, now: float) -> bool:
    return cell.probes > 0 and now - cell.doubt_since >= state.plan.doubt_patience


def actions(state: RunState, now: float, busy: Container[str] = ()) -> list[Action]:
    """What the targets that roll back need next; one `Record` alone if one of them is stuck."""
    if not state.rolling:
        return []
    rolling = [(n, t) for n, t in state.targets.items() if t.rolling and t.settled is None]
    next_step = {n: index for n, _ in rolling if (index := _next(state, n)) is not None}
    if not next_step:
        return []
    order = state.plan.undo_order
    front = max((state.targets[n].wave, -order.index(index)) for n, index in next_step.items())
    found: list[Action] = []
    together: dict[tuple[int, int], list[str]] = defaultdict(list)
    since: dict[tuple[int, int], float] = {}
    for name, index in next_step.items():
        if (state.targets[name].wave, -order.index(index)) != front or name in busy:
            continue
        cell = state.cell(index, name)
        if stuck := _stuck(state, index, name, cell, now):
            return [Record(Settled(target=name, final=Final.HUMAN, evidence=stuck))]
        if cell.phase is Phase.DOUBT:
            found.append(probe(state, index, name, cell))
        elif Phase.INTENDED not in (cell.phase, cell.undo):
            key = (index, cell.undo_attempt + 1)
            together[key].append(name)
            since[key] = max(since.get(key, 0.0), _undo_due(state.targets[name], cell))
    for (index, attempt), names in together.items():
        found.append(Undo(state.plan.steps[index].id, tuple(names), attempt, since[index, attempt]))
    return found


def _undo_due(target: TargetState, cell: Cell) -> float:
    again = cell.at + backoff(cell.undo_tries) if cell.undo_tries else 0.0
    unread = target.at + backoff(target.unread) if target.unread else 0.0
    return max(again, unread)


def probe(state: RunState, index: int, name: str, cell: Cell) -> Probe:
    """Ask what became of it; never at once, because a late effect needs time to show."""
    return Probe(state.plan.steps[index].id, name, cell.attempt, cell.at + backoff(cell.probes))


def _next(state: RunState, name: str) -> int | None:
    for index in state.plan.undo_order:
        cell = state.cells.get((index, name))
        if cell is not None and _needs_undo(state, index, name, cell):
            return index
    return None


def _needs_undo(state: RunState, index: int, name: str, cell: Cell) -> bool:
    step = state.plan.steps[index]
    if not has_effect(step.role) or not cell.begun or cell.undo is Phase.OK:
        return False
    if cell.phase in (Phase.INTENDED, Phase.DOUBT):
        # Whatever undoes it, first it has to be known that the attempt is over, and what it left.
        return True
    if step.role is Role.BACKUP:
        return any(
            (other := state.cells.get((state.plan.step_index[p], name))) is not None and other.begun
            for p in step.protects
        )
    return step.undoable or step.irreversible is not None


def _stuck(state: RunState, index: int, name: str, cell: Cell, now: float) -> str:
    """Why this undo can't go on without a human; empty if it can."""
    step, target = state.plan.steps[index], state.targets[name]
    if target.unread and now - target.unread_since >= state.plan.doubt_patience:
        return f"{step.title}: the target could not be read, so it was not undone"
    if cell.phase is Phase.DOUBT:
        return f"{step.title}: nobody knows whether it was applied" if _overdue(state, cell, now) else ""
    if step.irreversible and cell.phase is not Phase.INTENDED:
        return f"{step.title} can't be undone: {step.irreversible}"
    if cell.undo is Phase.HELD:
        return f"{step.title}: someone else changed this meanwhile, so it was not undone"
    waiting = cell.undo is Phase.DOUBT and now - cell.undo_since < state.plan.doubt_patience
    if cell.undo_tries < UNDO_TRIES or cell.undo is Phase.INTENDED or waiting:
        return ""
    return f"{step.title}: undo {cell.undo.value} after {cell.undo_tries} tries"


def undone(state: RunState, name: str) -> bool:
    """Whether nothing is left to undo on this target."""
    return _next(state, name) is None
