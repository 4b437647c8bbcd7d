"""One case: the shipped engine carries the plan out, one step of it fails, and the run takes itself back."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from remediate.adapters.clients import ClientPool
from remediate.errors import Exit, RemediateError
from remediate.model.event import Event, Final, Settled
from remediate.model.plan import Plan
from remediate.model.proof import Case, Moment
from remediate.model.step import Role
from remediate.report.lines import line
from remediate.service.contexts import Contexts, all_hosts
from remediate.service.control import rollback
from remediate.service.project import Project
from remediate.service.proof.port import Break, BreakingPort
from remediate.service.proof.sandbox import Sandbox
from remediate.service.running import Screen, execute
from remediate.service.runs import load_run


@dataclass(frozen=True, slots=True)
class Ran:
    """How a broken run ended; ``struck`` tells whether it was broken at all."""

    code: int
    struck: bool
    why: str
    log: tuple[str, ...]
    seconds: float


def run(sandbox: Sandbox, name: str, plan: Plan, case: Case) -> Ran:
    """Carry out one case in a project of its own, called ``name``."""
    project = sandbox.project(name)
    began = time.monotonic()
    log: list[str] = []

    def observe(plan: Plan, event: Event) -> None:
        log.append(project.scrub(line(event, plan)))

    what = Break(case)
    screen = Screen(observe=observe)
    try:
        file = sandbox.approved(project, plan)
        code = execute(project, file, screen, lambda *args: BreakingPort(*args).breaking(what))
        if case.moment is Moment.FINISHED and code == Exit.VERIFIED_NEW:
            what.struck = True
            code = rollback(project, "last", screen)
        why = _why(project)
    except RemediateError as error:
        code, why = error.exit_code, project.scrub(error.problem)
    if code == Exit.ROLLED_BACK:
        _release(project, plan)
    return Ran(int(code), what.struck, why, tuple(log), round(time.monotonic() - began, 1))


def _why(project: Project) -> str:
    """What the run itself says of its end; of a target that needs a human, the reason."""
    loaded = load_run(project, "last")
    ends = [e.body for e in loaded.events if isinstance(e.body, Settled)]
    held = [f"{b.target}: {b.evidence}" for b in ends if b.final is Final.HUMAN]
    finished = loaded.state.finished.summary if loaded.state.finished else "not finished"
    return project.scrub("; ".join(held) or finished)


def _release(project: Project, plan: Plan) -> None:
    """Backups that a run keeps for a later rollback are no trace of it: they go, as after their retention."""
    loaded = load_run(project, "last")
    with ClientPool() as clients:
        contexts = Contexts(
            run=loaded.run,
            clients=clients,
            secrets=project.credentials,
            artefacts=project.root,
            workspace=project.run_folder(loaded.run) / "work",
            peers=all_hosts(plan),
            timeout=project.config.limits.step_timeout,
        )
        for (index, target), cell in loaded.state.cells.items():
            step = plan.steps[index]
            if step.role is Role.BACKUP and cell.begun:
                context = contexts.make(
                    step.id,
                    plan.by_name[target],
                    attempt=cell.attempt,
                    attempts=cell.attempt,
                    before=cell.before,
                    data=dict(cell.data),
                )
                # What could not be released shows as a difference.
                with suppress(RemediateError):
                    step.build().release(context)
