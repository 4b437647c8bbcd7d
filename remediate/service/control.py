"""Use cases: pause, resume, abort, rollback. A request is a journal record; whoever executes hears of it."""

from __future__ import annotations

from remediate.errors import Exit, Refused
from remediate.model.event import Request
from remediate.service.project import Project
from remediate.service.running import Screen, ask
from remediate.service.running import resume as go_on
from remediate.service.runs import LoadedRun, living_runner, load_run


def pause(project: Project, run: str) -> str:
    """Ask a run to pause; says what will happen.

    Raises:
        Refused: it is finished.
    """
    loaded = _unfinished(project, run)
    ask(project, loaded.run, Request.PAUSE)
    return f"run {loaded.run} pauses after the steps in flight; `remediate resume {loaded.run}` goes on"


def resume(project: Project, run: str, screen: Screen) -> Exit:
    """Go on: tell the living runner, or take the run up here."""
    loaded = load_run(project, run)
    ask(project, loaded.run, Request.RESUME)
    return _here_or_there(project, loaded, screen)


def abort(project: Project, run: str, screen: Screen) -> Exit:
    """Roll back: tell the living runner, or do it here.

    Raises:
        Refused: the run is finished.
    """
    loaded = _unfinished(project, run)
    ask(project, loaded.run, Request.ABORT)
    return _here_or_there(project, loaded, screen)


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


def _here_or_there(project: Project, loaded: LoadedRun, screen: Screen) -> Exit:
    if living_runner(project, loaded.run) is not None:
        screen.progress(f"its runner was told; follow it with `remediate watch {loaded.run}`")
        return Exit.VERIFIED_NEW
    return go_on(project, loaded.run, screen)
