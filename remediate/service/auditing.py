"""Use case: is the record whole, and was each run allowed?

A hash chain alone doesn't tell that its end was cut off, or that an older copy was put in its place: the
tickets, which tell how far each run was, do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from remediate.approval.envelope import Decision, Evidence, Settlement
from remediate.approval.policy import settle
from remediate.approval.verifying import verify
from remediate.checker import check
from remediate.errors import RemediateError
from remediate.model.event import Accepted, Decided, Event, Overwrite, RunStarted
from remediate.model.plan import Plan
from remediate.service.project import Project
from remediate.service.runs import LoadedRun, load_run, stored_plan


def audit_runs(project: Project, run: str | None) -> list[str]:
    """What is wrong, in words; empty when all is whole. ``run`` None: every run."""
    findings = project.journal.audit()
    plans: dict[str, tuple[Plan, int]] = {}
    for name in project.journal.runs() if run is None else [project.find_run(run)]:
        try:
            loaded = load_run(project, name)
        except RemediateError as error:
            findings.append(f"run {name}: {error.problem}")
            continue
        plans[name] = loaded.plan, loaded.events[-1].number
        findings += [f"run {name}: {text}" for text in _run(project, loaded)]
    if run is None:
        plans |= {name: (plan, 0) for name, plan in _without_events(project, set(plans)).items()}
    return findings + _cut_off(project, plans)


def _run(project: Project, loaded: LoadedRun) -> Iterator[str]:
    first = loaded.events[0].body
    if not isinstance(first, RunStarted):
        yield "its first event is not its start"
        return
    began = datetime.fromtimestamp(loaded.events[0].at, UTC)
    approved, reasons = _approved(project, loaded, began)
    for person in first.approvals:
        if person not in approved:
            why = f": {'; '.join(reasons)}" if reasons else ""
            yield f"{person} approved it, but no valid envelope says so{why}"
    for violation in check(loaded.plan, loaded.events):
        yield str(violation)
    for event in loaded.events:
        if isinstance(event.body, Decided | Overwrite | Accepted):
            yield from _decision(project, loaded, event, event.body)


def _approved(project: Project, loaded: LoadedRun, at: datetime) -> tuple[set[str], list[str]]:
    """Whose approvals, as they were kept, hold for this time; and why others don't."""
    people, reasons = set(), []
    for path in sorted((project.config.state / "runs" / loaded.run / "approvals").glob("*.json")):
        try:
            approval = verify(Evidence.read(path), loaded.plan, project.config, at)
        except RemediateError as error:
            reasons.append(error.problem)
            continue
        if approval.decision is Decision.APPROVE:
            people.add(approval.person)
    return people, reasons


def _decision(
    project: Project, loaded: LoadedRun, event: Event, body: Decided | Overwrite | Accepted
) -> Iterator[str]:
    if isinstance(body, Decided):
        expected = Settlement(
            run=loaded.run, step=body.step, target=body.target, attempt=body.attempt, verdict=body.verdict
        )
    elif isinstance(body, Overwrite):
        expected = Settlement(run=loaded.run, step=body.step, target=body.target, verdict="overwrite")
    else:
        expected = Settlement(run=loaded.run, target=body.target, verdict="kept")
    evidence = Evidence(f"decision on {expected.step or expected.target}", body.envelope.encode())
    try:
        settle(evidence, expected, loaded.plan, project.config, datetime.fromtimestamp(event.at, UTC))
    except RemediateError as error:
        yield error.problem


def _without_events(project: Project, known: set[str]) -> dict[str, Plan]:
    """Plans of run folders that the journal has no run for: most of them were refused before they began."""
    found = {}
    for path in (project.config.state / "runs").glob("*/plan.json"):
        name = path.parent.name
        if name in known:
            continue
        with suppress(RemediateError, ValueError):  # ValueError: its records are there, and damaged
            if not project.journal.events(name):
                found[name] = stored_plan(project, name)
    return found


def _cut_off(project: Project, plans: dict[str, tuple[Plan, int]]) -> list[str]:
    """Runs of which their ticket tells more than the journal does."""
    findings: list[str] = []
    for name, (plan, number) in plans.items():
        if plan.ticket.system != project.config.ticket.system:
            continue
        try:
            told = project.tickets.last_posted(plan.ticket.id, name)
        except RemediateError as error:
            # One that is down would be waited for again and again.
            return [
                *findings,
                f"not compared with the tickets, so an end cut off would not show: {error.problem}",
            ]
        if told > number:
            findings.append(
                f"run {name}: ticket {plan.ticket.id} tells of event {told}, the journal ends with {number}:"
                " its end was cut off, or an older copy was put in its place"
            )
    return findings
