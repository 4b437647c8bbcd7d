"""Every target ends in one of three ways, and each has its proof on record."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.checker.record import Record
from remediate.errors import Exit
from remediate.model.base import State, canonical
from remediate.model.event import Final, Intent, RunFinished, RunStarted, Settled, Verb
from remediate.model.step import Role


def every_target_ends(record: Record) -> Iterator[str]:
    """V10: the end of each target, and of the run, agrees with what was done."""
    if not record.bodies or not isinstance(last := record.bodies[-1], RunFinished):
        return
    finals = _finals(record, len(record.bodies))
    for target in record.plan.targets:
        final = finals.get(target.name)
        if final is None:
            yield f"{target.name} has no end"
        elif final is Final.NEW:
            yield from _new(record, target.name)
        elif final is Final.ORIGINAL:
            yield from _original(record, target.name)
    if last.exit_code != (code := _code(finals)):
        yield f"the run ended with exit code {last.exit_code}; its targets say {int(code)}"


def _finals(record: Record, before: int) -> dict[str, Final]:
    return {body.target: body.final for body in record.bodies[:before] if isinstance(body, Settled)}


def _code(finals: dict[str, Final]) -> Exit:
    if Final.HUMAN in finals.values():
        return Exit.NEEDS_HUMAN
    return Exit.ROLLED_BACK if Final.ORIGINAL in finals.values() else Exit.VERIFIED_NEW


def _new(record: Record, target: str) -> Iterator[str]:
    for step in record.plan.steps:
        if step.role is not Role.CHANGE or target not in step.target_set:
            continue
        cell = (step.id, target)
        if record.effect(cell) is not True:
            yield f"{target} is verified new, and {step.id} is not known to be done"
        elif not record.verified(cell, len(record.bodies)):
            yield f"{target} is verified new, and {step.id} is not verified"


def _original(record: Record, target: str) -> Iterator[str]:
    backups = [s for s in record.plan.steps if s.role is Role.BACKUP]
    for step in record.plan.steps:
        if step.role is not Role.CHANGE or record.effect((step.id, target)) is None:
            continue
        kept = [b for b in backups if step.id in b.protects and target in b.target_set]
        # A backup's undo clears its own effect: it was begun, and has none any more.
        if not any(_undone(record, b.id, target) for b in kept):
            yield f"{target} is verified original, and {step.id} was never undone on it"


def _undone(record: Record, step: str, target: str) -> bool:
    begun = any(isinstance(b, Intent) and b.verb is Verb.UNDO for _, b in record.of((step, target)))
    return begun and record.effect((step, target)) is None


def nothing_is_no_success(record: Record) -> Iterator[str]:
    """V12: there are targets and steps, and the start says how many."""
    if not record.plan.targets or not record.plan.steps:
        yield "the plan has no targets or no steps"
    if record.bodies and isinstance(first := record.bodies[0], RunStarted):
        counts = (len(record.plan.targets), len(record.plan.steps))
        if (first.targets, first.steps) != counts:
            yield f"it started {first.targets} targets and {first.steps} steps; the plan has {counts}"


def as_it_is(record: Record, target: str, state: State) -> Iterator[str]:
    """Whether a target is now what its end says. One that needs a human may be anything."""
    final = _finals(record, len(record.bodies)).get(target)
    if final in (None, Final.HUMAN):
        return
    expected = record.plan.original(target)
    if final is Final.NEW:
        expected = record.known_before(len(record.bodies), target)
    for key, value in state.items():
        if canonical(value) != canonical(expected.get(key)):
            yield f"{target} ended {final.value}, and {key} is something else" if final else ""
