"""Expands what the author wrote into what will be done: backups first, then changes, then the gate."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from remediate.errors import InputError, Refused
from remediate.model.base import canonical
from remediate.model.plan import PlannedCheck, PlannedStep
from remediate.model.step import Check, Estimate, Role, Step, StepClass


@dataclass(slots=True)
class Draft:
    """A step on its way into the plan."""

    id: str
    step: Step
    targets: tuple[str, ...]
    protects: list[str] = field(default_factory=list)
    number: int = 0
    """Its place among the steps that the runbook yields, from 1; a backup has that of what it protects."""

    def name(self) -> str:
        """What errors call it."""
        return f"step {self.number} ({self.step.label or self.step.title()})"

    def planned(self) -> PlannedStep:
        """The plan's form of it, without observations."""
        step = self.step
        return PlannedStep(
            id=self.id,
            role=step.role,
            kind=step.kind,
            title=step.label or step.title(),
            params=params(step),
            targets=self.targets,
            step_class=step.step_class,
            level=step.level,
            protects=tuple(self.protects),
            checks=tuple(planned_check(c) for c in step.verify),
            irreversible=step.irreversible,
            undoable=step.undoable,
            retries=step.retries,
            estimate=_estimate(step),
        )


def _estimate(step: Step) -> Estimate:
    if step.estimate is None:
        return step.default_estimate
    return step.estimate.model_copy(update={"source": "author"})


def params(step: Step) -> dict[str, object]:
    """The step's own fields as JSON; what the planner consumed (checks, protection, pattern) is left out."""
    return step.model_dump(mode="json", exclude={"verify", "protect", "on", "estimate", "label"})


def planned_check(check: Check) -> PlannedCheck:
    """The plan's form of a check."""
    return PlannedCheck(kind=check.kind, params=check.model_dump(mode="json"))


def expand(
    steps: Iterable[Step], targets: Sequence[str], select: Callable[[str], Iterable[str]]
) -> list[Draft]:
    """All steps of the plan, in order, but for the gate.

    Args:
        steps: what the runbook yields.
        targets: the plan's targets.
        select: names that a pattern of a step selects.

    Raises:
        Refused: there are no steps, or a step has no targets.
        InputError: a step can't be undone and doesn't say why.
    """
    backups: list[Draft] = []
    changes: list[Draft] = []
    for number, step in enumerate(steps, 1):
        if not isinstance(step, Step):
            raise InputError(f"step {number}: {type(step).__name__} is not a step", "yield steps only")
        names = tuple(targets) if step.on is None else _narrow(step, targets, select)
        draft = Draft(f"s{number:02d}-{_slug(step.kind)}", step, names, number=number)
        protection = step.protection() if step.protect is None else step.protect
        _sound(number, step, protection)
        _reversible(number, step, protection)
        for backup in protection:
            _add_backup(backups, backup, draft)
        changes.append(draft)
    if not changes:
        raise Refused("the runbook has no steps for these inputs", "a change of nothing is no success")
    return backups + changes


def _narrow(step: Step, targets: Sequence[str], select: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    chosen = set(select(step.on or "all"))
    names = tuple(t for t in targets if t in chosen)
    if not names:
        raise Refused(f"{step.title()}: {step.on!r} selects none of the plan's targets")
    return names


def _reversible(number: int, step: Step, protection: Sequence[Step]) -> None:
    restored = any(backup.restores for backup in protection)
    if step.role is not Role.CHANGE or restored or step.undoable or step.irreversible:
        return
    raise InputError(
        f"step {number} ({step.title()}): nothing would undo it",
        'give it a backup (protect=…) or an undo, or say irreversible="why" (needs the higher approval)',
    )


def _sound(number: int, step: Step, protection: Sequence[Step]) -> None:
    if step.role is Role.CHECK and not step.verify:
        raise InputError(
            f"step {number} ({step.title()}): it checks nothing", "a check of nothing is no success"
        )
    for backup in protection:
        if backup.role is not Role.BACKUP:
            raise InputError(
                f"step {number} ({step.title()}): {type(backup).__name__} in protect= is no backup",
                "only a backup step, such as HostBackup, protects a change",
            )


def _add_backup(backups: list[Draft], step: Step, change: Draft) -> None:
    key = (step.kind, canonical(params(step)), change.targets)
    for known in backups:
        if (known.step.kind, canonical(params(known.step)), known.targets) == key:
            known.protects.append(change.id)
            return
    id_ = f"b{len(backups) + 1:02d}-{_slug(step.kind)}"
    backups.append(Draft(id_, step, change.targets, [change.id], change.number))


def gate(targets: Sequence[str], budget: int, soak: float) -> PlannedStep:
    """The line of the plan that says what ends a wave."""
    allowed = "no target" if budget == 0 else f"{budget} target{'s' if budget > 1 else ''}"
    title = f"go on only if at most {allowed} failed so far" if budget else "go on only if no target failed"
    return PlannedStep(
        id="gate",
        role=Role.GATE,
        kind="gate",
        title=title,
        params={"failure_budget": budget, "soak": soak},
        targets=tuple(targets),
        step_class=StepClass.STATE_BASED,
        estimate=Estimate(apply=soak, verify=0, undo=0, source="author"),
    )


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:32]
