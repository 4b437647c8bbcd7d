"""plan(runbook, inputs, targets, …) -> Plan: the one place where a plan comes into being."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import remediate
from remediate.errors import Refused
from remediate.model.base import Frozen, duration_text
from remediate.model.change import Ticket, Window
from remediate.model.plan import Artefact, Plan, PlannedStep, PlannedWave, RunbookRef
from remediate.model.runbook import RiskLevel
from remediate.model.step import Check, Estimate, Role
from remediate.model.target import Target
from remediate.planning.expand import Draft, expand, gate, planned_check
from remediate.planning.load import Loaded, artefact
from remediate.planning.references import prove
from remediate.planning.source import written
from remediate.planning.survey import Contexts, survey


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants what done where and when."""

    loaded: Loaded
    inputs: Frozen
    targets: tuple[Target, ...]
    peers: tuple[Target, ...]
    author: str
    ticket: Ticket
    inventory: str
    """Project-relative path."""
    inventory_digest: str
    limit: str | None
    window: Window | None
    created: datetime
    expires: datetime


def compile_plan(
    order: Order,
    project: Path,
    select: Callable[[str], Iterable[str]],
    contexts: Contexts,
    *,
    history: Callable[[str, PlannedStep], Estimate | None] = lambda *_: None,
    parallel: int = 50,
    progress: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Compile, observe and freeze. Read-only on targets.

    Args:
        select: host names that a pattern selects in the inventory.
        contexts: makes the context of a step on a target.
        history: an estimate from earlier runs of this runbook, if there were any.

    Raises:
        InputError: the runbook or its inputs make no valid plan, or its steps can't be proved.
        Refused: no targets, no steps, a target that can't be read, a window that is too short.
    """
    if not order.targets:
        raise Refused("no targets", "a change of nothing is no success")
    runbook = order.loaded.runbook()
    names = [t.name for t in order.targets]
    own = written(order.loaded, runbook, order.inputs, project)
    drafts = expand(own.steps, names, select)
    prove(drafts, runbook.acceptance, order.targets, own.where)
    artefacts = _artefacts(drafts, runbook.acceptance, project)
    seen = survey(drafts, order.targets, contexts, parallel, progress, own.where)
    steps = []
    for draft in drafts:
        planned = draft.planned()
        earlier = None if draft.step.estimate else history(order.loaded.name, planned)
        steps.append(
            planned.model_copy(
                update={
                    "observed": seen.observed[draft.id],
                    "preview": seen.preview[draft.id],
                    "estimate": earlier or planned.estimate,
                }
            )
        )
    strategy = runbook.strategy
    waves = tuple(PlannedWave(targets=w, soak=strategy.soak) for w in strategy.split(names))
    steps.append(gate(names, strategy.failure_budget, strategy.soak))
    irreversible = any(s.irreversible for s in steps)
    risk = runbook.risk.model_copy(update={"level": RiskLevel.HIGH}) if irreversible else runbook.risk
    plan = Plan(
        id=f"p-{secrets.token_hex(4)}",
        tool_version=remediate.__version__,
        created=order.created,
        expires=min(order.expires, order.window.end) if order.window else order.expires,
        author=order.author,
        ticket=order.ticket,
        runbook=RunbookRef(
            name=order.loaded.name, source=order.loaded.source, description=runbook.description()
        ),
        inputs=order.inputs.model_dump(mode="json"),
        inventory=order.inventory,
        inventory_digest=order.inventory_digest,
        limit=order.limit,
        targets=order.targets,
        peers=order.peers,
        waves=waves,
        failure_budget=strategy.failure_budget,
        rollback=strategy.rollback,
        steps=tuple(steps),
        acceptance=tuple(planned_check(c) for c in runbook.acceptance),
        artefacts=artefacts,
        risk=risk,
        window=order.window,
        doubt_patience=runbook.doubt_patience,
    )
    _fits(plan)
    return plan


def _artefacts(drafts: Sequence[Draft], acceptance: Iterable[Check], project: Path) -> tuple[Artefact, ...]:
    paths: set[Path] = set()
    for draft in drafts:
        paths.update(draft.step.artefacts(project))
        for check in draft.step.verify:
            paths.update(check.artefacts(project))
    for check in acceptance:
        paths.update(check.artefacts(project))
    return tuple(artefact(project / p, project) for p in sorted(paths))


def duration(plan: Plan) -> float:
    """Estimated seconds of the whole run when all goes well."""
    return sum(
        s.estimate.apply + s.estimate.verify
        for wave in plan.waves
        for s in plan.steps
        if s.target_set.intersection(wave.targets)
    )


def undo_duration(plan: Plan) -> float:
    """Estimated seconds to roll everything back from the very end."""
    return sum(
        s.estimate.undo
        for wave in plan.waves
        for s in plan.steps
        if s.role in (Role.BACKUP, Role.CHANGE) and s.target_set.intersection(wave.targets)
    )


def first_wave(plan: Plan) -> float:
    """Estimated seconds of the first wave with its verification and its rollback: less is no window."""
    names = plan.waves[0].targets
    return sum(
        s.estimate.apply + s.estimate.verify + s.estimate.undo
        for s in plan.steps
        if s.target_set.intersection(names)
    )


def _fits(plan: Plan) -> None:
    if plan.window is None:
        return
    length = (plan.window.end - plan.window.start).total_seconds()
    needed = first_wave(plan)
    if needed > length:
        raise Refused(
            f"the window of {duration_text(length)} can't hold even the first wave: it needs "
            f"{duration_text(needed)} with verification and rollback",
            "ask for a longer window, or make the steps' estimates true",
        )


def expiry(created: datetime, seconds: float) -> datetime:
    """When a plan made now has to be made anew."""
    return created + timedelta(seconds=seconds)
