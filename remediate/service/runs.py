"""What the journal says of runs. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from remediate.engine.fold import replay
from remediate.engine.state import Phase, RunState
from remediate.errors import InputError, RemediateError
from remediate.journal.holder import certainly_dead
from remediate.model.event import Event, Final, RunFinished, RunStarted
from remediate.model.plan import Plan, parse_plan
from remediate.model.wording import wrong
from remediate.report.runs import RunRow
from remediate.service.project import Project


@dataclass(frozen=True)
class LoadedRun:
    """One run: its plan, its events, and what they add up to."""

    run: str
    plan: Plan
    events: Sequence[Event]
    state: RunState

    @property
    def doubts(self) -> list[tuple[str, str]]:
        """(step, target) pairs that nobody knows the outcome of."""
        return [
            (self.plan.steps[index].id, name)
            for (index, name), cell in sorted(self.state.cells.items())
            if cell.phase is Phase.DOUBT
        ]

    @property
    def held_undos(self) -> list[tuple[str, str]]:
        """(step, target) pairs whose undo was held back, or gave up, and waits for a human."""
        return [
            (self.plan.steps[index].id, name)
            for (index, name), cell in sorted(self.state.cells.items())
            if cell.undo in (Phase.HELD, Phase.FAILED)
            and self.state.targets[name].settled is Final.HUMAN
            and not self.state.targets[name].accepted
        ]

    @property
    def new_targets(self) -> list[str]:
        """Targets that ended changed."""
        return [n for n, t in self.state.targets.items() if t.settled is Final.NEW]

    @property
    def status(self) -> str:
        """In a word."""
        state = self.state
        if state.finished is not None:
            return {0: "verified new", 4: "rolled back", 5: "needs human"}[state.finished.exit_code]
        if state.stopping:
            return "rolling back"
        return "paused" if state.paused else f"wave {min(state.wave + 1, len(self.plan.waves))}"


def load_run(project: Project, run: str) -> LoadedRun:
    """A run by its id (or a unique beginning of it, or ``last``).

    Raises:
        InputError: there is no such run, its folder is gone, or its records are not what a run records.
        Refused: its plan was edited or damaged.
    """
    run = project.find_run(run)
    try:
        events = project.journal.events(run)
        plan = plan_of(project, run, events)
        return LoadedRun(run, plan, events, replay(plan, events))
    except (ValueError, LookupError) as error:  # a record that was edited, or that another version wrote
        why = wrong(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        raise InputError(
            f"the records of run {run} can't be read: {why}", f"`remediate audit {run}` looks for edits"
        ) from None


def overview(project: Project) -> list[RunRow]:
    """All runs, oldest first. One that can't be read is among them, with the reason as its status."""
    return [_row_or_reason(project, run) for run in project.journal.runs()]


def row(project: Project, loaded: LoadedRun) -> RunRow:
    """One run in short."""
    holder = living_runner(project, loaded.run)
    finished = loaded.state.finished
    return RunRow(
        run=loaded.run,
        runbook=loaded.plan.runbook.name,
        ticket=loaded.plan.ticket.id,
        started=_started(loaded.events),
        status=loaded.status,
        runner=f"process {holder.split('|')[2]} on {holder.split('|')[0]}" if holder else "",
        targets=len(loaded.plan.targets),
        exit_code=finished.exit_code if finished else None,
        doubts=tuple(f"{step} on {target}" for step, target in loaded.doubts),
    )


def _row_or_reason(project: Project, run: str) -> RunRow:
    try:
        return row(project, load_run(project, run))
    except RemediateError as error:
        reason = f"unreadable: {error.problem}"
    events: Sequence[Event] = ()
    with suppress(ValueError, RemediateError):
        events = project.journal.events(run)
    # What the journal itself says of it needs no plan.
    first = next((e.body for e in events if isinstance(e.body, RunStarted)), None)
    last = next((e.body for e in reversed(events) if isinstance(e.body, RunFinished)), None)
    return RunRow(
        run=run,
        runbook=first.runbook if first else "",
        ticket=first.ticket if first else "",
        started=_started(events),
        status=reason,
        runner="",
        targets=first.targets if first else 0,
        exit_code=last.exit_code if last else None,
        doubts=(),
    )


def _started(events: Sequence[Event]) -> str:
    return f"{datetime.fromtimestamp(events[0].at, UTC):%Y-%m-%d %H:%M:%S}" if events else ""


def plan_of(project: Project, run: str, events: Sequence[Event]) -> Plan:
    """The plan that a run keeps a copy of, if it is the one that the run was begun with.

    Raises:
        InputError: it is gone, or another one lies in its place.
    """
    plan = stored_plan(project, run)
    first = events[0].body
    if isinstance(first, RunStarted) and first.plan != plan.digest:
        raise InputError(
            f"{project.config.state / 'runs' / run / 'plan.json'} is not the plan of run {run}",
            "restore that file",
        )
    return plan


def stored_plan(project: Project, run: str) -> Plan:
    """What lies where a run keeps a copy of its plan; see `plan_of`."""
    path = project.config.state / "runs" / run / "plan.json"
    try:
        return parse_plan(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", "the state folder of this run is incomplete") from None


def living_runner(project: Project, run: str) -> str | None:
    """The process that executes this run right now, as ``host|boot|pid|start``; None if there is none."""
    holder = project.journal.holder(run, project.clock())
    return None if holder is None or certainly_dead(holder) else holder
