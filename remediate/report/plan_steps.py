"""The heart of a plan's page: every step in order, what is verified, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from remediate.model.base import duration_text
from remediate.model.plan import Plan, PlannedCheck, PlannedStep
from remediate.model.runbook import Scope
from remediate.model.step import Role, StepClass
from remediate.model.target import Target
from remediate.report.compare import value_text
from remediate.report.document import Block, Bullets, Cell, Heading, Paragraph, Style, table
from remediate.report.words import CLASSES, LEVELS, SCOPES, count, grouped, names


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds that the plan's own estimates add up to."""

    forward: float
    undo: float

    def last_start(self, end: datetime) -> datetime:
        """The latest start that leaves time for every step and then for undoing all of them."""
        return end - timedelta(seconds=self.forward + self.undo)


def budget(plan: Plan) -> Budget:
    """The whole run, wave after wave; and the longest rollback that the plan's scope can ask for.

    The targets of a wave go through a step side by side. Counted as the engine counts before each step,
    so that the page and the point of no return agree.
    """
    forward, undo = 0.0, [0.0]
    for wave in plan.waves:
        members = set(wave.targets)
        steps = [step for step in plan.steps if members.intersection(step.targets)]
        forward += wave.soak + sum(step.estimate.apply + step.estimate.verify for step in steps)
        undo.append(sum(step.estimate.undo for step in steps if step.role in (Role.BACKUP, Role.CHANGE)))
    return Budget(forward, sum(undo) if plan.rollback is Scope.RUN else max(undo))


def is_undone(step: PlannedStep) -> bool:
    """Whether a rollback has anything to do for this step."""
    return step.role in (Role.BACKUP, Role.CHANGE) and not step.irreversible


def where(plan: Plan, targets: Sequence[str]) -> str:
    """The targets in a few words."""
    everywhere = len(targets) > 1 and len(targets) == len(plan.targets)
    return f"all {len(targets):,}" if everywhere else names(targets, 4)


def steps(plan: Plan) -> Iterator[Block]:
    """Every planned step."""
    yield Heading("Steps, in this order")
    rows: list[list[str | Cell]] = [
        [
            str(number),
            Cell(step.role.value, Style.PLAIN if step.role is Role.CHANGE else Style.DIM),
            step.title,
            where(plan, step.targets),
            _undo(plan, step),
            _doubt(step),
            _takes(step),
        ]
        for number, step in enumerate(plan.steps, 1)
    ]
    yield table(["#", "Role", "Step", "On", "Taken back by", "If its end is unseen", "Takes"], rows)


def _undo(plan: Plan, step: PlannedStep) -> Cell:
    if step.irreversible:
        return Cell("nothing: irreversible", Style.BAD)
    if step.role is Role.BACKUP:
        return Cell(f"backup level {LEVELS[step.level]}" if step.level else "backup", Style.PLAIN)
    if step.role is not Role.CHANGE:
        return Cell("changes nothing", Style.DIM)
    backups = _backups(plan, step)
    if not backups:
        return Cell("its own undo")
    return Cell(" and ".join(f"backup {number}" for number in backups))


def _backups(plan: Plan, step: PlannedStep) -> list[int]:
    return [number for number, other in enumerate(plan.steps, 1) if step.id in other.protects]


def _doubt(step: PlannedStep) -> Cell:
    if step.role not in (Role.BACKUP, Role.CHANGE):
        return Cell("asked again", Style.DIM)
    alone = step.step_class is not StepClass.OPAQUE
    return Cell(CLASSES[step.step_class], Style.DIM if alone else Style.WARN)


def _takes(step: PlannedStep) -> str:
    estimate = step.estimate
    parts = [duration_text(estimate.apply), f"verify {duration_text(estimate.verify)}"]
    if is_undone(step):
        parts.append(f"undo {duration_text(estimate.undo)}")
    return ", ".join(parts)


def checks(plan: Plan) -> Iterator[Block]:
    """What is expected after each step and at the end."""
    rows: list[list[str]] = []
    for number, step in enumerate(plan.steps, 1):
        targets = [plan.by_name[name] for name in step.targets if name in plan.by_name]
        rows += [[f"step {number}", title] for check in step.checks for title in _titles(check, targets)]
    rows += [["the end", title] for check in plan.acceptance for title in _titles(check, plan.targets)]
    yield Heading("What is verified")
    if rows:
        yield table(["After", "Expected"], rows)
    yield Paragraph(
        "Every step is read back by its own means too. At the end, all lasting checks are made again over new"
        " connections."
    )


def _titles(check: PlannedCheck, targets: Sequence[Target]) -> list[str]:
    """One line for each different wording, with the targets that it is for where there are several."""
    try:
        built = check.build()
        patience = f", within {duration_text(built.within)}" if built.within else ""
        wordings = grouped((built.title(target) + patience, target.name) for target in targets)
    except Exception:
        # A check of a package that isn't installed here must not hide the rest of the page.
        return [f"{check.kind} {value_text(dict(check.params))}"]
    if len(wordings) <= 1:
        return list(wordings)
    if len(wordings) <= 3:
        return [f"{wording} ({names(members, 3)})" for wording, members in wordings.items()]
    wording, members = next(iter(wordings.items()))
    return [f"{wording} ({members[0]}, and likewise on {len(targets) - 1:,} more)"]


def rollback(plan: Plan) -> Iterator[Block]:
    """When it is rolled back, by what, and how long that takes."""
    stops = "The first target that fails stops the run."
    if plan.failure_budget:
        stops = (
            f"The run goes on while at most {count(plan.failure_budget, 'target')} failed; one more stops it."
        )
    yield Heading("How it is rolled back")
    yield Paragraph(
        "A step or verification that fails is retried only where that is safe; then its target is undone at"
        f" once, newest step first, and read back. {stops} {SCOPES[plan.rollback]}"
    )
    path = [_reverse(plan, index + 1) for index in plan.undo_order]
    yield Bullets(tuple(line for line in path if line) or ("Nothing has to be undone.",))
    yield Paragraph(
        f"Undoing everything is expected to take {duration_text(budget(plan).undo)}, and is permitted at any"
        " time, also after the window. A target whose state can't be proved stays locked until a person"
        " decides."
    )


def _reverse(plan: Plan, number: int) -> str:
    step = plan.steps[number - 1]
    takes = f" ({duration_text(step.estimate.undo)})"
    if step.irreversible:
        return f"Step {number}, “{step.title}”: can't be undone. {step.irreversible}"
    if step.role is Role.BACKUP:
        covered = [str(plan.step_index[i] + 1) for i in step.protects if i in plan.step_index]
        what = f"steps {', '.join(covered)}" if len(covered) > 1 else f"step {''.join(covered)}"
        return f"Backup {number}, “{step.title}”, is restored and takes back {what}{takes}"
    if step.role is Role.CHANGE and step.undoable:
        return f"Step {number}, “{step.title}”, is undone by itself{takes}"
    return ""
