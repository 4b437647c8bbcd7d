"""The way back: last step first, everything that was begun, and nothing that is somebody else's."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.checker.approval import in_order
from remediate.checker.record import Record
from remediate.model.base import State, canonical
from remediate.model.event import Intent, Overwrite, RollbackStarted, Verb


def nothing_of_others(record: Record) -> Iterator[str]:
    """V9: an undo begins on what this run left or what was there before, or a person signed for it."""
    for place, undo in record.intents(Verb.UNDO):
        earlier = [body for p, body in record.of((undo.step, undo.target)) if p < place]
        if any(isinstance(body, Overwrite) for body in earlier):
            continue
        known = record.known_before(place, undo.target)
        first: State = {}
        for body in earlier:
            if isinstance(body, Intent) and body.verb is Verb.APPLY:
                first = body.before
        for key, value in undo.before.items():
            ours = (canonical(known.get(key)), canonical(first.get(key)))
            if canonical(value) not in ours:
                yield f"{undo.step} was undone on {undo.target} over a foreign change of {key}"


def in_reverse(record: Record) -> Iterator[str]:
    """V11: within one rollback, each target is undone in the plan's order of undoing."""
    order = {record.plan.steps[index].id: place for place, index in enumerate(record.plan.undo_order)}
    walked: dict[str, list[int]] = {}
    for body in record.bodies:
        match body:
            case RollbackStarted(targets=targets):
                for name in targets:
                    walked[name] = []
            case Intent(verb=Verb.UNDO, step=step, target=target):
                if target not in walked:
                    yield f"{step} was undone on {target}, and no rollback of it had started"
                way = walked.setdefault(target, [])
                way.append(order.get(step, -1))
                if not in_order(way):
                    yield f"{step} was undone on {target} out of order"
            case _:
                pass
