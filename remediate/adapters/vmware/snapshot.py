"""The snapshot guard: one snapshot of each virtual machine before the first change, and the revert to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from remediate.adapters.vmware import guard
from remediate.adapters.vmware.client import SDKS, by_vcenter, connect
from remediate.adapters.vmware.names import name_for, ours
from remediate.adapters.vmware.step import HARDWARE, at_work, failed, planning, quiet, read, read_many
from remediate.adapters.vmware.values import Machine, Power, Snapshot
from remediate.errors import StepFailed
from remediate.model.base import Duration, State
from remediate.model.step import (
    BatchStep,
    CheckResult,
    Context,
    Estimate,
    Level,
    Probe,
    Result,
    Role,
    StepClass,
    Verdict,
)

_HOURS = 3600.0


class VmSnapshot(BatchStep):
    """Keep the whole virtual machine as it is now, by a snapshot in its vCenter.

    For ``protect=``. A rollback reverts to exactly this snapshot and puts the power state back. ``quiesced``:
    with ``"prefer"`` a guest that can't be quiesced gets a crash-consistent snapshot, and the result says so.
    With ``memory`` the running state is kept too, which quiesces nothing.
    """

    kind: ClassVar[str] = "vm-snapshot"
    step_class: ClassVar[StepClass] = StepClass.TOKENED
    role: ClassVar[Role] = Role.BACKUP
    level: ClassVar[Level | None] = Level.STORED
    default_estimate: ClassVar[Estimate] = Estimate(apply=60.0, verify=5.0, undo=300.0)
    sdks: ClassVar[tuple[str, ...]] = SDKS

    memory: bool = False
    quiesced: Literal["require", "prefer", "off"] = "prefer"
    depth: int = Field(default=3, ge=1, le=guard.HARD_DEPTH)
    """The longest chain of snapshots, with this one."""
    oldest: Duration = 72 * _HOURS
    """No snapshot of the machine may be older."""
    headroom: str = Field(default="20%", pattern=guard.HEADROOM.pattern)
    """What must be free on each of its datastores: a percentage, or ``"50 GiB"``."""
    together: int = Field(default=32, ge=1)
    """So many snapshots at once in one vCenter."""
    per_datastore: int = Field(default=8, ge=1)
    """So many at once on one datastore."""
    boot: Duration = 300.0
    """How long a reverted guest may take to answer again."""

    @model_validator(mode="after")
    def _one_kind(self) -> VmSnapshot:
        if self.memory and self.quiesced == "require":
            raise ValueError('memory and quiesced="require" exclude each other: leave one out')
        return self

    def title(self) -> str:
        """One line."""
        kinds = {"require": "quiesced", "prefer": "quiesced if possible", "off": "crash-consistent"}
        how = "with memory" if self.memory else kinds[self.quiesced]
        return f"take a snapshot of the virtual machine ({how})"

    @property
    def rules(self) -> guard.Rules:
        """What speaks against a snapshot."""
        return guard.Rules(self.depth, self.oldest, self.headroom, self.quiesced == "require")

    def observe(self, context: Context) -> State:
        """The hardware. While planning, a machine that may get no snapshot is refused.

        Not the power state: a revert that was cut off half-way leaves the machine off, and must be done
        again, not be taken for somebody else's change. `undo_many` itself compares the power state.
        """
        machine = read(context)
        if planning(context):
            against = self._against([machine], context)[machine.moref]
            if work := at_work(context, machine):
                against.append(f"vCenter is at work on it ({', '.join(work)}): wait until that has ended")
            if against:
                raise StepFailed(f"no snapshot of {machine.name}: {'; '.join(against)}")
        return {HARDWARE: machine.hardware}

    def _against(self, machines: Sequence[Machine], context: Context) -> dict[str, list[str]]:
        """By moref, all reasons against a snapshot."""
        now = datetime.now(UTC)
        lacking = guard.missing_privileges(connect(context), machines)
        return {
            m.moref: [
                *(f"the user lacks the privilege {p}: grant it" for p in lacking[m.moref]),
                *guard.reasons(m, self.rules, now),
            ]
            for m in machines
        }

    def apply_many(self, contexts: Sequence[Context]) -> Mapping[str, Result]:
        """One snapshot each. One that an earlier attempt made is adopted: there is never a second one."""
        from remediate.adapters.vmware.create import create

        return _each_vcenter(contexts, lambda group: create(self, group))

    def refused(self, machines: Mapping[str, Machine], context: Context) -> dict[str, Result]:
        """By target name, those machines that may get no snapshot now.

        Their disks are not looked at again: the engine has just compared the hardware.
        """
        against = self._against(list(machines.values()), context) if machines else {}
        return {
            name: failed(StepFailed(f"no snapshot of {m.name}: {'; '.join(against[m.moref])}"))
            for name, m in machines.items()
            if against[m.moref]
        }

    def confirm_many(self, contexts: Sequence[Context]) -> Mapping[str, tuple[CheckResult, ...]]:
        """Read again: there, current, as asked, and the machine runs on as before."""
        found: dict[str, tuple[CheckResult, ...]] = {}
        for group in by_vcenter(contexts):
            seen = read_many(group)
            found |= {c.target.name: (self._check(c, seen[c.target.name]),) for c in group}
        return found

    def _check(self, context: Context, machine: Machine | StepFailed) -> CheckResult:
        title, expected = "the snapshot is whole", "current, as asked for, power state unchanged"
        if isinstance(machine, StepFailed):
            return CheckResult(title=title, ok=False, expected=expected, actual=machine.problem)
        wrong = []
        try:
            snapshot = chosen(context, machine)
        except StepFailed as error:
            return CheckResult(title=title, ok=False, expected=expected, actual=error.problem)
        if machine.current != snapshot.moref:
            wrong.append("the machine does not run on top of it")
        if self.quiesced == "require" and machine.power is Power.ON and not snapshot.quiesced:
            wrong.append("it is not quiesced")
        if (before := context.data.get("power", machine.power)) != machine.power:
            wrong.append(f"the machine was {before} and is {machine.power}")
        quiesced = "quiesced" if snapshot.quiesced else "not quiesced"
        actual = "; ".join(wrong) or f"{snapshot.name}, {quiesced}, machine {machine.power}"
        return CheckResult(title=title, ok=not wrong, expected=expected, actual=actual)

    def quiesce(self, context: Context) -> bool:
        """Whether no task is at work on the machine."""
        return quiet(context)

    def probe(self, context: Context) -> Probe:
        """By name: each attempt of this step uses the same one."""
        machine = read(context)
        name = name_for(context.token, context.target.name)
        found = ours(machine, name)
        if len(found) == 1:
            return Probe(verdict=Verdict.APPLIED, evidence=f"snapshot {name} (id {found[0].id}) is there")
        if found:
            return Probe(verdict=Verdict.UNKNOWN, evidence=f"{len(found)} snapshots are named {name}")
        return Probe(verdict=Verdict.NOT_APPLIED, evidence=f"no snapshot {name}, and no task is at work")

    def undo_many(self, contexts: Sequence[Context]) -> Mapping[str, Result]:
        """Revert to exactly our snapshot, put the power state back, wait for the guest.

        vCenter's "success" proves nothing: power is read back here, the engine compares the hardware, and in
        the end all facts of the steps that this protected, read from the guest itself.
        """
        from remediate.adapters.vmware.revert import revert

        return _each_vcenter(contexts, lambda group: revert(self, group))

    def release(self, context: Context) -> Result:
        """Delete our snapshot, and nothing else; what its disks hold is merged."""
        from remediate.adapters.vmware.remove import remove

        machine = read(context)
        name = name_for(context.token, context.target.name)
        if not ours(machine, name):
            return Result(changed=False, summary="nothing was kept")
        return remove(connect(context), {name: (machine.moref, chosen(context, machine))})[name]


def chosen(context: Context, machine: Machine) -> Snapshot:
    """Our one snapshot of this machine: its name matches, and moref and id are those that were noted.

    An attempt whose reply was lost noted nothing; then the name alone tells, which no other run uses.

    Raises:
        StepFailed: there is none, more than one, or another one by that name.
    """
    name = name_for(context.token, context.target.name)
    found = ours(machine, name)
    if len(found) != 1:
        many = f"{len(found)} snapshots are" if found else "no snapshot is"
        raise StepFailed(
            f"{machine.name}: {many} named {name}", "find out in vCenter's events who made or deleted it"
        )
    snapshot = found[0]
    noted = (context.data.get("moref", snapshot.moref), context.data.get("id", snapshot.id))
    if noted != (snapshot.moref, snapshot.id):
        raise StepFailed(
            f"{machine.name}: the snapshot {name} is not the one that this run took "
            f"({snapshot.moref} with id {snapshot.id}, not {noted[0]} with id {noted[1]})",
            "find out in vCenter's events who made it",
        )
    return snapshot


def _each_vcenter(
    contexts: Sequence[Context], work: Callable[[Sequence[Context]], Mapping[str, Result]]
) -> dict[str, Result]:
    """The work on each vCenter's targets, side by side; what fails on one is no matter of the others."""
    from concurrent.futures import ThreadPoolExecutor

    def one(group: Sequence[Context]) -> Mapping[str, Result]:
        try:
            return work(group)
        except StepFailed as error:
            return {c.target.name: failed(error) for c in group}

    groups = by_vcenter(contexts)
    with ThreadPoolExecutor(len(groups)) as pool:
        found: dict[str, Result] = {}
        for part in pool.map(one, groups):
            found.update(part)
        return found
