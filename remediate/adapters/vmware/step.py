"""What the steps of this folder share: facts, the read of many machines, quiet."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from remediate.adapters.vmware.access import instance_uuid
from remediate.adapters.vmware.client import connect
from remediate.adapters.vmware.errors import Rejected
from remediate.adapters.vmware.values import End, Ended, Machine
from remediate.errors import InDoubt, StepFailed
from remediate.model.step import Context, Result, Status

POWER = "vm:power"
HARDWARE = "vm:hardware"

_STATUS = {End.DONE: Status.OK, End.FAILED: Status.FAILED, End.DOUBT: Status.IN_DOUBT}


def read(context: Context) -> Machine:
    """The target's machine as it is now.

    Raises:
        StepFailed: it can't be read, or there is not exactly one.
    """
    from remediate.adapters.vmware import collect

    return collect.machine(connect(context), instance_uuid(context.target))


def read_many(contexts: Sequence[Context]) -> dict[str, Machine | StepFailed]:
    """By target name, the machines of one vCenter in one read, without their hardware."""
    from remediate.adapters.vmware import collect

    found: dict[str, Machine | StepFailed] = {}
    uuids: dict[str, str] = {}
    for context in contexts:
        try:
            uuids[context.target.name] = instance_uuid(context.target)
        except StepFailed as error:
            found[context.target.name] = error
    if uuids:
        seen = collect.machines(connect(contexts[0]), list(uuids.values()), hardware=False)
        found |= {name: seen[uuid] for name, uuid in uuids.items()}
    return found


def planning(context: Context) -> bool:
    """Whether a plan is being made. What speaks against a step must refuse the plan; later on, it must not
    keep a target from being read: so then it is told by the step's `apply`."""
    return context.token.run.startswith("plan-")


def quiet(context: Context) -> bool:
    """Whether no task is at work on the machine."""
    return not at_work(context, read(context))


def at_work(context: Context, machine: Machine) -> list[str]:
    """What tasks do that are at work on the machine, such as ``createSnapshot``."""
    from remediate.adapters.vmware import tasks

    return tasks.at_work(connect(context), machine.tasks)


def run_task(context: Context, machine: Machine, method: str, **arguments: Any) -> None:
    """Start one task of this machine, and wait until it has succeeded.

    Raises:
        StepFailed: it failed, or nothing was sent.
        InDoubt: nobody knows whether it was begun, or it goes on.
    """
    from pyVmomi import vim

    from remediate.adapters.vmware.tasks import Job, perform

    vcenter = connect(context)
    there = vcenter.reference(vim.VirtualMachine, machine.moref)
    job = Job(machine.name, partial(getattr(there, method), **arguments))
    ended = perform(vcenter, [job], context.timeout)[machine.name]
    words = f"{machine.name}: {method.removesuffix('_Task')}: {ended.words}"
    if ended.end is End.FAILED:
        raise Rejected(words, fault=ended.fault)
    if ended.end is End.DOUBT:
        raise InDoubt(words)


def failed(error: StepFailed) -> Result:
    """The result of a target for which nothing was done."""
    advice = f" ({error.advice})" if error.advice else ""
    return Result(status=Status.FAILED, changed=False, summary=f"{error.problem}{advice}")


def not_done(ended: Ended, what: str) -> Result:
    """The result of a task that did not succeed."""
    return Result(status=_STATUS[ended.end], summary=f"{what}: {ended.words}")
