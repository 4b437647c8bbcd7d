"""Which ways of failing a plan has, and which of them can't be taken back by design."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from remediate.errors import InputError
from remediate.model.base import duration_text
from remediate.model.plan import Plan, PlannedStep
from remediate.model.proof import Case, Moment
from remediate.model.step import Role
from remediate.report.words import count

_WHOLE_RUN = "the whole run"


def cases(plan: Plan, steps: Collection[str] = (), moments: Collection[Moment] = ()) -> tuple[Case, ...]:
    """All of them in the order of the plan, or those of some steps and moments.

    Raises:
        InputError: the plan has no such step, or nothing is left.
    """
    if unknown := set(steps) - set(plan.step_index):
        known = ", ".join(s.id for s in plan.steps if s.role is not Role.GATE)
        raise InputError(f"the plan has no step {', '.join(sorted(unknown))}", f"it has {known}")
    found = [c for c in _all(plan) if (not steps or c.step in steps) and (not moments or c.moment in moments)]
    if not found:
        raise InputError("none of these steps fails at any of these moments", "name others")
    return tuple(found)


def _all(plan: Plan) -> Iterator[Case]:
    # First the whole way there and back: a runbook that gets nowhere here needs no breaking.
    last = _last(plan, tuple(plan.by_name))
    yield Case(step="", title=_WHOLE_RUN, role=Role.GATE, moment=Moment.FINISHED, target=last)
    for step in plan.steps:
        for moment in _moments(step):
            last = _last(plan, step.targets)
            yield Case(step=step.id, title=step.title, role=step.role, moment=moment, target=last)


def _moments(step: PlannedStep) -> tuple[Moment, ...]:
    match step.role:
        case Role.GATE:
            return ()
        case Role.CHECK:
            return (Moment.AFTER,)
        case Role.BACKUP | Role.CHANGE:
            return (Moment.BEFORE, Moment.DURING, Moment.AFTER)


def _last(plan: Plan, names: Collection[str]) -> str:
    """The one whose turn comes last: as much as possible has to be taken back then."""
    return [n for wave in plan.waves for n in wave.targets if n in names][-1]


def irreversible(plan: Plan, case: Case) -> str:
    """Why the plan itself says that this case can't be taken back; empty if it can."""
    # One that was refused counts as begun: no engine takes its word for that.
    begun = len(plan.steps) if case.moment is Moment.FINISHED else plan.step_index[case.step] + 1
    # Earlier waves have been through every step by then.
    several = len(plan.waves) > 1 and case.target not in plan.waves[0].targets
    for step in plan.steps if several else plan.steps[:begun]:
        if step.irreversible:
            return f"{step.title}: {step.irreversible}"
    return ""


def seconds(plan: Plan, case: Case) -> float:
    """How long a case should take, by the plan's own estimates."""
    begun = len(plan.steps) if case.moment is Moment.FINISHED else plan.step_index[case.step] + 1
    total = 0.0
    for wave in plan.waves:
        for step in plan.steps[:begun]:
            if step.target_set.intersection(wave.targets):
                total += step.estimate.apply + step.estimate.verify + step.estimate.undo
    return total


def announcement(plan: Plan, chosen: Collection[Case]) -> str:
    """What will be done, and for how long by the plan's own estimates."""
    most = duration_text(sum(seconds(plan, c) for c in chosen))
    return (
        f"{count(len(chosen), 'case')} on {', '.join(plan.by_name)}; by the plan's estimates {most} at most"
    )
