"""The way forward: one wave at a time, one step at a time over all of its targets, inside the window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from datetime import UTC, datetime

from remediate.calendar.budget import fits
from remediate.engine.action import Action, Apply, Gate, Inspect, Record, Verify, Wait
from remediate.engine.state import Phase, RunState
from remediate.engine.undo import begin, probe, step_done
from remediate.model.base import duration_text
from remediate.model.event import GatePassed
from remediate.model.plan import PlannedStep
from remediate.model.runbook import Scope
from remediate.model.step import Role

_NOT_BEGUN = (Phase.NONE, Phase.NOT_APPLIED, Phase.FAILED)


def actions(state: RunState, now: float, busy: Container[str] = ()) -> list[Action]:
    """What the current wave needs next; one `Record` alone for a decision; empty after the last wave.

    Args:
        busy: targets on which an action is under way; nothing is asked for them until it is over.
    """
    if state.stopping or state.paused or state.wave >= len(state.plan.waves):
        return []
    while state.front < len(state.plan.steps):
        free = _open(state, busy)
        if state.open:
            if state.front < 0:
                return [Inspect(state.wave, name) for name in free]
            return _step(state, state.front, state.plan.steps[state.front], free, now)
        state.front, state.open = state.front + 1, None
    return _gate(state, now, busy)


def _open(state: RunState, busy: Container[str]) -> list[str]:
    """Targets on which the front is open and nothing is under way; those that are done leave `state.open`."""
    if state.open is None:
        wave = state.plan.waves[state.wave].targets
        state.open = [n for n in wave if not state.targets[n].rolling and not state.targets[n].settled]
        if state.front >= 0:
            chosen = state.plan.steps[state.front].target_set
            state.open = [n for n in state.open if n in chosen]
    free = [n for n in state.open if n not in busy]
    if done := {n for n in free if _done(state, n)}:
        state.open = [n for n in state.open if n not in done]
        free = [n for n in free if n not in done]
    return free


def _done(state: RunState, name: str) -> bool:
    if state.front < 0:
        return state.targets[name].inspected
    return step_done(state.plan.steps[state.front], state.cell(state.front, name))


def _step(state: RunState, index: int, step: PlannedStep, names: list[str], now: float) -> list[Action]:
    if (late := _too_late(state, index, step, now)) and _may_begin(state, index, step):
        return [Record(begin(state, (), late))]
    found: list[Action] = []
    apply: dict[int, list[str]] = defaultdict(list)
    verify: dict[int, list[str]] = defaultdict(list)
    for name in names:
        cell = state.cell(index, name)
        if step.role is Role.CHECK or cell.phase is Phase.OK:
            verify[cell.attempt].append(name)
        elif cell.phase is Phase.DOUBT:
            found.append(probe(state, index, name, cell))
        elif cell.phase in _NOT_BEGUN:
            apply[cell.attempt + 1].append(name)
    found += [Apply(step.id, tuple(names), attempt) for attempt, names in apply.items()]
    found += [Verify(step.id, tuple(names), attempt) for attempt, names in verify.items()]
    return found


def _may_begin(state: RunState, index: int, step: PlannedStep) -> bool:
    """Whether it would begin anywhere. A busy target counts: its action may still wait for its turn."""
    names = state.open or ()
    return step.role is Role.CHECK or any(state.cell(index, n).phase in _NOT_BEGUN for n in names)


def _gate(state: RunState, now: float, busy: Container[str]) -> list[Action]:
    """A wave without a soak has been verified just now; after a soak its checks are asked again."""
    wave = state.plan.waves[state.wave]
    if wave.soak and now < (ready := state.wave_done_at + wave.soak):
        return [Wait(ready)]
    names = [n for n in wave.targets if not state.targets[n].rolling and not state.targets[n].settled]
    if wave.soak and names:
        return [Gate(state.wave, tuple(names))] if not any(n in busy for n in names) else []
    return [Record(GatePassed(wave=state.wave, failed=len(state.failed)))]


def _too_late(state: RunState, index: int, step: PlannedStep, now: float) -> str:
    """Why this step may not begin any more: the window must hold it, its verification and all undo."""
    if state.plan.window is None:
        return ""
    back = undo_seconds(state, index)
    instant = datetime.fromtimestamp(now, UTC)
    if fits(instant, state.plan.window, step.estimate.apply, step.estimate.verify, back):
        return ""
    left = state.plan.window.end.timestamp() - now
    forward = step.estimate.apply + step.estimate.verify
    return (
        f"point of no return: {duration_text(max(left, 0))} of the window are left; {step.title} needs "
        f"{duration_text(forward)} with its verification, and {duration_text(back)} to roll back"
    )


def undo_seconds(state: RunState, index: int) -> float:
    """Seconds to undo what this run would undo if the step at ``index`` failed now."""
    pairs = set(state.begun) if state.plan.rollback is Scope.RUN else set[tuple[int, int]]()
    pairs |= {p for p in state.begun if p[0] == state.wave}
    pairs.add((state.wave, index))
    estimates = ((pair, state.plan.steps[pair[1]].estimate.undo) for pair in pairs)
    return sum(state.measured.get(pair, estimate) for pair, estimate in estimates)
