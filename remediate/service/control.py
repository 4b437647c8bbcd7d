"""Use cases: pause, resume, abort, rollback. A request is a journal record; whoever executes hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from remediate.errors import Exit, Refused
from remediate.model.event import Request
from remediate.service.project import Project
from remediate.service.running import Screen, ask
from remediate.service.running import resume as go_on
from remediate.service.runs import LoadedRun, living_runner, load_run


@dataclass(frozen=True, slots=True)
class Told:
    """A request that was recorded for the process that executes the run, or will."""

    run: str
    request: Request
    runner: str | None
    """``host|boot|pid|start`` of the process that hears of it; None if nobody executes the run now."""

    def __str__(self) -> str:
        if self.request is Request.PAUSE:
            what = (
                "pauses after the steps in flight"
                if self.runner
                else "is executed by nobody now; it is paused"
            )
            return f"run {self.run} {what}; `remediate resume {self.run}` goes on"
        return f"its runner was told; follow it with `remediate watch {self.run}`"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"run": self.run, "request": self.request.value, "runner": self.runner}


def pause(project: Project, run: str) -> Told:
    """Ask a run to pause; says what will happen.

    Raises:
        Refused: it is finished.
    """
    loaded = _unfinished(project, run)
    ask(project, loaded.run, Request.PAUSE)
    return Told(loaded.run, Request.PAUSE, living_runner(project, loaded.run))


def resume(project: Project, run: str, screen: Screen, told: Callable[[Told], None] = lambda _: None) -> Exit:
    """Go on: tell the living runner (``told`` hears of it), or take the run up here."""
    loaded = load_run(project, run)
    ask(project, loaded.run, Request.RESUME)
    return _here_or_there(project, loaded, Request.RESUME, screen, told)


def abort(project: Project, run: str, screen: Screen, told: Callable[[Told], None] = lambda _: None) -> Exit:
    """Roll back: tell the living runner (``told`` hears of it), or do it here.

    Raises:
        Refused: the run is finished.
    """
    loaded = _unfinished(project, run)
    ask(project, loaded.run, Request.ABORT)
    return _here_or_there(project, loaded, Request.ABORT, screen, told)


def rollback(project: Project, run: str, screen: Screen) -> Exit:
    """Undo a finished run.

    Raises:
        Refused: it is not finished, or there is nothing left to undo.
    """
    loaded = load_run(project, run)
    finished = loaded.state.finished
    if finished is None:
        raise Refused(f"run {loaded.run} is not finished", f"`remediate abort {loaded.run}` rolls it back")
    if finished.exit_code == Exit.ROLLED_BACK and not loaded.new_targets:
        raise Refused(f"run {loaded.run} is rolled back already: {finished.summary}")
    ask(project, loaded.run, Request.ABORT)
    return go_on(project, loaded.run, screen)


def _unfinished(project: Project, run: str) -> LoadedRun:
    loaded = load_run(project, run)
    if loaded.state.finished is not None and loaded.state.finished.exit_code != Exit.NEEDS_HUMAN:
        raise Refused(
            f"run {loaded.run} is finished: {loaded.state.finished.summary}",
            f"`remediate rollback {loaded.run}` undoes it while its backups are kept",
        )
    return loaded


def _here_or_there(
    project: Project, loaded: LoadedRun, request: Request, screen: Screen, told: Callable[[Told], None]
) -> Exit:
    if (runner := living_runner(project, loaded.run)) is not None:
        told(Told(loaded.run, request, runner))
        return Exit.VERIFIED_NEW
    return go_on(project, loaded.run, screen)
