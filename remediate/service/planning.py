"""Use case: compile a plan, save it, and put it on the ticket with the request for approval."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from remediate.adapters.clients import ClientPool
from remediate.errors import InputError, Refused
from remediate.model.change import Window
from remediate.model.event import Outcome, RunStarted, Verb, Verified
from remediate.model.plan import Plan, PlannedStep, parse_plan
from remediate.model.step import Context, Estimate, Status
from remediate.model.target import Target
from remediate.planning.compile import Order, compile_plan, expiry
from remediate.planning.inputs import parse_inputs
from remediate.planning.load import find_runbook
from remediate.service.contexts import Contexts
from remediate.service.project import Project, load_extensions
from remediate.service.ticketing import post_plan

_ENOUGH = 3
"""Earlier runs of a step from which on its own history says more than the author's guess."""


def make_plan(
    project: Project,
    runbook: str,
    *,
    ticket: str,
    settings: Sequence[str] = (),
    inventory: Path | None = None,
    limit: str | None = None,
    window: Window | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Compile a runbook for one ticket. Reads targets, changes nothing.

    Raises:
        InputError: unknown runbook or input, malformed inventory.
        Refused: no targets, a target that can't be read, a window that is too short or in a freeze.
        TicketDown, TicketRefused: the ticket can't be read.
    """
    load_extensions()
    loaded = find_runbook(runbook, project.config.runbooks, project.root)
    inputs = parse_inputs(loaded.runbook, settings)
    if window is not None:
        refuse_window(project, window)
    read = project.tickets.read(ticket)
    progress("reading the inventory")
    source = project.inventory(inventory)
    targets = project.reached(source.targets(source.select(loaded.runbook.targets, limit)))
    chosen = source.select(loaded.runbook.peers) if loaded.runbook.peers else ()
    peers = project.reached(source.targets(chosen))
    created = datetime.fromtimestamp(math.floor(project.clock()), UTC)
    order = Order(
        loaded=loaded,
        inputs=inputs,
        targets=targets,
        peers=tuple(p for p in peers if p not in targets),
        author=project.me,
        ticket=read,
        inventory=relative(source.path, project.root),
        inventory_digest=source.digest,
        limit=limit,
        window=window,
        created=created,
        expires=expiry(created, project.config.project.plan_expiry),
    )
    with TemporaryDirectory(prefix="remediate-plan-") as folder, ClientPool() as clients:
        contexts = Contexts(
            run=f"plan-{os.getpid()}",
            clients=clients,
            secrets=project.credentials,
            artefacts=project.root,
            workspace=Path(folder),
            peers={t.name: t for t in (*targets, *order.peers)},
            timeout=project.config.limits.step_timeout,
        )

        def context(step: str, target: Target) -> Context:
            return contexts.make(step, target)

        plan = compile_plan(
            order,
            project.root,
            source.select,
            context,
            history=History(project).estimate,
            parallel=project.config.limits.parallel,
            progress=progress,
        )
    return _scrubbed(project, plan)


def _scrubbed(project: Project, plan: Plan) -> Plan:
    """V15: a diff may show what a secret was used for; a plan never does."""
    steps = tuple(
        s.model_copy(update={"preview": {n: project.scrub(t) for n, t in s.preview.items()}})
        for s in plan.steps
    )
    return plan.model_copy(update={"steps": steps})


def refuse_window(project: Project, window: Window) -> None:
    """Raises `Refused` if this window is over, or a change freeze lies in it."""
    if window.end <= datetime.fromtimestamp(project.clock(), UTC):
        raise Refused(f"the window closed at {window.end:%Y-%m-%d %H:%M} UTC", "choose another window")
    if freezes := project.calendar.conflicts(window.start, window.end):
        words = [f"{f.summary} ({f.start:%Y-%m-%d %H:%M} to {f.end:%Y-%m-%d %H:%M})" for f in freezes]
        raise Refused(f"the window lies in a change freeze: {'; '.join(words)}", "choose another window")


def window_of(project: Project, text: str) -> Window:
    """The window that ``--window`` means, in the project's time zone.

    Raises:
        InputError: it can't be understood; the message shows the forms.
    """
    from remediate.calendar.window import parse_window

    return parse_window(text, project.config.timezone, datetime.fromtimestamp(project.clock(), UTC))


def refuse_existing(file: Path) -> None:
    """Raises `InputError` if there is such a file (a plan is never overwritten), or no folder for it."""
    if os.path.lexists(file):
        raise InputError(f"{file} exists", "choose another name with -o; a plan is never overwritten")
    if not file.absolute().parent.is_dir():
        raise InputError(f"{file}: there is no folder {file.parent}", "make it, or choose another place")


def save_plan(plan: Plan, file: Path) -> None:
    """Write the plan's bytes, mode 0600, whole or not at all.

    Raises:
        InputError: the file exists or can't be written.
    """
    refuse_existing(file)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(plan.data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(
            f"{file}: can't be written: {error.strerror}", "choose another place with -o"
        ) from None


def announce(project: Project, plan: Plan) -> str:
    """Put the plan on its ticket with the request for approval; returns where to look at it."""
    post_plan(project, plan)
    return project.tickets.url(plan.ticket.id)


def read_plan(file: Path) -> Plan:
    """The plan in a file.

    Raises:
        InputError: there is no such file, or it is no plan.
        Refused: its bytes are not those that were written.
    """
    try:
        return parse_plan(file.read_bytes(), str(file))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}", "make a plan with `remediate plan`") from None


def relative(path: Path, root: Path) -> str:
    """Project-relative where possible, so that the plan means the same in another checkout."""
    path = path.resolve()
    return path.relative_to(root.resolve()).as_posix() if path.is_relative_to(root.resolve()) else str(path)


class History:
    """Estimates from earlier runs in the journal: the 99th percentile of what each step really took."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._seconds: dict[str, dict[tuple[str, str], list[float]]] = {}

    def estimate(self, runbook: str, step: PlannedStep) -> Estimate | None:
        """Seconds for a step of this runbook, if it ran often enough."""
        if runbook not in self._seconds:
            self._seconds[runbook] = self._read(runbook)
        seen = self._seconds[runbook]
        applied = seen.get((step.id, "apply"), [])
        if len(applied) < _ENOUGH:
            return None
        return Estimate(
            apply=_p99(applied),
            verify=_p99(seen.get((step.id, "verify"), [step.estimate.verify])),
            undo=_p99(seen.get((step.id, "undo"), [step.estimate.undo])),
            source=f"{len(applied)} earlier",
        )

    def _read(self, runbook: str) -> dict[tuple[str, str], list[float]]:
        seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        if not self._project.config.journal_path.exists():
            return seconds
        journal = self._project.journal
        for run in journal.runs():
            events = journal.events(run)
            first = events[0].body
            if not isinstance(first, RunStarted) or first.runbook != runbook:
                continue
            for event in events:
                body = event.body
                if isinstance(body, Outcome) and body.result.status is Status.OK and body.verb in _TIMED:
                    seconds[body.step, body.verb.value].append(body.seconds)
                elif isinstance(body, Verified) and body.ok:
                    seconds[body.step, "verify"].append(body.seconds)
        return seconds


_TIMED = (Verb.APPLY, Verb.UNDO)


def _p99(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return math.ceil(ordered[math.ceil(0.99 * len(ordered)) - 1] * 10) / 10
