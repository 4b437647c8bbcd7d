"""Folds events into the state. Pure: the same plan and events always give the same state."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch

from remediate.engine.state import Cell, Phase, RunState, may_retry
from remediate.errors import Exit
from remediate.model.event import (
    Accepted,
    Decided,
    Event,
    Final,
    GatePassed,
    Held,
    Inspected,
    Intent,
    Outcome,
    Overwrite,
    Probed,
    Request,
    Requested,
    RollbackStarted,
    RunFinished,
    RunStarted,
    RunTaken,
    Settled,
    Unfit,
    Unread,
    Verb,
    Verified,
)
from remediate.model.plan import Plan
from remediate.model.results import UNDO_SECONDS
from remediate.model.step import CheckResult, Status, Verdict

_PHASES = {Status.OK: Phase.OK, Status.FAILED: Phase.FAILED, Status.IN_DOUBT: Phase.DOUBT}


def replay(plan: Plan, events: Iterable[Event]) -> RunState:
    """The state after these events."""
    state = RunState.new(plan)
    for event in events:
        fold(state, event)
    return state


def fold(state: RunState, event: Event) -> None:
    """Take one event in."""
    state.number, state.run = event.number, event.run
    _fold(event.body, state, event.at)


@singledispatch
def _fold(body: object, state: RunState, at: float) -> None:
    """Events that change nothing of what is done next (progress, stops) fall through here."""


@_fold.register
def _(body: RunStarted, state: RunState, at: float) -> None:
    state.started_at = at


@_fold.register
def _(body: RunTaken, state: RunState, at: float) -> None:
    """What was in flight when the earlier process died is in doubt; what was given up is tried anew."""
    for key, cell in state.cells.items():
        _reopen(cell, at)
        if cell.phase is Phase.DOUBT:
            state.doubtful.add(key)
    for target in state.targets.values():
        target.unread, target.at = 0, at
        target.inspected = target.inspected and target.touched
        if target.settled is Final.HUMAN and not target.accepted:
            target.settled = None
    _reopen_run(state)
    state.paused, state.front, state.open = False, -1, None
    state.wave_done_at = min(state.wave_done_at, at)


def _reopen(cell: Cell, at: float) -> None:
    cell.undo_tries, cell.probes, cell.at = 0, 0, at
    if cell.phase is Phase.INTENDED:
        cell.phase = Phase.DOUBT
    if cell.phase is Phase.DOUBT:
        cell.doubt_since = at
    if cell.undo is Phase.INTENDED:
        cell.undo = Phase.DOUBT
    elif cell.undo is Phase.HELD:
        cell.undo = Phase.FAILED


def _reopen_run(state: RunState) -> None:
    if state.finished is not None and state.finished.exit_code == Exit.NEEDS_HUMAN:
        state.finished = None


@_fold.register
def _(body: Inspected, state: RunState, at: float) -> None:
    target = state.targets[body.target]
    target.inspected, target.at = body.ok, at
    if not body.ok:
        state.fail(body.target, body.difference)


@_fold.register
def _(body: Intent, state: RunState, at: float) -> None:
    cell, target = state.cell(body.step, body.target), state.targets[body.target]
    cell.at = at
    if body.verb is Verb.APPLY:
        cell.phase, cell.attempt, cell.before = Phase.INTENDED, body.attempt, body.before
        cell.verified, cell.decided = None, None
        target.touched = True
        state.begun.add((target.wave, state.plan.step_index[body.step]))
    elif body.verb is Verb.UNDO:
        if not cell.undo_tries:
            cell.undo_since = at
        cell.undo, cell.undo_attempt = Phase.INTENDED, body.attempt
        cell.undo_tries += 1
        target.unread = 0


@_fold.register
def _(body: Outcome, state: RunState, at: float) -> None:
    cell, target = state.cell(body.step, body.target), state.targets[body.target]
    cell.at = at
    phase = _PHASES[body.result.status]
    if body.after is not None:
        target.known.update(body.after)
    if body.verb is Verb.UNDO:
        cell.undo = phase
    elif body.verb is Verb.APPLY:
        cell.phase, cell.doubt_since, state.wave_done_at = phase, at, at
        cell.data.update(body.result.data)
        index = state.plan.step_index[body.step]
        if isinstance(seconds := body.result.data.get(UNDO_SECONDS), int | float):
            at_most = max(seconds, state.measured.get((target.wave, index), 0.0))
            state.measured[target.wave, index] = at_most
        step = state.plan.steps[index]
        if phase is Phase.DOUBT:
            state.doubtful.add((index, body.target))
        if phase is Phase.FAILED and not (may_retry(step.step_class) and cell.attempt <= step.retries):
            state.fail(body.target, f"{step.title}: {body.result.summary or 'failed'}")


@_fold.register
def _(body: Held, state: RunState, at: float) -> None:
    cell = state.cell(body.step, body.target)
    cell.at = at
    if body.verb is Verb.UNDO:
        cell.undo = Phase.HELD
    else:
        cell.phase = cell.phase if cell.begun else Phase.HELD
        state.fail(body.target, body.difference)


@_fold.register
def _(body: Verified, state: RunState, at: float) -> None:
    cell = state.cell(body.step, body.target)
    cell.verified, cell.at, state.wave_done_at = body.ok, at, at
    if not body.ok:
        state.fail(body.target, _first_bad(body.results))


@_fold.register
def _(body: Probed, state: RunState, at: float) -> None:
    cell = state.cell(body.step, body.target)
    cell.at, cell.probes = at, cell.probes + 1
    if body.after is not None:
        state.targets[body.target].known.update(body.after)
    if cell.phase is Phase.DOUBT:
        known = cell.decided is not None and body.verdict is not Verdict.RUNNING and body.after is not None
        _decide(state, cell, cell.decided if known and cell.decided else body.verdict, body.step, body.target)


@_fold.register
def _(body: Decided, state: RunState, at: float) -> None:
    """A human's word on an attempt in doubt. It holds once the target could be read: what the attempt left
    has to be known before anything is built on it, or undone."""
    cell, target = state.cell(body.step, body.target), state.targets[body.target]
    cell.at = at
    if cell.phase is not Phase.DOUBT:
        return
    cell.decided, cell.probes, cell.doubt_since = body.verdict, 0, at
    if target.settled is Final.HUMAN:
        target.settled = None
    _reopen_run(state)


@_fold.register
def _(body: Overwrite, state: RunState, at: float) -> None:
    """A human's word on an undo that was held back, or refused: it is tried once more, and may overwrite."""
    cell, target = state.cell(body.step, body.target), state.targets[body.target]
    cell.overwrite, cell.undo_tries, cell.at = True, 0, at
    if cell.undo is Phase.HELD:
        cell.undo = Phase.FAILED
    if target.settled is Final.HUMAN and not target.accepted:
        target.settled = None
    _reopen_run(state)


