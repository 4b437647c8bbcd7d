"""Use case: is the record whole, and was each run allowed?

A hash chain alone doesn't tell that it was rewritten whole, that its end was cut off, or that an older copy
was put in its place: the tickets, which hold the journal's signed checkpoints, do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from remediate.approval.envelope import Decision, Evidence, Settlement
from remediate.approval.policy import settle
from remediate.approval.verifying import verify
from remediate.checker import Outside, check
from remediate.errors import RemediateError
from remediate.model.event import Accepted, Decided, Event, Overwrite, RunStarted
from remediate.service.checkpoints import WITNESSED
from remediate.service.known_secrets import learn, writings
from remediate.service.project import Project
from remediate.service.runs import LoadedRun, load_run, stored_plan
from remediate.service.witnesses import Witnesses

_WITNESSED_KINDS = frozenset(str(kind.model_fields["kind"].default) for kind in WITNESSED)


def audit_runs(project: Project, run: str | None) -> list[str]:
    """What is wrong, in words; empty when all is whole. ``run`` None: every run."""
    findings = project.journal.audit()
    witnesses = Witnesses(project)
    names = project.journal.runs()
    for name in names if run is None else [project.find_run(run)]:
        try:
            loaded = load_run(project, name)
            findings += [f"run {name}: {text}" for text in _run(project, loaded, witnesses)]
        except RemediateError as error:
            findings.append(f"run {name}: {error.problem}")
    if run is None:
        _ask_of_others(project, witnesses)
    return [*findings, *witnesses.findings, *_lost(witnesses, set(names))]


def _run(project: Project, loaded: LoadedRun, witnesses: Witnesses) -> Iterator[str]:
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
    beside = _beside(project, loaded, witnesses)
    # Read after the ticket: a run that goes on tells nothing there that isn't in the journal.
    events = project.journal.events(loaded.run)
    for violation in check(loaded.plan, events, beside=beside):
        yield str(violation)
    for event in events:
        if isinstance(event.body, Decided | Overwrite | Accepted):
            yield from _decision(project, loaded, event, event.body)


def _beside(project: Project, loaded: LoadedRun, witnesses: Witnesses) -> Outside:
    """What the ticket and the run's folder hold."""
    said = witnesses.ask(loaded.plan, loaded.run)
    learn(project, loaded.plan)
    texts = writings(project, loaded.run)
    if said is None:
        return Outside(writings=texts, secret=project.credentials.scrubber.holds)
    return Outside(
        told=said.told,
        anchors=said.anchors,
        witnessed=_WITNESSED_KINDS,
        writings={**texts, f"ticket {loaded.plan.ticket.id}": said.text},
        secret=project.credentials.scrubber.holds,
    )


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


def _ask_of_others(project: Project, witnesses: Witnesses) -> None:
    """Hear the tickets of folders without a run in the journal: most were refused before they began."""
    for path in (project.config.state / "runs").glob("*/plan.json"):
        name = path.parent.name
        with suppress(RemediateError, ValueError):  # ValueError: its records are there, and damaged
            if not project.journal.events(name):
                plan = stored_plan(project, name)
                said = witnesses.ask(plan, name)
                if said and said.told:
                    witnesses.runs[name] = (plan.ticket.id, max(said.told))


def _lost(witnesses: Witnesses, known: set[str]) -> Iterator[str]:
    """Runs of which a ticket tells, and the journal nothing."""
    for name, (ticket, told) in witnesses.runs.items():
        if name not in known:
            yield (
                f"run {name}: V14: ticket {ticket} tells of event {told}, the journal of none:"
                " its end was cut off, or an older copy was put in its place"
            )
