"""Decides what a run does next. Pure: no clock, no I/O, no memory beside the state it is given.

The rules, in the order in which they are asked:

1. A decision that is due (an abort, a target that failed) is recorded before anything else happens.
2. Targets that roll back are undone, last step first, all of one step before the one under it.
3. Unless the run stops or is paused, the wave goes forward, one step at a time over all its targets.
4. When nothing goes forward any more, every target is settled by a read-back; then the run is finished.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable

from remediate.engine import forward, undo
from remediate.engine.action import Action, Record, Settle
from remediate.engine.fold import replay
from remediate.engine.state import RunState, TargetState
from remediate.errors import Exit
from remediate.model.event import Event, Final, RunFinished, Settled
from remediate.model.plan import Plan


def next_actions(plan: Plan, events: Iterable[Event], now: float) -> list[Action]:
    """What to do after these events, at this time (epoch seconds). Empty: finished, or paused."""
    return decide(replay(plan, events), now)


def decide(state: RunState, now: float, busy: Container[str] = ()) -> list[Action]:
    """`next_actions` for a state that was folded as the events came in.

    Args:
        busy: targets on which an action is under way, perhaps one without an event yet. Nothing is decided
            about where they end, and whoever performs the actions begins nothing else on them.
    """
    if state.finished is not None:
        return []
    if (body := undo.due(state, now)) is not None:
        return [Record(body)]
    back = undo.actions(state, now, busy)
    if back and isinstance(back[0], Record):
        return back
    ahead = forward.actions(state, now, busy)
    if ahead and isinstance(ahead[0], Record):
        return ahead
    return back + ahead + _settle(state, now, forward_over=not ahead and _over(state), busy=busy)


def _over(state: RunState) -> bool:
    return bool(state.stopping) or (state.wave >= len(state.plan.waves) and not state.paused)


def _settle(state: RunState, now: float, forward_over: bool, busy: Container[str]) -> list[Action]:
    found: list[Action] = []
    if not (state.rolling or forward_over):
        return found
    for name, target in state.targets.items():
        if target.settled is not None or name in busy:
            continue
        if not target.rolling and not forward_over:
            continue
        if target.rolling and not undo.undone(state, name):
            continue
        body = _without_reading(state, name, target, now)
        if body is not None:
            return [Record(body)]
        final = Final.ORIGINAL if target.rolling else Final.NEW
        wait = undo.backoff(target.unread) if target.unread else 0.0
        found.append(Settle(name, final, target.at + wait))
    if forward_over and all(t.settled is not None for t in state.targets.values()):
        return [Record(_finish(state))]
    return found


def _without_reading(state: RunState, name: str, target: TargetState, now: float) -> Settled | None:
    """A target's end, where the journal alone proves it, or where nobody can read it."""
    if not target.touched and (target.rolling or state.stopping):
        evidence = "no step of this run was begun on it"
        evidence += f" ({target.failure})" if target.failure else ""
        return Settled(target=name, final=Final.ORIGINAL, evidence=evidence)
    if target.unread and now - target.unread_since >= state.plan.doubt_patience:
        return Settled(target=name, final=Final.HUMAN, evidence="it could not be read back")
    return None


def _finish(state: RunState) -> RunFinished:
    count = Counter(t.settled for t in state.targets.values())
    words = [f"{n} {final.value.replace('-', ' ')}" for final in Final if (n := count[final])]
    if count[Final.HUMAN]:
        code = Exit.NEEDS_HUMAN
    elif count[Final.ORIGINAL]:
        code = Exit.ROLLED_BACK
    else:
        code = Exit.VERIFIED_NEW
    why = f" ({state.stopping})" if state.stopping else ""
    return RunFinished(exit_code=int(code), summary=", ".join(words) + why)