def _decide(state: RunState, cell: Cell, verdict: Verdict, step_id: str, target: str) -> None:
    step = state.plan.steps[state.plan.step_index[step_id]]
    again = may_retry(step.step_class) and cell.attempt <= max(step.retries, 1)
    match verdict:
        case Verdict.APPLIED:
            cell.phase = Phase.OK
        case Verdict.NOT_APPLIED:
            cell.phase = Phase.NOT_APPLIED
            if not again:
                state.fail(target, f"{step.title}: it was not applied")
        case Verdict.PARTIAL:
            cell.phase = Phase.FAILED
            if not again:
                state.fail(target, f"{step.title}: it was applied in part only")
        case Verdict.RUNNING | Verdict.UNKNOWN:
            pass


@_fold.register
def _(body: Accepted, state: RunState, at: float) -> None:
    target = state.targets[body.target]
    target.accepted, target.at = True, at


@_fold.register
def _(body: GatePassed, state: RunState, at: float) -> None:
    state.wave, state.wave_done_at, state.front, state.open = body.wave + 1, at, -1, None


@_fold.register
def _(body: RollbackStarted, state: RunState, at: float) -> None:
    for name in body.targets:
        target = state.targets[name]
        target.rolling, target.settled, target.at = True, None, at
    state.rolling, state.open = state.rolling or bool(body.targets), None
    if body.stop:
        state.stopping = body.reason
        state.reach = state.scope


@_fold.register
def _(body: Settled, state: RunState, at: float) -> None:
    target = state.targets[body.target]
    target.settled, target.at = body.final, at


@_fold.register
def _(body: Unfit, state: RunState, at: float) -> None:
    state.targets[body.target].at = at
    state.fail(body.target, f"acceptance: {_first_bad(body.results) or body.difference}")


@_fold.register
def _(body: Unread, state: RunState, at: float) -> None:
    target = state.targets[body.target]
    if not target.unread:
        target.unread_since = at
    target.unread, target.at = target.unread + 1, at


@_fold.register
def _(body: Requested, state: RunState, at: float) -> None:
    match body.what:
        case Request.PAUSE:
            state.paused = True
        case Request.RESUME:
            state.paused = False
        case Request.ABORT:
            state.abort = f"aborted by {body.by}"
            if state.finished is not None:
                # A rollback of a finished run: its end is not its end any more.
                state.finished, state.stopping, state.reach = None, "", None


@_fold.register
def _(body: RunFinished, state: RunState, at: float) -> None:
    state.finished = body


def _first_bad(results: tuple[CheckResult, ...]) -> str:
    return next((f"{r.title}: expected {r.expected}, got {r.actual}" for r in results if not r.ok), "")
