"""Deletes our own snapshots: never their children, and the disks are merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from remediate.adapters.vmware.step import not_done
from remediate.adapters.vmware.values import End, Snapshot
from remediate.model.step import Result

if TYPE_CHECKING:
    from pyVmomi import vim

    from remediate.adapters.vmware.session import VCenter

#: Merging a large disk takes its time.
_SECONDS = 3600.0
#: And it is work for the storage.
_TOGETHER = 4


def remove(vcenter: VCenter, chosen: Mapping[str, tuple[str, Snapshot]]) -> dict[str, Result]:
    """Delete snapshots, each with the moref of its machine; by the caller's names, what became of each."""
    from pyVmomi import vim

    from remediate.adapters.vmware.collect import bulk
    from remediate.adapters.vmware.tasks import Job, Limits, perform

    def start(snapshot: Snapshot) -> Callable[[], vim.Task]:
        there = vcenter.reference(vim.vm.Snapshot, snapshot.moref)
        return lambda: there.RemoveSnapshot_Task(removeChildren=False, consolidate=True)

    jobs = [Job(name, start(snapshot)) for name, (_, snapshot) in chosen.items()]
    ended = perform(vcenter, jobs, _SECONDS, Limits(_TOGETHER))
    machines = [vcenter.reference(vim.VirtualMachine, moref) for moref in {m for m, _ in chosen.values()}]
    path = "runtime.consolidationNeeded"
    after = bulk(vcenter, vim.VirtualMachine, machines, [path])
    results: dict[str, Result] = {}
    for name, (moref, snapshot) in chosen.items():
        if ended[name].end is not End.DONE:
            results[name] = not_done(ended[name], f"{snapshot.name} is not deleted")
            continue
        rest = "; its disks still need consolidation" if after[moref][1].get(path) else ""
        results[name] = Result(summary=f"{snapshot.name} is deleted{rest}")
    return results
