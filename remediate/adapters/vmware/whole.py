"""A whole virtual machine, as its vCenter sees it: power, hardware, snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from remediate.adapters.vmware.power import VmPower
from remediate.adapters.vmware.reconfigure import VmReconfigure
from remediate.adapters.vmware.snapshot import VmSnapshot
from remediate.adapters.vmware.step import read
from remediate.adapters.whole import Looking, WholeReader
from remediate.model.base import State
from remediate.model.step import Context, Step


class WholeMachine(WholeReader):
    """Machines that a plan works on through their vCenter."""

    kind: ClassVar[str] = "vm"

    def applies(self, context: Context, steps: Sequence[Step]) -> bool:  # noqa: ARG002
        """The plan says it; a machine whose vCenter nobody asks is a host like any other."""
        return any(isinstance(s, VmPower | VmReconfigure | VmSnapshot) for s in steps)

    def read(self, context: Context, steps: Sequence[Step], looking: Looking) -> State:  # noqa: ARG002
        """In one read."""
        machine = read(context)
        found: State = {
            "vm:power": machine.power.value,
            "vm:hardware": dict(machine.hardware),
            "vm:current snapshot": machine.current,
        }
        return found | {
            f"vm:snapshot {s.moref}": {"kind": "snapshot", "name": s.name} for s in machine.snapshots
        }
