"""Tickets for the other use cases: which system, what is attached to what, how an event reads there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from remediate.config import Config
from remediate.credentials import Credentials
from remediate.errors import Exit, InputError, RemediateError
from remediate.model.base import Duration, Frozen, duration_text
from remediate.model.change import Priority
from remediate.model.event import Event, Final, Progress, RunFinished, RunStarted
from remediate.model.plan import Plan
from remediate.model.wording import problems
from remediate.planning.compile import duration
from remediate.report.lines import line
from remediate.report.plan import plan_document
from remediate.report.render import render
from remediate.report.run import run_document
from remediate.report.words import count
from remediate.service.checkpoints import WITNESSED, checkpoint
from remediate.service.folders import private, write_private
from remediate.tickets.interface import Change, Post, TicketSystem

if TYPE_CHECKING:
    from remediate.service.project import Project
    from remediate.tickets.outbox import Outbox
    from remediate.tickets.pump import Pace


class FileSettings(Frozen):
    """``[ticket.file]``."""

    path: Path = Path("tickets")
    linger: Duration = 5.0
    """How long internal lines are collected for one entry."""


class RtFields(Frozen):
    """Names of custom fields; an empty one is not filled."""

    digest: str = "Plan digest"
    risk: str = "Risk"
    window: str = "Window"


class RtStatuses(Frozen):
    """Names of statuses; to an empty one the ticket is not moved."""

    started: str = "in progress"
    verified_new: str = "resolved"
    verified_original: str = "rolled back"


class RtSettings(Frozen):
    """``[ticket.rt]``."""

    url: str
    token: str
    """A secret reference."""
    timeout: Duration = Field(default=10.0, gt=0)
    ca: Path | None = None
    """Certificates to trust (PEM), in place of the system's."""
    fields: RtFields = RtFields()
    statuses: RtStatuses = RtStatuses()
    priorities: dict[str, Priority] = {}
    """Priority by RT's label, beside those that are called as ours."""
    linger: Duration = 5.0
    """How long internal lines are collected for one entry."""
    settle: Duration = 15.0
    """How long RT must have answered without showing an entry in doubt before it is posted again; never
    shorter than the timeout, for the entry may be on its way as long."""

    @field_validator("settle")
    @classmethod
    def _longer_than_a_call(cls, value: float, info: ValidationInfo) -> float:
        if value < (timeout := info.data.get("timeout", 0.0)):
            raise ValueError(f"{value:g} s are less than the timeout ({timeout:g} s)")
        return value


def open_tickets(config: Config, credentials: Credentials) -> TicketSystem:
    """The ticket system that the settings name.

    Raises:
        InputError: an unknown system, or settings that don't fit it.
    """
    system, settings = config.ticket.system, config.ticket.settings
    match system:
        case "file":
            from remediate.tickets.file import FileTickets

            return FileTickets(config.path(_settings(FileSettings, system, settings).path))
        case "rt":
            return _open_rt(config, _settings(RtSettings, system, settings), credentials)
    raise InputError(f"ticket.system: there is no {system!r}", "it can be file or rt")


def _open_rt(config: Config, rt: RtSettings, credentials: Credentials) -> TicketSystem:
    from remediate.tickets.rt import PRIORITIES, RequestTrackerTickets
    from remediate.tickets.rt_client import address

    with _naming("ticket.rt.url"):
        address(rt.url)
    ca = config.path(rt.ca) if rt.ca else None
    if ca and not ca.is_file():
        raise InputError(f"remediate.toml: ticket.rt.ca: there is no file {ca}", "name a PEM file")
    with _naming("ticket.rt.token"):
        return RequestTrackerTickets(
            rt.url,
            credentials.resolve(rt.token),
            timeout=rt.timeout,
            ca=ca,
            priorities=PRIORITIES | {label.strip().lower(): p for label, p in rt.priorities.items()},
            fields=rt.fields.model_dump(),
            statuses={key.replace("_", "-"): name for key, name in rt.statuses.model_dump().items()},
        )


@contextmanager
def _naming(key: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"remediate.toml: {key}: {error.problem}", error.advice) from error


def _settings(model: type[Any], system: str, values: dict[str, Any]) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = [f"remediate.toml: ticket.{'.'.join([system, *p.loc])}: {p.text}" for p in problems(error)]
        raise InputError("\n".join(wrong), "correct the file and try again") from None


def pace(config: Config) -> Pace:
    """How often the outbox posts."""
    from remediate.tickets.pump import Pace

    system, settings = config.ticket.system, config.ticket.settings
    if system == "file":
        # Nothing that was sent can be on its way to a file: whoever wrote is dead, or wrote.
        return Pace(settle=0.0, linger=_settings(FileSettings, system, settings).linger)
    rt = _settings(RtSettings, system, settings)
    return Pace(settle=max(rt.settle, rt.timeout), linger=rt.linger)


