"""A virtual machine's processors, memory and notes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from remediate.adapters.vmware.client import SDKS
from remediate.adapters.vmware.power import switch
from remediate.adapters.vmware.step import HARDWARE, POWER, planning, quiet, read, run_task
from remediate.adapters.vmware.values import Machine, Power
from remediate.errors import StepFailed
from remediate.model.base import Duration, State
from remediate.model.step import CheckResult, Context, Estimate, Probe, Result, Step, StepClass, Verdict

_ADVICE = "say power_cycle=True, or switch it off first"
#: Memory comes in steps of 4 MiB.
_Memory = Annotated[int, Field(ge=4, le=24 << 20, multiple_of=4)]


class VmReconfigure(Step):
    """Processors, memory (MiB) and notes of the target's virtual machine; what is not given stays.

    A machine that runs takes more processors or memory only where hot add is on for it, and gives memory
    never back. Whatever can't be done, or could not be undone, while it runs is refused unless
    ``power_cycle`` allows to shut it down for it; it is switched on again afterwards.
    """

    kind: ClassVar[str] = "vm-reconfigure"
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    default_estimate: ClassVar[Estimate] = Estimate(apply=120.0, verify=5.0, undo=120.0)
    sdks: ClassVar[tuple[str, ...]] = SDKS

    cpus: int | None = Field(default=None, ge=1, le=768)
    memory_mb: _Memory | None = None
    notes: str | None = Field(default=None, max_length=4096)
    power_cycle: bool = False
    guest_shutdown: bool = True
    wait: Duration = 300.0

    @model_validator(mode="after")
    def _something(self) -> VmReconfigure:
        if not self._wanted:
            raise ValueError("nothing to change: give cpus, memory_mb or notes")
        return self

    @property
    def _wanted(self) -> dict[str, Any]:
        given = {"cpus": self.cpus, "memory_mb": self.memory_mb, "notes": self.notes}
        return {key: value for key, value in given.items() if value is not None}

    def title(self) -> str:
        """One line."""
        words = [f"{self.cpus} CPU{'s' * (self.cpus != 1)}"] if self.cpus is not None else []
        words += [f"{self.memory_mb} MiB of memory"] if self.memory_mb is not None else []
        words += ["new notes"] if self.notes is not None else []
        return f"give the virtual machine {' and '.join(words)}"

    @property
    def undoable(self) -> bool:
        """The values of before are enough to go back."""
        return True

    def observe(self, context: Context) -> State:
        """Hardware and power. While planning, what needs a power cycle that is not allowed is refused."""
        machine = read(context)
        if planning(context) and not self.power_cycle:
            back = {key: machine.hardware[key] for key in self._wanted}
            if obstacle := obstacles(machine, self._wanted) or obstacles(machine, back, self._wanted):
                raise StepFailed(f"{machine.name}: {obstacle}", _ADVICE)
        return {HARDWARE: machine.hardware, POWER: machine.power.value}

    def preview(self, context: Context) -> str:
        """Old and new values."""
        now = read(context).hardware
        return "".join(
            f"-{key} = {now[key]}\n+{key} = {value}\n"
            for key, value in self._wanted.items()
            if now[key] != value
        )

    def apply(self, context: Context) -> Result:
        """Set what differs."""
        return self._set(context, self._wanted)

    def _set(self, context: Context, wanted: dict[str, Any]) -> Result:
        machine = read(context)
        differs = {key: value for key, value in wanted.items() if machine.hardware[key] != value}
        obstacle = obstacles(machine, differs)
        if obstacle and not self.power_cycle:
            raise StepFailed(f"{machine.name}: {obstacle}", _ADVICE)
        if obstacle:
            switch(context, machine, Power.OFF, self.wait, self.guest_shutdown)
        if differs:
            run_task(context, machine, "ReconfigVM_Task", spec=_spec(differs))
        cycled = bool(obstacle) or self._was_cut(context, machine)
        if cycled:
            switch(context, read(context), Power.ON, self.wait, self.guest_shutdown)
        values = [f"{k} {machine.hardware[k]} -> {v}" for k, v in differs.items() if k != "notes"]
        done = ", ".join([*values, *(["new notes"] if "notes" in differs else [])])
        if not (differs or cycled):
            return Result(changed=False, summary=f"{machine.name} was so already")
        if not differs:
            done = "switched on again"
        elif cycled:
            done += " (with a power cycle)"
        return Result(changed=True, summary=f"{machine.name}: {done}")

    def _was_cut(self, context: Context, machine: Machine) -> bool:
        """Whether an earlier attempt switched the machine off for this, and ended before it ran again."""
        was_on = context.before.get(POWER) == Power.ON
        return self.power_cycle and was_on and machine.power is Power.OFF

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """Read again, the power state too: a machine that a power cycle left off is not what was wanted."""
        machine = read(context)
        now, power = machine.hardware, context.before.get(POWER, machine.power.value)
        return (
            *(
                CheckResult(
                    title=f"virtual machine's {key}", ok=now[key] == v, expected=str(v), actual=str(now[key])
                )
                for key, v in self._wanted.items()
            ),
            CheckResult(
                title="virtual machine's power",
                ok=machine.power.value == power,
                expected=str(power),
                actual=machine.power.value,
            ),
        )

    def quiesce(self, context: Context) -> bool:
        """Whether no task is at work on the machine."""
        return quiet(context)

    def probe(self, context: Context) -> Probe:
        """By state; all values are set in one task, but the power cycle around it may be cut anywhere."""
        machine = read(context)
        as_wanted = all(machine.hardware[key] == value for key, value in self._wanted.items())
        power_back = machine.power == context.before.get(POWER, machine.power)
        values = ", ".join(f"{key} {machine.hardware[key]}" for key in self._wanted)
        before = context.before.get(HARDWARE)
        old = before if isinstance(before, dict) else {}
        as_before = all(machine.hardware[key] == old.get(key, machine.hardware[key]) for key in self._wanted)
        whole = Verdict.APPLIED if as_wanted else Verdict.NOT_APPLIED if as_before else Verdict.PARTIAL
        return Probe(
            verdict=whole if power_back else Verdict.PARTIAL,
            evidence=f"{values}; the machine is {machine.power}",
        )

    def undo(self, context: Context) -> Result:
        """The values of before."""
        before = context.before.get(HARDWARE)
        if not isinstance(before, dict):
            return Result(changed=False, summary="nothing is known to have been begun")
        return self._set(context, {key: before[key] for key in self._wanted})


def obstacles(machine: Machine, wanted: dict[str, Any], now: dict[str, Any] | None = None) -> str:
    """What can't be set to ``wanted`` while the machine runs (coming from ``now``); empty if all can."""
    if machine.power is not Power.ON:
        return ""
    old = machine.hardware | (now or {})
    found = []
    if (cpus := wanted.get("cpus", old["cpus"])) != old["cpus"]:
        allowed = machine.hot_cpu_add if cpus > old["cpus"] else machine.hot_cpu_remove
        verb = "add" if cpus > old["cpus"] else "remove"
        found += [] if allowed else [f"CPU hot {verb} is off"]
    if (memory := wanted.get("memory_mb", old["memory_mb"])) != old["memory_mb"]:
        if memory < old["memory_mb"]:
            found.append("memory can't be taken away")
        elif not machine.hot_memory_add:
            found.append("memory hot add is off")
    if not found:
        return ""
    return f"from {old['cpus']} CPUs and {old['memory_mb']} MiB while it runs: {' and '.join(found)}"


def _spec(wanted: dict[str, Any]) -> Any:
    from pyVmomi import vim

    names = {"cpus": "numCPUs", "memory_mb": "memoryMB", "notes": "annotation"}
    spec: Any = vim.vm.ConfigSpec
    return spec(**{names[key]: value for key, value in wanted.items()})
