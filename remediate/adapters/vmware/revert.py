"""Reverts many machines of one vCenter to our snapshots, puts their power back, and waits for the guests."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from remediate.adapters.vmware.client import connect, guest_changed
from remediate.adapters.vmware.step import POWER, failed, not_done, read_many
from remediate.adapters.vmware.values import End, Ended, Machine, Power, Snapshot
from remediate.errors import StepFailed
from remediate.model.step import Context, Result

if TYPE_CHECKING:
    from pyVmomi import vim

    from remediate.adapters.vmware.session import VCenter
    from remediate.adapters.vmware.snapshot import VmSnapshot

_POLL = 0.5


def revert(step: VmSnapshot, contexts: Sequence[Context]) -> dict[str, Result]:
    """By target name, what became of each.

    Raises:
        StepFailed: the machines can't be read; nothing was done.
    """
    deadline = time.monotonic() + min(c.timeout for c in contexts)
    by_name = {c.target.name: c for c in contexts}
    goals, results = _goals(contexts)
    vcenter = connect(contexts[0])
    ended = _tasks(step, vcenter, {n: _reverting(vcenter, s) for n, (_, s) in goals.items()}, deadline)
    results |= {n: not_done(e, "not reverted") for n, e in ended.items() if e.end is not End.DONE}
    for name in ended:
        guest_changed(by_name[name])
    left = [by_name[n] for n, e in ended.items() if e.end is End.DONE]
    results |= _power_back(step, vcenter, left, deadline)
    left = [c for c in left if c.target.name not in results]
    results |= _wait_for_guests(left, min(deadline, time.monotonic() + step.boot))
    for context in left:
        snapshot = goals[context.target.name][1]
        results.setdefault(
            context.target.name, Result(summary=f"reverted to {snapshot.name} (id {snapshot.id})")
        )
    return results


def _goals(contexts: Sequence[Context]) -> tuple[dict[str, tuple[Machine, Snapshot]], dict[str, Result]]:
    """Which snapshot each machine goes back to; and those for which that is not clear."""
    from remediate.adapters.vmware.snapshot import chosen

    goals: dict[str, tuple[Machine, Snapshot]] = {}
    results: dict[str, Result] = {}
    seen = read_many(contexts)
    for context in contexts:
        machine = seen[context.target.name]
        try:
            if isinstance(machine, StepFailed):
                raise machine
            goals[context.target.name] = (machine, chosen(context, machine))
        except StepFailed as error:
            results[context.target.name] = failed(error)
    return goals, results


def _tasks(
    step: VmSnapshot, vcenter: VCenter, starts: Mapping[str, Callable[[], vim.Task]], deadline: float
) -> dict[str, Ended]:
    from remediate.adapters.vmware.tasks import Job, Limits, perform

    jobs = [Job(name, start) for name, start in starts.items()]
    return perform(vcenter, jobs, max(1.0, deadline - time.monotonic()), Limits(step.together))


def _reverting(vcenter: VCenter, snapshot: Snapshot) -> Callable[[], vim.Task]:
    from pyVmomi import vim

    there = vcenter.reference(vim.vm.Snapshot, snapshot.moref)
    return lambda: there.RevertToSnapshot_Task(host=None, suppressPowerOn=False)


def _power_back(
    step: VmSnapshot, vcenter: VCenter, contexts: Sequence[Context], deadline: float
) -> dict[str, Result]:
    """A snapshot without memory leaves the machine off: whatever ran is switched on again."""
    from pyVmomi import vim

    starts: dict[str, Callable[[], vim.Task]] = {}
    results: dict[str, Result] = {}
    seen = read_many(contexts) if contexts else {}
    for context in contexts:
        name, machine = context.target.name, seen[context.target.name]
        wanted = context.data.get("power", context.before.get(POWER))
        if isinstance(machine, StepFailed):
            results[name] = failed(machine)
        elif wanted != machine.power and wanted in (Power.ON, Power.OFF):
            there = vcenter.reference(vim.VirtualMachine, machine.moref)
            starts[name] = there.PowerOnVM_Task if wanted == Power.ON else there.PowerOffVM_Task
    ended = _tasks(step, vcenter, starts, deadline)
    what = "reverted, but its power state is not as before"
    return results | {n: not_done(e, what) for n, e in ended.items() if e.end is not End.DONE}


def _wait_for_guests(contexts: Sequence[Context], deadline: float) -> dict[str, Result]:
    """Those guests that ran Tools and do not answer again before the deadline."""
    waiting = [c for c in contexts if c.data.get("tools") and c.data.get("power") == Power.ON]
    while waiting:
        seen = read_many(waiting)
        waiting = [c for c in waiting if not _answers(seen[c.target.name])]
        if time.monotonic() > deadline:
            break
        if waiting:
            time.sleep(_POLL)
    silent = StepFailed("reverted, but the guest does not answer: no VMware Tools, or no address")
    return {c.target.name: failed(silent) for c in waiting}


def _answers(machine: Machine | StepFailed) -> bool:
    return isinstance(machine, Machine) and machine.answers
