"""Takes the snapshots of many machines of one vCenter at once, and adopts those that are there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from remediate.adapters.vmware.client import connect
from remediate.adapters.vmware.names import describe, name_for, ours
from remediate.adapters.vmware.step import failed, not_done, read_many
from remediate.adapters.vmware.values import End, Ended, Machine, Power
from remediate.errors import StepFailed
from remediate.model.step import Context, Result

if TYPE_CHECKING:
    from pyVmomi import vim

    from remediate.adapters.vmware.session import VCenter
    from remediate.adapters.vmware.snapshot import VmSnapshot

_QUIESCE_FAULTS = ("ApplicationQuiesceFault", "FilesystemQuiesceFault", "ToolsUnavailable")


def create(step: VmSnapshot, contexts: Sequence[Context]) -> dict[str, Result]:
    """By target name, what became of each.

    Raises:
        StepFailed: the machines can't be read; nothing was done.
    """
    by_name = {c.target.name: c for c in contexts}
    seen = read_many(contexts)
    results = {name: failed(m) for name, m in seen.items() if isinstance(m, StepFailed)}
    machines = {name: m for name, m in seen.items() if isinstance(m, Machine)}
    names = {name: name_for(by_name[name].token, name) for name in machines}
    fresh = {name: m for name, m in machines.items() if not ours(m, names[name])}
    results |= step.refused(fresh, contexts[0])
    new = {name: m for name, m in fresh.items() if name not in results}
    ended, fallen = _take(step, by_name, new)
    results |= {n: not_done(e, "no snapshot") for n, e in ended.items() if e.end is not End.DONE}
    done = [c for c in contexts if c.target.name not in results]
    return results | _results(step, done, machines, fallen)


def _take(
    step: VmSnapshot, contexts: Mapping[str, Context], machines: Mapping[str, Machine]
) -> tuple[dict[str, Ended], dict[str, str]]:
    """How each task ended, and why which ones are crash-consistent though quiesced ones were preferred."""
    if not machines:
        return {}, {}
    vcenter = connect(next(iter(contexts.values())))
    asked = step.quiesced != "off" and not step.memory
    quiesce = {name: asked and m.power is Power.ON for name, m in machines.items()}
    ended = _fire(step, vcenter, contexts, machines, quiesce)
    if step.quiesced != "prefer":
        return ended, {}
    fallen = {n: e.words for n, e in ended.items() if quiesce[n] and e.fault in _QUIESCE_FAULTS}
    if fallen:
        left = {n: machines[n] for n in fallen}
        ended |= _fire(step, vcenter, contexts, left, dict.fromkeys(fallen, False))
    return ended, fallen


def _fire(
    step: VmSnapshot,
    vcenter: VCenter,
    contexts: Mapping[str, Context],
    machines: Mapping[str, Machine],
    quiesce: Mapping[str, bool],
) -> dict[str, Ended]:
    from pyVmomi import vim

    from remediate.adapters.vmware.tasks import Job, Limits, perform

    def start(name: str) -> Callable[[], vim.Task]:
        token = contexts[name].token
        arguments: dict[str, Any] = {
            "name": name_for(token, name),
            "description": describe(token, name, machines[name]),
            "memory": step.memory,
            "quiesce": quiesce[name],
        }
        machine = vcenter.reference(vim.VirtualMachine, machines[name].moref)
        return lambda: machine.CreateSnapshot_Task(**arguments)

    jobs = [
        Job(name, start(name), frozenset(d.moref for d in machine.datastores))
        for name, machine in machines.items()
    ]
    seconds = min(contexts[name].timeout for name in machines)
    return perform(vcenter, jobs, seconds, Limits(step.together, step.per_datastore))


def _results(
    step: VmSnapshot, contexts: Sequence[Context], before: Mapping[str, Machine], fallen: Mapping[str, str]
) -> dict[str, Result]:
    """What is really there, read again: a task's success proves nothing."""
    if not contexts:
        return {}
    seen = read_many(contexts)
    return {
        c.target.name: _result(step, c, before[c.target.name], seen[c.target.name], fallen) for c in contexts
    }


def _result(
    step: VmSnapshot,
    context: Context,
    before: Machine,
    machine: Machine | StepFailed,
    fallen: Mapping[str, str],
) -> Result:
    from remediate.adapters.vmware.snapshot import chosen

    if isinstance(machine, StepFailed):
        return failed(machine)
    try:
        snapshot = chosen(context, machine)
    except StepFailed as error:
        return failed(error)
    wanted = before.power is Power.ON and not step.memory
    if step.quiesced == "require" and wanted and not snapshot.quiesced:
        return failed(StepFailed(f"{machine.name}: snapshot {snapshot.name} is not quiesced, though asked"))
    adopted = any(s.moref == snapshot.moref for s in before.snapshots)
    words = [f"snapshot {snapshot.name} (id {snapshot.id}) of {machine.name}"]
    words += ["made by an earlier attempt"] if adopted else []
    if step.quiesced != "off" and wanted:
        why = fallen.get(context.target.name, "" if machine.tools else "VMware Tools do not run")
        words += ["quiesced"] if snapshot.quiesced else [f"CRASH-CONSISTENT only{': ' * bool(why)}{why}"]
    return Result(
        changed=False,
        summary=", ".join(words),
        data={
            "moref": snapshot.moref,
            "id": snapshot.id,
            "name": snapshot.name,
            "quiesced": snapshot.quiesced,
            "power": before.power.value,
        },
    )
