"""Nothing goes forward but what was approved, on what was approved, in time, and backed up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from remediate.checker.record import Record
from remediate.model.base import canonical
from remediate.model.event import Inspected, Intent, RunStarted, RunTaken, Verb
from remediate.model.step import Role


def only_what_was_approved(record: Record) -> Iterator[str]:
    """V1: the run is that plan's, somebody else approved it, and each mutation stands in it."""
    if not record.bodies:
        return
    first = record.bodies[0]
    if not isinstance(first, RunStarted):
        yield "the record does not begin with the run's start"
        return
    if first.plan != record.plan.digest:
        yield f"the run was started with plan {first.plan[:12]}, this is {record.plan.digest[:12]}"
    if first.runner in first.approvals:
        yield f"{first.runner} runs what {first.runner} approved"
    if any(isinstance(body, RunStarted) for body in record.bodies[1:]):
        yield "it was started twice"
    for verb in (Verb.APPLY, Verb.UNDO):
        for _, intent in record.intents(verb):
            step = record.step(intent.step)
            if step is None or intent.target not in step.target_set:
                yield f"{verb.value} of {intent.step} on {intent.target} is not in the plan"


def never_on_drift(record: Record) -> Iterator[str]:
    """V2: a target is looked at before its first step, and each step begins on the state that was known."""
    inspected: set[str] = set()
    for place, body in enumerate(record.bodies):
        match body:
            case RunTaken():
                # Who takes a run over looks again, but at what was not touched yet only.
                touched = {b.target for b in record.bodies[:place] if isinstance(b, Intent)}
                inspected &= touched
            case Inspected(target=target, ok=ok):
                (inspected.add if ok else inspected.discard)(target)
            case Intent(verb=Verb.APPLY, step=step, target=target, before=before):
                if target not in inspected:
                    yield f"{step} was begun on {target}, which was not found as approved before"
                known = record.known_before(place, target)
                strange = [k for k, v in before.items() if canonical(known.get(k)) != canonical(v)]
                if strange:
                    yield f"{step} was begun on {target} though {', '.join(strange)} was not as known"
            case _:
                pass


def inside_the_window(record: Record) -> Iterator[str]:
    """V3: no forward step outside the window, and none after the run had turned back."""
    window = record.plan.window
    for place, intent in record.intents(Verb.APPLY):
        at = record.events[place].at
        if window is not None and not window.start.timestamp() <= at < window.end.timestamp():
            yield f"{intent.step} was begun on {intent.target} outside the window"
        if any(p < place and (b.stop or intent.target in b.targets) for p, b in record.rollbacks):
            yield f"{intent.step} was begun on {intent.target} after the rollback had started"


def backed_up_before(record: Record) -> Iterator[str]:
    """V4: before a change, each backup that protects it is made and verified on that target."""
    backups = [s for s in record.plan.steps if s.role is Role.BACKUP]
    for place, intent in record.intents(Verb.APPLY):
        for backup in backups:
            if intent.step not in backup.protects or intent.target not in backup.target_set:
                continue
            cell = (backup.id, intent.target)
            if record.effect(cell, place) is not True or not record.verified(cell, place):
                yield f"{intent.step} was begun on {intent.target} without the verified backup {backup.id}"


def in_order(places: list[int]) -> bool:
    """Whether these positions never go back."""
    return all(a <= b for a, b in pairwise(places))