def post_plan(project: Project, plan: Plan) -> None:
    """The plan and its approval request on the ticket, once."""
    system, ticket = project.tickets, plan.ticket.id
    if system.last_posted(ticket, plan.id) >= 1:
        return
    folder = private(project.config.state / "plans" / plan.id)
    text = (
        f"Please review and approve plan {plan.id} ({plan.runbook.name}, "
        f"{count(len(plan.targets), 'target')}, risk {plan.risk.level}).\n"
        f"Digest: {plan.digest}\nApprove: remediate approve PLAN --key YOUR_KEY\n"
        f"Refuse: remediate deny PLAN --key YOUR_KEY --comment WHY\n"
        f"It expires {plan.expires:%Y-%m-%d %H:%M} UTC."
    )
    system.post(ticket, Post(plan.id, 1, project.scrub(text), attachments=plan_files(plan, folder)))


def plan_files(plan: Plan, folder: Path) -> tuple[Path, ...]:
    """The plan as a page to read and as the bytes to sign."""
    from remediate.service.project import load_extensions

    load_extensions()
    page, data = folder / f"{plan.id}.html", folder / f"{plan.id}.plan.json"
    write_private(page, render(plan_document(plan), "html").encode())
    write_private(data, plan.data)
    return page, data


def beginning(plan: Plan) -> str:
    """What the customer reads when the work begins."""
    took = duration_text(duration(plan))
    return (
        f"The work on this change has begun: {plan.runbook.name} on "
        f"{count(len(plan.targets), 'system')}. It should take {took}, and is undone by itself if anything "
        f"goes wrong. Outage: {plan.risk.outage}."
    )


def ending(body: RunFinished, plan: Plan) -> str:
    """What the customer reads when the work has ended."""
    match Exit(body.exit_code):
        case Exit.VERIFIED_NEW:
            result = "The work is done. Every system was changed and verified."
        case Exit.ROLLED_BACK:
            result = "The change was not kept. Every system that it touched is verified to be as before."
            if Final.NEW.value.replace("-", " ") in body.summary:
                result = "The change was kept in part; the other systems are verified to be as before."
        case _:
            result = "The work ended in a state that our engineers have to look at; they were told."
    return f"{result}\nIn detail: {body.summary}. The full report is attached ({plan.runbook.name})."


def window_text(plan: Plan) -> str:
    """The window as people write it, or nothing."""
    if plan.window is None:
        return ""
    return f"{plan.window.start:%Y-%m-%d %H:%M} to {plan.window.end:%Y-%m-%d %H:%M} UTC"


def make_outbox(
    project: Project, plan: Plan, run: str, problem: Callable[[str], None], *, status: bool = True
) -> Outbox:
    """The reader of this run's events that puts them on the ticket; without ``status``, only them."""
    from remediate.tickets.outbox import Outbox

    def events(after: int) -> list[Event]:
        return project.journal.events(run, after)

    def text(event: Event) -> str | None:
        body = event.body
        if isinstance(body, Progress):
            return body.text
        if isinstance(body, RunFinished):
            return ending(body, plan)
        return line(event, plan)

    def attachments(event: Event) -> tuple[Path, ...]:
        return (*_witness(project, event, problem), *_documents(project, plan, event))

    return Outbox(
        project.tickets,
        plan.ticket.id,
        run,
        events=events,
        render=text,
        attachments=attachments,
        scrub=project.scrub,
        change=Change(plan.digest, plan.risk.level, window_text(plan)) if status else None,
        problem=problem,
        pace=pace(project.config),
    )


def _witness(project: Project, event: Event, problem: Callable[[str], None]) -> tuple[Path, ...]:
    """The journal's checkpoint, where one belongs. A run is not held up if there is none: an audit tells."""
    try:
        return (checkpoint(project, event),) if isinstance(event.body, WITNESSED) else ()
    except RemediateError as error:
        problem(f"the ticket gets no checkpoint of event #{event.number}: {error.problem}")
        return ()


def _documents(project: Project, plan: Plan, event: Event) -> tuple[Path, ...]:
    """What people want to read or to keep."""
    if isinstance(event.body, RunStarted):
        folder = project.run_folder(event.run)
        return (*plan_files(plan, folder), *sorted((folder / "approvals").glob("*.json")))
    if isinstance(event.body, RunFinished):
        page = project.run_folder(event.run) / f"report-{event.number}.html"
        events = [e for e in project.journal.events(event.run) if e.number <= event.number]
        # Before rendering: escapes would hide a secret from the scrubber.
        document = run_document(plan, events).mapped(project.scrub)
        write_private(page, render(document, "html").encode())
        return (page,)
    return ()
