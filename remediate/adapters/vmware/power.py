"""A virtual machine switched on or off, or restarted."""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from remediate.adapters.vmware.client import SDKS, connect, guest_changed
from remediate.adapters.vmware.step import POWER, planning, quiet, read, run_task
from remediate.adapters.vmware.values import Machine, Power
from remediate.errors import StepFailed
from remediate.model.base import Duration, State
from remediate.model.step import CheckResult, Context, Estimate, Probe, Result, Step, StepClass, Verdict

_POLL = 0.5


class VmPower(Step):
    """The target's virtual machine on, off, or reset (restarted as by its button).

    ``off`` asks the guest to shut down, and fails if it has not within ``wait``; ``guest_shutdown=False``
    switches it off as a power cut does. After ``on`` and ``reset``, a guest that has VMware Tools is waited
    for as long, unless ``wait`` is 0.
    """

    kind: ClassVar[str] = "vm-power"
    # Each of them done twice leaves what it leaves when done once.
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    default_estimate: ClassVar[Estimate] = Estimate(apply=60.0, verify=5.0, undo=60.0)
    sdks: ClassVar[tuple[str, ...]] = SDKS

    state: Literal["on", "off", "reset"]
    guest_shutdown: bool = True
    wait: Duration = 300.0

    def title(self) -> str:
        """One line."""
        words = {"on": "switch {} on", "off": "switch {} off", "reset": "reset {}"}
        if self.state == "off" and self.guest_shutdown:
            return "shut the guest down, and switch the virtual machine off"
        return words[self.state].format("the virtual machine")

    @property
    def undoable(self) -> bool:
        """The power state of before is enough to go back."""
        return True

    @property
    def _goal(self) -> Power:
        return Power.OFF if self.state == "off" else Power.ON

    def observe(self, context: Context) -> State:
        """The power state. While planning, a shutdown that the guest could not be asked for is refused."""
        machine = read(context)
        if planning(context):
            self._refuse(machine)
        return {POWER: machine.power.value}

    def _refuse(self, machine: Machine) -> None:
        if machine.power is Power.SUSPENDED:
            raise StepFailed(
                f"{machine.name} is suspended, and a rollback could not put that back",
                "resume it, or switch it off",
            )
        asked = self.guest_shutdown and self.state == "off"
        if asked and machine.power is Power.ON and not machine.tools:
            raise StepFailed(f"{machine.name}: {_NO_TOOLS}", _NO_TOOLS_ADVICE)

    def apply(self, context: Context) -> Result:
        """Do it, if it is not so already."""
        machine = read(context)
        if self.state == "reset":
            if machine.power is not Power.ON:
                raise StepFailed(f"{machine.name} is {machine.power}, so there is nothing to reset")
            run_task(context, machine, "ResetVM_Task")
            guest_changed(context)
            await_guest(context, machine, self.wait)
            return Result(summary=f"{machine.name} was reset")
        return switch(context, machine, self._goal, self.wait, self.guest_shutdown)

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """Read again."""
        now = read(context).power
        return (CheckResult(title="power state", ok=now is self._goal, expected=self._goal, actual=now),)

    def quiesce(self, context: Context) -> bool:
        """Whether no task is at work on the machine."""
        return quiet(context)

    def probe(self, context: Context) -> Probe:
        """By state. Whether a reset was done can't be seen: it is done again."""
        now = read(context).power
        if self.state == "reset" or now is not self._goal:
            return Probe(verdict=Verdict.NOT_APPLIED, evidence=f"the machine is {now}")
        return Probe(verdict=Verdict.APPLIED, evidence=f"the machine is {now}")

    def undo(self, context: Context) -> Result:
        """Back to the power state of before."""
        before = context.before.get(POWER)
        machine = read(context)
        if before not in (Power.ON, Power.OFF) or machine.power == before:
            return Result(changed=False, summary=f"the machine is {machine.power}, as it was")
        return switch(context, machine, Power(str(before)), self.wait, self.guest_shutdown)


_NO_TOOLS = "VMware Tools do not run, so the guest can't be asked to shut down"
_NO_TOOLS_ADVICE = "start them, or say guest_shutdown=False"


def switch(context: Context, machine: Machine, goal: Power, wait: float, guest_shutdown: bool) -> Result:
    """Bring the machine to this power state, and wait until it is.

    Raises:
        StepFailed: it is not, and nothing more comes of it; the reason says why.
        InDoubt: nobody knows.
    """
    if machine.power is goal:
        return Result(changed=False, summary=f"{machine.name} was {goal} already")
    if goal is Power.ON:
        run_task(context, machine, "PowerOnVM_Task")
        await_guest(context, machine, wait)
    elif guest_shutdown:
        _shut_down(context, machine, wait)
    else:
        run_task(context, machine, "PowerOffVM_Task")
    guest_changed(context)
    return Result(summary=f"{machine.name} is {goal}")


def _shut_down(context: Context, machine: Machine, wait: float) -> None:
    from pyVmomi import vim

    if not machine.tools:
        raise StepFailed(f"{machine.name}: {_NO_TOOLS}", _NO_TOOLS_ADVICE)
    vcenter = connect(context)
    vcenter.fire(vcenter.reference(vim.VirtualMachine, machine.moref).ShutdownGuest)
    deadline = time.monotonic() + min(wait, context.timeout)
    while read(context).power is not Power.OFF:
        if time.monotonic() > deadline:
            raise StepFailed(
                f"{machine.name}: the guest has not shut down within {wait:g} s",
                "look at its console; guest_shutdown=False switches it off hard",
            )
        time.sleep(_POLL)


def await_guest(context: Context, before: Machine, wait: float) -> None:
    """Wait until the guest answers through VMware Tools, if it has them and ``wait`` is not 0.

    Raises:
        StepFailed: it does not within ``wait`` seconds.
    """
    if not (before.tools_installed and wait):
        return
    deadline = time.monotonic() + min(wait, context.timeout)
    while not (machine := read(context)).answers:
        if time.monotonic() > deadline:
            raise StepFailed(f"{machine.name}: the guest does not answer within {wait:g} s of its start")
        time.sleep(_POLL)
