"""Starts many tasks and waits for all of them with one property collector; how each ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pyVmomi import vim, vmodl

from remediate.adapters.vmware.collect import QUERY, bulk
from remediate.adapters.vmware.errors import Rejected, Unreachable
from remediate.adapters.vmware.session import VCenter, told
from remediate.adapters.vmware.values import End, Ended
from remediate.errors import InDoubt, StepFailed

_OVER = ("success", "error")
#: So long one request waits for news.
_TURN = 5
_PAUSE = 0.5


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

    What runs still when ``seconds`` are over is in doubt, and goes on in vCenter. What was not begun has
    failed.
    """
    deadline = time.monotonic() + seconds
    batch = _Batch(list(jobs), limits or Limits())
    while (batch.waiting or batch.running) and time.monotonic() < deadline:
        try:
            with _collector(vcenter) as collector:
                _work(vcenter, collector, batch, deadline)
        except StepFailed:
            # The collector is gone (with its session), or a task is: ask for each one, then go on.
            _ask(vcenter, batch)
            time.sleep(min(_PAUSE, max(0.0, deadline - time.monotonic())))
    for moref in list(batch.running):
        batch.end(moref, Ended(End.DOUBT, f"its task has not ended after {seconds:g} s, and goes on"))
    late = Ended(End.FAILED, f"it was not begun: the others took all of {seconds:g} s")
    return batch.ended | {job.name: late for job in batch.waiting}


@contextmanager
def _collector(vcenter: VCenter) -> Iterator[vmodl.query.PropertyCollector]:
    """A collector of our own: those who wait on a shared one take each other's news."""
    shared = vcenter.content.propertyCollector
    own = vcenter.read(shared.CreatePropertyCollector)
    try:
        yield own
    finally:
        with suppress(StepFailed):
            vcenter.read(own.DestroyPropertyCollector)


def _work(vcenter: VCenter, collector: vmodl.query.PropertyCollector, batch: _Batch, deadline: float) -> None:
    watched: set[str] = set()
    version = ""
    while batch.waiting or batch.running:
        _start(vcenter, batch)
        if new := [task for moref, (_, task) in batch.running.items() if moref not in watched]:
            _watch(vcenter, collector, new)
            watched.update(task._moId for task in new)
            # Everything from the start: some of them may have ended before they were watched.
            version = ""
        left = deadline - time.monotonic()
        if left <= 0:
            return
        if not batch.running:
            continue
        options = QUERY.WaitOptions(maxWaitSeconds=max(1, int(min(left, _TURN))))
        news = vcenter.read(partial(collector.WaitForUpdatesEx, version, options))
        if news is not None:
            version = news.version
            _take(news, batch)


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


def _watch(vcenter: VCenter, collector: vmodl.query.PropertyCollector, tasks: Sequence[vim.Task]) -> None:
    spec = QUERY.FilterSpec(
        objectSet=[QUERY.ObjectSpec(obj=t) for t in tasks],
        propSet=[QUERY.PropertySpec(type=vim.Task, pathSet=["info"])],
    )
    vcenter.read(lambda: collector.CreateFilter(spec, partialUpdates=False))


def _take(news: Any, batch: _Batch) -> None:
    for update in (u for f in news.filterSet for u in f.objectSet):
        moref = update.obj._moId
        if moref not in batch.running:
            continue
        if update.kind == "leave":
            batch.end(moref, _VANISHED)
            continue
        info = next((c.val for c in update.changeSet if c.name == "info" and c.val is not None), None)
        if info is not None and info.state in _OVER:
            batch.end(moref, _ended(info))


_VANISHED = Ended(End.DOUBT, "its task vanished from vCenter before it was seen to end")


def _ended(info: vim.TaskInfo) -> Ended:
    if info.state == "success":
        return Ended(End.DONE, result=getattr(info.result, "_moId", ""))
    fault = type(info.error).__name__.rpartition(".")[2] if info.error is not None else ""
    return Ended(End.FAILED, told(info.error) if fault else "it failed without a reason", fault)


def _ask(vcenter: VCenter, batch: _Batch) -> None:
    """Look at each running task by itself."""
    for moref, (_, task) in list(batch.running.items()):
        try:
            info = bulk(vcenter, vim.Task, [task], ["info"])[moref][1]["info"]
        except Unreachable:
            return
        except (Rejected, KeyError):
            batch.end(moref, _VANISHED)
        else:
            if info.state in _OVER:
                batch.end(moref, _ended(info))


def at_work(vcenter: VCenter, morefs: Sequence[str]) -> list[str]:
    """Of these tasks, what those that have not ended do, such as ``createSnapshot``.

    Raises:
        Unreachable: no answer.
    """
    found = []
    for moref in morefs:
        task = vcenter.reference(vim.Task, moref)
        try:
            _, info = bulk(vcenter, vim.Task, [task], ["info.state", "info.descriptionId"])[moref]
        except (Rejected, KeyError):
            continue
        if info.get("info.state") not in _OVER:
            found.append(str(info.get("info.descriptionId", "")).rpartition(".")[2])
    return found
