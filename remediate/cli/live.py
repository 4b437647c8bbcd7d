"""The live view of a run: a table of targets on a terminal, plain lines in a pipe, JSON for programs."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

from remediate.cli.options import Settings
from remediate.errors import Exit
from remediate.model.event import Event
from remediate.model.plan import Plan
from remediate.report.lines import line
from remediate.service.running import Screen

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from remediate.service.project import Project


_SHOW_CURSOR = b"\x1b[?25h\r\n"


class Interrupt:
    """Ctrl-C and SIGTERM: the first asks for a safe stop, the second ends the program at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asked = threading.Event()

    def __call__(self) -> bool:
        return self._asked.is_set()

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        """The signal handler."""
        if self._asked.is_set():
            # An exception would wait for the steps in flight: they are left to recovery, as after kill -9.
            if sys.stdout.isatty():
                os.write(sys.stdout.fileno(), _SHOW_CURSOR)
            os._exit(int(Exit.INTERRUPTED))
        self._asked.set()
        self._settings.say(
            "stopping after the step in flight; `remediate run FILE` goes on from there "
            "(Ctrl-C again: stop at once, recovery will probe what was in flight)"
        )


@contextmanager
def stoppable(asked: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM came, which ``asked`` is told; the second one is a `KeyboardInterrupt`."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        asked()

    old = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop.is_set
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def watching(settings: Settings, project: Project) -> Iterator[Screen]:
    """A screen for one run, with its signal handlers in place."""
    interrupt = Interrupt(settings)
    old = {n: signal.signal(n, interrupt.handle) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        if settings.json:
            yield Screen(lambda _, event: _json(project, event), interrupt, lambda _: None)
        elif sys.stdout.isatty():
            with _Table(project) as table:
                yield Screen(table.observe, interrupt, table.say)
        else:
            yield Screen(
                lambda plan, event: click.echo(project.scrub(line(event, plan))), interrupt, settings.say
            )
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _json(project: Project, event: Event) -> None:
    click.echo(project.scrub(json.dumps(event.as_json(), ensure_ascii=False)))
    sys.stdout.flush()


class _Table:
    """One line for each target, with its step and how far it is; events scroll above."""

    def __init__(self, project: Project) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._project = project
        self._progress: Progress = Progress(
            TextColumn("{task.fields[name]:>16}", style="bold", markup=False),
            BarColumn(bar_width=18),
            MofNCompleteColumn(),
            TextColumn("{task.fields[doing]}", markup=False),
            TimeElapsedColumn(),
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Table:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """A line above the table."""
        self._progress.console.print(text, markup=False, highlight=False, style="dim")

    def observe(self, plan: Plan, event: Event) -> None:
        """Show one event, and move its target's line."""
        text = self._project.scrub(line(event, plan))
        self._progress.console.print(text, markup=False, highlight=False, style=_style(event))
        target = getattr(event.body, "target", None)
        if target is None:
            return
        if target not in self._tasks:
            steps = sum(target in s.target_set and s.role.value != "gate" for s in plan.steps)
            self._tasks[target] = self._progress.add_task("", total=steps, name=target, doing="")
        task = self._tasks[target]
        self._progress.update(task, doing=_doing(plan, event))
        if event.body.kind == "verified" and event.body.ok:
            self._progress.advance(task)
        if event.body.kind == "settled":
            self._progress.stop_task(task)


def _doing(plan: Plan, event: Event) -> str:
    body = event.body
    if body.kind == "settled":
        return body.final.value
    step = getattr(body, "step", "")
    title = plan.steps[plan.step_index[step]].title if step in plan.step_index else ""
    return f"{body.kind}: {title}"[:60] if title else body.kind


def _style(event: Event) -> str:
    body = event.body
    match body.kind:
        case "verified":
            return "green" if body.ok else "red"
        case "held" | "unfit" | "rollback-started":
            return "red"
        case "probed" | "unread":
            return "yellow"
        case "outcome":
            return {"ok": "", "failed": "red", "in-doubt": "yellow"}[body.result.status.value]
        case "settled" | "run-finished":
            return "bold"
        case _:
            return ""
