"""Everything that has to hold before the first step of a run. Finds all reasons, not only the first."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import remediate
from remediate.approval.policy import Standing
from remediate.errors import Refused, RemediateError, Waiting
from remediate.inventory import Inventory
from remediate.model.base import duration_text
from remediate.model.plan import Plan
from remediate.model.target import Target
from remediate.planning.compile import duration, first_wave, undo_duration
from remediate.report.compare import difference
from remediate.service.approving import standing
from remediate.service.artefacts import changed
from remediate.service.checkpoints import prepare
from remediate.service.folders import private
from remediate.service.project import Project

DISK = 256 * 1024 * 1024
"""Bytes that must be free under the state folder: journal, backups, reports."""


def check(project: Project, plan: Plan, file: Path) -> Standing:
    """All that can be known without touching a target. Returns how the plan stands with its approvers.

    Raises:
        Refused: with every reason that was found.
        Waiting: nothing is wrong but an approval that is still missing.
    """
    found = standing(project, plan, file, project.my_logins)
    reasons = [*_artefacts(project, plan), *_time(project, plan)]
    named = (project.root / plan.inventory).resolve()
    if found.approved or named == project.config.inventory.resolve():
        # To read an inventory can mean to execute it: no unapproved file may name the program.
        reasons += _inventory(project, plan)
    reasons += [*_machine(project, plan), *found.blocked]
    if found.missing and found.invalid:
        # An approval that was given and does not verify is nothing to wait for.
        reasons += [*found.invalid, *found.missing]
    if reasons:
        raise Refused(
            "the run may not start, and nothing was touched:\n  " + "\n  ".join(reasons),
            "settle this; if anything of the plan changed, plan again and have it approved",
            tuple(reasons),
        )
    if found.missing:
        raise Waiting(
            "the plan is not approved yet: " + "; ".join((*found.missing, *found.refusals)),
            f"remediate approve {file} --key KEY",
        )
    return found


def _artefacts(project: Project, plan: Plan) -> list[str]:
    reasons = changed((plan.runbook.source,), project.root)
    reasons = [f"runbook source {r}" for r in reasons]
    return reasons + changed(plan.artefacts, project.root)


def _inventory(project: Project, plan: Plan) -> Iterator[str]:
    try:
        source = project.inventory(project.root / plan.inventory)
    except RemediateError as error:
        yield f"inventory {plan.inventory}: {error.problem}"
        return
    if source.digest == plan.inventory_digest:
        return
    named = list(_changed_hosts(project, plan, source))
    yield from named
    if not named:
        yield f"inventory {plan.inventory} changed since the plan was made (beside the plan's targets)"


def _changed_hosts(project: Project, plan: Plan, source: Inventory) -> Iterator[str]:
    for planned in (*plan.targets, *plan.peers):
        if planned.name not in source.hosts:
            yield f"inventory {plan.inventory}: host {planned.name} is gone"
            continue
        (now,) = project.reached([source.hosts[planned.name]])
        if now != planned:
            yield f"inventory {plan.inventory}: host {planned.name} changed: {_host(planned, now)}"


def _host(before: Target, after: Target) -> str:
    return difference(before.model_dump(mode="json"), after.model_dump(mode="json"))


def _time(project: Project, plan: Plan) -> Iterator[str]:
    now = datetime.fromtimestamp(project.clock(), UTC)
    if plan.window is None:
        ends = datetime.fromtimestamp(project.clock() + duration(plan) + undo_duration(plan), UTC)
        yield from (
            f"change freeze: {f.summary} (until {f.end:%Y-%m-%d %H:%M} UTC)"
            for f in project.calendar.conflicts(now, ends)
        )
        return
    if now < plan.window.start:
        wait = duration_text((plan.window.start - now).total_seconds())
        yield f"the window opens at {plan.window.start:%Y-%m-%d %H:%M} UTC, in {wait}"
    if now >= plan.window.end:
        yield f"the window closed at {plan.window.end:%Y-%m-%d %H:%M} UTC"
        return
    left = (plan.window.end - max(now, plan.window.start)).total_seconds()
    if (needed := first_wave(plan)) > left:
        yield (
            f"{duration_text(left)} of the window are left, and the first wave needs {duration_text(needed)}"
            " with verification and rollback"
        )
    for freeze in project.calendar.conflicts(max(now, plan.window.start), plan.window.end):
        yield f"change freeze in the window: {freeze.summary} (until {freeze.end:%Y-%m-%d %H:%M})"


def _machine(project: Project, plan: Plan) -> Iterator[str]:
    if plan.tool_version != remediate.__version__:
        yield (
            f"the plan was made by remediate {plan.tool_version}, this is {remediate.__version__}: "
            "what a step does may differ"
        )
    free = shutil.disk_usage(private(project.config.state)).free
    if free < DISK:
        yield f"only {free // 2**20} MB are free under {project.config.state}; {DISK // 2**20} MB are needed"
    try:
        prepare(project)
    except RemediateError as error:
        yield error.problem
