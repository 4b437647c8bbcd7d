"""A plan as one page: what a change manager has to know before signing its digest."""

from __future__ import annotations

from collections.abc import Iterator

from remediate.model.base import duration_text
from remediate.model.plan import Plan
from remediate.model.step import Role
from remediate.report import plan_details, plan_steps
from remediate.report.compare import brief
from remediate.report.document import (
    Block,
    Cell,
    Document,
    Facts,
    Heading,
    Notice,
    Paragraph,
    Severity,
    Style,
    facts,
    table,
)
from remediate.report.plan_steps import budget
from remediate.report.words import RISKS, count, minute, names

_MAX_NAMES = 40


def plan_document(plan: Plan, file: str | None = None) -> Document:
    """The page. ``file`` is where the plan lies, for the command lines at its end."""
    blocks = [
        *_warnings(plan),
        *_purpose(plan),
        _identity(plan),
        *_risk(plan),
        *_scope(plan),
        *plan_steps.steps(plan),
        *plan_steps.checks(plan),
        *plan_steps.rollback(plan),
        *plan_details.diffs(plan),
        *plan_details.observed(plan),
        *plan_details.artefacts(plan),
        *plan_details.approval(plan, file or f"{plan.id}.plan.json"),
    ]
    subject = plan.ticket.subject or plan.runbook.description.split("\n")[0] or plan.runbook.name
    return Document(f"Plan {plan.id}: {subject}", tuple(blocks))


def _warnings(plan: Plan) -> Iterator[Block]:
    for number, step in enumerate(plan.steps, 1):
        if step.irreversible:
            text = f"Step {number}, “{step.title}”, can't be undone: {step.irreversible}"
            yield Notice(Severity.DANGER, text)
    if not plan.targets or not plan.steps:
        yield Notice(Severity.DANGER, "This plan has no targets or no steps; it can't be run.")
    if plan.window and budget(plan).last_start(plan.window.end) < plan.window.start:
        text = "The window is too short for every step and its rollback; the run would stop before its end."
        yield Notice(Severity.WARNING, text)


def _purpose(plan: Plan) -> Iterator[Block]:
    if plan.runbook.description:
        yield Paragraph(plan.runbook.description)


def _identity(plan: Plan) -> Facts:
    ticket = plan.ticket
    inputs = [(f"Input {key}", brief(value)) for key, value in sorted(plan.inputs.items())]
    return facts(
        ("Digest (SHA-256)", Cell(plan.digest, Style.CODE)),
        ("Ticket", " · ".join(filter(None, [ticket.id, ticket.subject, ticket.priority.value]))),
        ("Requested by", ticket.requester or ""),
        ("Planned by", f"{plan.author}, {minute(plan.created)}, remediate {plan.tool_version}"),
        ("Valid until", minute(plan.expires)),
        *_time(plan),
        ("Runbook", " · ".join(filter(None, [plan.runbook.name, plan.runbook.source.path]))),
        *inputs,
    )


def _time(plan: Plan) -> Iterator[tuple[str, str | Cell]]:
    total = budget(plan)
    takes = f"{duration_text(total.forward)} to the end, {duration_text(total.undo)} to undo it all again"
    if plan.window is None:
        yield "Window", Cell("none: it may be run at any time until it expires", Style.WARN)
        yield "Expected to take", takes
        return
    start, end = plan.window.start, plan.window.end
    length = duration_text((end - start).total_seconds())
    yield "Window", f"{minute(start)} to {minute(end)} ({length})"
    yield "Expected to take", takes
    last = total.last_start(end)
    if last < start:
        late = f"a start by {minute(last)}, before the window opens, would leave time for the whole rollback"
        yield "Point of no return", Cell(late, Style.WARN)
    else:
        yield "Point of no return", f"a start by {minute(last)} leaves time for the whole rollback"


def _risk(plan: Plan) -> Iterator[Block]:
    yield Heading("Risk")
    yield facts(
        ("Level", Cell(plan.risk.level.value, RISKS[plan.risk.level])),
        ("Outage", plan.risk.outage),
        ("Data loss", plan.risk.data_loss),
        ("Notes", plan.risk.notes),
    )


def _scope(plan: Plan) -> Iterator[Block]:
    changes = sum(step.role is Role.CHANGE for step in plan.steps)
    yield Heading("What will change")
    waves = f" in {count(len(plan.waves), 'wave')}" if len(plan.waves) > 1 else ""
    limit = f", limited to {plan.limit}" if plan.limit else ""
    yield Paragraph(
        f"{count(changes, 'change')} on {count(len(plan.targets), 'target')}{waves},"
        f" from the inventory {plan.inventory}{limit}."
    )
    rows = []
    for number, wave in enumerate(plan.waves, 1):
        members = names([_address(plan, name) for name in wave.targets], _MAX_NAMES)
        rows.append([str(number), members, duration_text(wave.soak) if wave.soak else "none"])
    yield table(["Wave", "Targets", "Wait after it"], rows)


def _address(plan: Plan, name: str) -> str:
    target = plan.by_name.get(name)
    return f"{name} ({target.address})" if target and target.address != name else name
