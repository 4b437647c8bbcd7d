"""May a snapshot of this machine be taken, and could it be used? All reasons against it, as words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from remediate.adapters.vmware.values import Datastore, Machine, Power
from remediate.model.base import duration_text

if TYPE_CHECKING:
    from remediate.adapters.vmware.session import VCenter

#: vSphere's own limit of a chain; see VMware KB 1025279, which also advises at most 2 or 3, and 72 hours.
HARD_DEPTH = 32
GIB = 1 << 30
HEADROOM = re.compile(r"^(\d+(?:\.\d+)?) ?(%|GiB)$")
#: What taking, using and deleting a snapshot needs.
PRIVILEGES = (
    "VirtualMachine.State.CreateSnapshot",
    "VirtualMachine.State.RevertToSnapshot",
    "VirtualMachine.State.RemoveSnapshot",
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Interact.PowerOff",
)
_METHODS = ("CreateSnapshot_Task", "RevertToSnapshot_Task", "RemoveSnapshot_Task")


@dataclass(frozen=True, slots=True)
class Rules:
    """What is too much. ``oldest`` is in seconds, ``headroom`` ``"20%"`` or ``"50 GiB"``."""

    depth: int
    oldest: float
    headroom: str
    quiesce: bool
    """Whether a snapshot that is not quiesced would be no backup."""


def reasons(machine: Machine, rules: Rules, now: datetime) -> list[str]:
    """Why this machine gets no snapshot, each with what to do; empty if it may."""
    return [
        *_state(machine, rules),
        *_chain(machine, rules, now),
        *_disks(machine),
        *(r for d in machine.datastores if (r := _room(d, rules.headroom))),
    ]


def _state(machine: Machine, rules: Rules) -> Iterator[str]:
    if machine.template:
        yield "it is a template: convert it to a virtual machine"
    if machine.power is Power.SUSPENDED:
        yield "it is suspended, and a rollback could not put that back: resume it, or power it off"
    if machine.consolidation:
        yield "its disks need consolidation: consolidate them first (Snapshots > Consolidate)"
    # A method is also disabled where the machine's state has no use for it: nothing to revert to or delete.
    wanted = _METHODS if machine.snapshots else _METHODS[:1]
    if disabled := [m.removesuffix("_Task") for m in wanted if m in machine.disabled]:
        yield f"vCenter has disabled {', '.join(disabled)} on it: find out who did"
    if rules.quiesce and machine.power is Power.ON and not machine.tools:
        yield 'VMware Tools do not run, so it can\'t be quiesced: start them, or say quiesced="prefer"'


def _chain(machine: Machine, rules: Rules, now: datetime) -> Iterator[str]:
    limit = min(rules.depth, HARD_DEPTH)
    if machine.depth >= limit:
        yield (
            f"it runs on a chain of {machine.depth} snapshots already, and {limit} is the limit: "
            "delete old ones"
        )
    oldest = min(machine.snapshots, key=lambda s: s.created, default=None)
    if oldest is not None and now - oldest.created > timedelta(seconds=rules.oldest):
        age = duration_text((now - oldest.created).total_seconds())
        yield (
            f"its snapshot {oldest.name!r} is {age} old, and {duration_text(rules.oldest)} is the limit: "
            "delete it"
        )


def _disks(machine: Machine) -> Iterator[str]:
    for disk in machine.disks:
        if disk.raw_physical:
            yield f"{disk.label} is a raw device in physical mode, which no snapshot holds"
        elif disk.independent:
            yield f"{disk.label} is independent, so no snapshot holds it: make it dependent"
        elif disk.shared:
            yield f"{disk.label} is shared with other machines, which a snapshot does not allow"


def _room(store: Datastore, headroom: str) -> str:
    match = HEADROOM.match(headroom)
    if match is None:
        return f"headroom {headroom!r} is neither a percentage nor GiB"
    number, unit = float(match[1]), match[2]
    needed = store.capacity * number / 100 if unit == "%" else number * GIB
    if store.free >= needed:
        return ""
    return (
        f"datastore {store.name} has {store.free / GIB:.1f} GiB free of {store.capacity / GIB:.1f}, "
        f"and {needed / GIB:.1f} must be: free some, or lower headroom"
    )


def missing_privileges(vcenter: VCenter, machines: Sequence[Machine]) -> dict[str, list[str]]:
    """By machine moref, what this session's user may not do."""
    from pyVmomi import vim

    entities: list[Any] = [vcenter.reference(vim.VirtualMachine, m.moref) for m in machines]
    manager = vcenter.content.authorizationManager
    key = vcenter.session_key
    answers = vcenter.read(
        lambda: manager.HasPrivilegeOnEntities(entity=entities, sessionId=key, privId=list(PRIVILEGES))
    )
    granted = {a.entity._moId: {p.privId for p in a.privAvailability if p.isGranted} for a in answers}
    return {m.moref: [p for p in PRIVILEGES if p not in granted.get(m.moref, ())] for m in machines}
