"""Use case: is the record whole, and was each run allowed?"""

from __future__ import annotations

from remediate.approval.envelope import Evidence, Settlement, parse
from remediate.errors import RemediateError
from remediate.model.event import Decided, RunStarted
from remediate.service.project import Project
from remediate.service.runs import LoadedRun, load_run


def audit_runs(project: Project, run: str | None) -> list[str]:
    """What is wrong, in words; empty when all is whole. ``run`` None: every run."""
    findings = project.journal.audit()
    for name in project.journal.runs() if run is None else [project.find_run(run)]:
        try:
            loaded = load_run(project, name)
        except RemediateError as error:
            findings.append(f"run {name}: {error.problem}")
            continue
        findings += [f"run {name}: {text}" for text in _run(project, loaded)]
    return findings


def _run(project: Project, loaded: LoadedRun) -> list[str]:
    findings: list[str] = []
    first = loaded.events[0].body
    if not isinstance(first, RunStarted):
        return ["its first event is not its start"]
    folder = project.config.state / "runs" / loaded.run / "approvals"
    signed = set()
    for path in sorted(folder.glob("*.json")):
        try:
            payload = parse(Evidence.read(path)).payload
        except RemediateError as error:
            findings.append(error.problem)
            continue
        if payload.plan != first.plan:
            findings.append(f"{path.name} is about another plan")
        signed.add(project.config.person(payload.principal))
    findings += [
        f"no envelope of {person}, who approved" for person in first.approvals if person not in signed
    ]
    for event in loaded.events:
        if isinstance(event.body, Decided):
            findings += _decision(event.body, loaded.run)
    return findings


def _decision(body: Decided, run: str) -> list[str]:
    try:
        envelope = parse(Evidence(f"decision on {body.step}", body.envelope.encode()))
    except RemediateError as error:
        return [error.problem]
    expected = Settlement(
        run=run, step=body.step, target=body.target, attempt=body.attempt, verdict=body.verdict
    )
    return (
        [] if envelope.payload.settles == expected else [f"the decision on {body.step} says something else"]
    )
