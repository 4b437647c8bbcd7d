"""The end of a run: of its ticket, also when an earlier process died or gave up; and of its journal."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from remediate.engine.state import RunState
from remediate.errors import Exit, JournalUnwritable, NeedsHuman, Refused, RemediateError, Waiting
from remediate.model.event import RunStarted
from remediate.model.plan import Plan
from remediate.service.folders import write_private
from remediate.service.project import Project
from remediate.service.ticketing import make_outbox

if TYPE_CHECKING:
    from remediate.tickets.outbox import Outbox

#: Beside the run's other files: up to which event a command has seen the log on the ticket, and said so.
_TOLD = "ticket-complete"


def close(project: Project, plan: Plan, run: str, outbox: Outbox, code: Exit) -> Exit:
    """Wait until the ticket tells of the run's last event.

    Raises:
        Waiting: the ticket system doesn't let it.
    """
    if outbox.flush(project.config.limits.closing):
        write_private(project.run_folder(run) / _TOLD, _last(project, run).encode())
        return code
    raise Waiting(
        f"run {run} ended ({code.name.lower().replace('_', ' ')}), but its ticket "
        f"{plan.ticket.id} could not be completed",
        "run the same command again when the ticket system is back; it only completes the ticket",
    )


def close_again(
    project: Project, plan: Plan, run: str, state: RunState, progress: Callable[[str], None]
) -> Exit:
    """A finished run whose ticket may still lack its last entries, or only its status: see to both.

    Raises:
        Refused: an earlier command has told already that the ticket is complete, it still is, and a plan is
            good for one run.
        Waiting: the ticket system doesn't let it.
    """
    if state.finished is None:
        raise AssertionError("only a finished run can be closed")
    # A system that is down says so at once; the outbox would try until its time is over.
    project.tickets.last_posted(plan.ticket.id, run)
    progress(f"run {run} is finished; its ticket {plan.ticket.id} is compared")
    told = project.run_folder(run) / _TOLD
    known = told.exists() and told.read_text() == _last(project, run)
    outbox = make_outbox(project, plan, run, progress, status=_newest_of(project, plan, run))
    try:
        code = close(project, plan, run, outbox, Exit(state.finished.exit_code))
    finally:
        outbox.stop()
    if outbox.changed or not known:
        return code
    raise Refused(
        f"this plan was used up by run {run}, which ended: {state.finished.summary}",
        f"see `remediate report {run}`; for another run, plan again",
    )


def _last(project: Project, run: str) -> str:
    return str(project.journal.events(run)[-1].number)


def _newest_of(project: Project, plan: Plan, run: str) -> bool:
    """Whether no later run works for the same ticket: the ticket's status is then that one's."""
    runs = project.journal.runs()
    later = (project.journal.events(other)[0].body for other in runs[runs.index(run) + 1 :])
    return not any(isinstance(b, RunStarted) and b.ticket == plan.ticket.id for b in later)


def halted(run: str, folder: Path, error: JournalUnwritable) -> RemediateError:
    """The journal can't take any more: say so where a file can still be written."""
    text = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: run {run} halted: {error}\n"
    for place in (folder, Path(tempfile.gettempdir())):
        note = place / f"remediate-{run}-halted.txt"
        with contextlib.suppress(OSError):
            note.write_text(text)
            break
    return NeedsHuman(f"run {run} halted: {error.problem} (noted in {note})", error.advice)
