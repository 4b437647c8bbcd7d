"""The way forward: one wave at a time, one step at a time over all of its targets, inside the window."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

from remediate.calendar.budget import fits
from remediate.engine.action import Action, Apply, Inspect, Record, Verify, Wait
from remediate.engine.state import Phase, RunState
from remediate.engine.undo import begin, probe, step_done
from remediate.model.base import duration_text
from remediate.model.event import GatePassed
from remediate.model.plan import PlannedStep
from remediate.model.runbook import Scope
from remediate.model.step import Role


def actions(state: RunState, now: float) -> list[Action]:
    """What the current wave needs next; one `Record` alone for a decision; empty after the last wave."""
    if state.stopping or state.paused or state.wave >= len(state.plan.waves):
        return []
    wave = state.plan.waves[state.wave]
    live = [n for n in wave.targets if not state.targets[n].rolling and not state.targets[n].settled]
    unseen = [n for n in live if not state.targets[n].inspected]
    if unseen:
        return [Inspect(state.wave, n) for n in unseen]
    for index in range(state.front, len(state.plan.steps)):
        step = state.plan.steps[index]
        open_ = [n for n in live if n in step.target_set and not step_done(step, state.cell(index, n))]
        if open_:
            state.front = index
            return _step(state, index, step, open_, now)
    return _gate(state, wave.soak, now)


def _step(state: RunState, index: int, step: PlannedStep, names: list[str], now: float) -> list[Action]:
    found: list[Action] = []
    apply: dict[int, list[str]] = defaultdict(list)
    verify: dict[int, list[str]] = defaultdict(list)
    for name in names:
        cell = state.cell(index, name)
        if step.role is Role.CHECK or cell.phase is Phase.OK:
            verify[cell.attempt].append(name)
        elif cell.phase is Phase.DOUBT:
            found.append(probe(state, index, name, cell))
        elif cell.phase in (Phase.NONE, Phase.NOT_APPLIED, Phase.FAILED):
            apply[cell.attempt + 1].append(name)
    if (apply or (verify and step.role is Role.CHECK)) and (late := _too_late(state, index, step, now)):
        return [Record(begin(state, (), late))]
    found += [Apply(step.id, tuple(names), attempt) for attempt, names in apply.items()]
    found += [Verify(step.id, tuple(names), attempt) for attempt, names in verify.items()]
    return found


def _gate(state: RunState, soak: float, now: float) -> list[Action]:
    ready = state.wave_done_at + soak
    if soak and now < ready:
        return [Wait(ready)]
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
    return sum(state.plan.steps[i].estimate.undo for _, i in pairs)
