"""Starts many tasks and waits for all of them together; how each ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pyVmomi import vim

from remediate.adapters.vmware.collect import Properties, bulk
from remediate.adapters.vmware.errors import Rejected, Unreachable
from remediate.adapters.vmware.session import VCenter, told
from remediate.adapters.vmware.values import End, Ended
from remediate.errors import InDoubt, StepFailed

_WORK = ["info.state", "info.descriptionId"]
_OVER = ("success", "error")
#: Seconds between two looks; they grow while nothing happens.
_SHORTEST, _LONGEST = 0.05, 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """One task to be. ``lanes`` are what it competes for: the morefs of its datastores."""

    name: str
    start: Callable[[], vim.Task]
    lanes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tasks may run at once, in all and on one datastore."""

    together: int = 32
    per_lane: int = 32


@dataclass(slots=True)
class _Batch:
    """Jobs on their way: waiting, running (by the task's moref), ended."""

    waiting: list[Job]
    limits: Limits
    running: dict[str, tuple[Job, vim.Task]] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)

    def ready(self) -> Iterator[Job]:
        """Take out what may start now."""
        busy = Counter(lane for job, _ in self.running.values() for lane in job.lanes)
        free = self.limits.together - len(self.running)
        for job in list(self.waiting):
            if free <= 0:
                return
            if all(busy[lane] < self.limits.per_lane for lane in job.lanes):
                self.waiting.remove(job)
                busy.update(job.lanes)
                free -= 1
                yield job

    def end(self, moref: str, ended: Ended) -> None:
        """The task of this moref is over."""
        job, _ = self.running.pop(moref)
        self.ended[job.name] = ended


def perform(
    vcenter: VCenter, jobs: Sequence[Job], seconds: float, limits: Limits | None = None
) -> dict[str, Ended]:
    """Start all, as the limits allow, and wait for their ends; by job name.

    All running tasks are asked for in one call. (Updates by `WaitForUpdatesEx` would save calls, but they are
    bound to one session, and are lost with it.) What runs still when ``seconds`` are over is in doubt, and
    goes on in vCenter. What was not begun has failed.
    """
    deadline = time.monotonic() + seconds
    batch = _Batch(list(jobs), limits or Limits())
    pause, silence = _SHORTEST, ""
    while (batch.waiting or batch.running) and time.monotonic() < deadline:
        _start(vcenter, batch)
        before = len(batch.running)
        try:
            _look(vcenter, batch)
            silence = ""
        except Unreachable as error:
            silence = f" ({error.problem})"
        pause = _SHORTEST if len(batch.running) < before else min(pause * 1.5, _LONGEST)
        if batch.running:
            time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
    for moref in list(batch.running):
        batch.end(
            moref, Ended(End.DOUBT, f"its end was not seen within {seconds:g} s, and it may go on{silence}")
        )
    late = Ended(End.FAILED, f"it was not begun: the others took all of {seconds:g} s")
    return batch.ended | {job.name: late for job in batch.waiting}


def _start(vcenter: VCenter, batch: _Batch) -> None:
    for job in batch.ready():
        try:
            task = vcenter.fire(job.start)
        except InDoubt as error:
            batch.ended[job.name] = Ended(End.DOUBT, error.problem)
        except StepFailed as error:
            batch.ended[job.name] = Ended(End.FAILED, error.problem, getattr(error, "fault", ""))
        else:
            batch.running[task._moId] = (job, task)


def _look(vcenter: VCenter, batch: _Batch) -> None:
    """Which of the running tasks have ended.

    Raises:
        Unreachable: no answer.
    """
    tasks = [task for _, task in batch.running.values()]
    states = _read(vcenter, tasks, ["info.state"])
    over = [t for t in tasks if states.get(t._moId, {}).get("info.state") in _OVER]
    found = _read(vcenter, over, ["info"])
    for task in tasks:
        state, info = states.get(task._moId), found.get(task._moId, {}).get("info")
        if info is not None:
            batch.end(task._moId, _ended(info))
        elif not state or task in over:
            batch.end(task._moId, _VANISHED)


def _read(vcenter: VCenter, tasks: Sequence[vim.Task], paths: Sequence[str]) -> dict[str, Properties]:
    """By moref, properties of those tasks that vCenter still knows; all in one call."""
    try:
        found = bulk(vcenter, vim.Task, tasks, paths)
    except Rejected:
        # One of them is gone, and vCenter refuses the whole question: ask for each alone.
        found = {}
        for task in tasks:
            with suppress(Rejected):
                found |= bulk(vcenter, vim.Task, [task], paths)
    return {moref: properties for moref, (_, properties) in found.items()}


_VANISHED = Ended(End.DOUBT, "its task vanished from vCenter before it was seen to end")


def _ended(info: vim.TaskInfo) -> Ended:
    if info.state == "success":
        return Ended(End.DONE, result=getattr(info.result, "_moId", ""))
    fault = type(info.error).__name__.rpartition(".")[2] if info.error is not None else ""
    return Ended(End.FAILED, told(info.error) if fault else "it failed without a reason", fault)


def at_work(vcenter: VCenter, morefs: Sequence[str]) -> list[str]:
    """Of these tasks, what those that have not ended do, such as ``createSnapshot``.

    Raises:
        Unreachable: no answer.
    """
    found = _read(vcenter, [vcenter.reference(vim.Task, m) for m in morefs], _WORK)
    return [
        str(info.get("info.descriptionId", "")).rpartition(".")[2]
        for info in found.values()
        if info.get("info.state") not in _OVER
    ]
