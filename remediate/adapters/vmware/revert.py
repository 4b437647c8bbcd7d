"""Reverts many machines of one vCenter to our snapshots, puts their power back, and waits for the guests."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remediate.adapters.vmware.client import connect, guest_changed
from remediate.adapters.vmware.names import state_in
from remediate.adapters.vmware.step import failed, not_done, read_many
from remediate.adapters.vmware.values import End, Ended, Machine, Power, Snapshot
from remediate.errors import StepFailed
from remediate.model.step import Context, Result

if TYPE_CHECKING:
    from pyVmomi import vim

    from remediate.adapters.vmware.session import VCenter
    from remediate.adapters.vmware.snapshot import VmSnapshot

_POLL = 0.2
#: So long what vCenter shows may lag behind what it did.
_SETTLE = 10.0
_NOT_AS_BEFORE = "reverted, but its power state is not as before"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a machine goes back to."""

    snapshot: Snapshot
    power: Power
    guest: bool
    """Whether a guest with VMware Tools has to answer again."""


def revert(step: VmSnapshot, contexts: Sequence[Context]) -> dict[str, Result]:
    """By target name, what became of each.

    Raises:
        StepFailed: the machines can't be read; nothing was done.
    """
    deadline = time.monotonic() + min(c.timeout for c in contexts)
    goals, results = _goals(contexts)
    vcenter = connect(contexts[0])
    ended = _tasks(step, vcenter, {n: _reverting(vcenter, g.snapshot) for n, g in goals.items()}, deadline)
    results |= {n: not_done(e, "not reverted") for n, e in ended.items() if e.end is not End.DONE}
    for context in (c for c in contexts if c.target.name in goals):
        guest_changed(context)
    left = [c for c in contexts if c.target.name not in results]
    results |= _power_back(step, vcenter, left, goals, deadline)
    left = [c for c in left if c.target.name not in results]
    results |= _wait_for_guests(left, goals, min(deadline, time.monotonic() + step.boot))
    for name in (c.target.name for c in left if c.target.name not in results):
        snapshot = goals[name].snapshot
        results[name] = Result(summary=f"reverted to {snapshot.name} (id {snapshot.id})")
    return results


def _goals(contexts: Sequence[Context]) -> tuple[dict[str, Goal], dict[str, Result]]:
    """Where each machine goes back to; and those for which that is not clear."""
    goals: dict[str, Goal] = {}
    results: dict[str, Result] = {}
    seen = read_many(contexts)
    for context in contexts:
        machine = seen[context.target.name]
        try:
            if isinstance(machine, StepFailed):
                raise machine
            goals[context.target.name] = _goal(context, machine)
        except StepFailed as error:
            results[context.target.name] = failed(error)
    return goals, results


def _goal(context: Context, machine: Machine) -> Goal:
    from remediate.adapters.vmware.snapshot import chosen

    snapshot = chosen(context, machine)
    taken = state_in(snapshot.description)
    if taken is None:
        raise StepFailed(
            f"{machine.name}: the description of {snapshot.name} doesn't say whether the machine ran",
            "revert to it by hand, and put the power state back",
        )
    power, tools = taken
    return Goal(snapshot, power, tools and power is Power.ON)


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
    step: VmSnapshot,
    vcenter: VCenter,
    contexts: Sequence[Context],
    goals: Mapping[str, Goal],
    deadline: float,
) -> dict[str, Result]:
    """A snapshot without memory leaves the machine off: whatever ran is switched on again.

    Returns:
        those whose power is not as it was when the snapshot was taken.
    """
    results: dict[str, Result] = {}
    settled = time.monotonic() + _SETTLE
    while True:
        seen = _read([c for c in contexts if c.target.name not in results])
        results |= {n: failed(m) for n, m in seen.items() if isinstance(m, StepFailed)}
        wrong = {n: m for n, m in seen.items() if isinstance(m, Machine) and m.power is not goals[n].power}
        if not wrong or time.monotonic() > settled:
            break
        starts = {n: _switching(vcenter, m, goals[n].power) for n, m in wrong.items()}
        ended = _tasks(step, vcenter, starts, deadline)
        # Switched meanwhile: what vCenter showed was not its newest. The next look tells.
        bad = {n: e for n, e in ended.items() if e.end is not End.DONE and e.fault != "InvalidPowerState"}
        results |= {n: not_done(e, _NOT_AS_BEFORE) for n, e in bad.items()}
        time.sleep(_POLL)
    for name, machine in wrong.items():
        why = StepFailed(f"{_NOT_AS_BEFORE}: {machine.power}, not {goals[name].power}")
        results[name] = failed(why)
    return results


def _switching(vcenter: VCenter, machine: Machine, power: Power) -> Callable[[], vim.Task]:
    from pyVmomi import vim

    there = vcenter.reference(vim.VirtualMachine, machine.moref)
    method: Callable[[], vim.Task] = there.PowerOnVM_Task if power is Power.ON else there.PowerOffVM_Task
    return method


def _read(contexts: Sequence[Context]) -> dict[str, Machine | StepFailed]:
    return read_many(contexts) if contexts else {}


def _wait_for_guests(
    contexts: Sequence[Context], goals: Mapping[str, Goal], deadline: float
) -> dict[str, Result]:
    """Those guests that ran Tools and do not answer again before the deadline."""
    waiting = [c for c in contexts if goals[c.target.name].guest]
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
