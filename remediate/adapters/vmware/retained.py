"""All snapshots of ours that a vCenter still has, on whichever machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pyVmomi import vim

from remediate.adapters.vmware import collect
from remediate.adapters.vmware.names import Owner, owner
from remediate.adapters.vmware.session import VCenter
from remediate.adapters.vmware.values import Snapshot

_PATHS = ["name", "snapshot", "layoutEx"]


@dataclass(frozen=True, slots=True)
class Retained:
    """One of our snapshots. ``size`` is in bytes, None where vCenter doesn't tell."""

    machine: str
    moref: str
    """The machine's."""
    snapshot: Snapshot
    owner: Owner
    size: int | None


def retained(vcenter: VCenter) -> list[Retained]:
    """By machine, then from the root of its tree.

    Raises:
        Unreachable: no answer.
        Rejected: the user may not list machines.
    """
    views = vcenter.content.viewManager
    view: Any = vcenter.read(
        lambda: views.CreateContainerView(vcenter.content.rootFolder, [vim.VirtualMachine], recursive=True)
    )
    try:
        found = collect.bulk(vcenter, vim.VirtualMachine, vcenter.read(lambda: view.view), _PATHS)
    finally:
        vcenter.read(view.Destroy)
    return [r for moref, (_, p) in found.items() for r in _of(moref, p)]


def _of(moref: str, properties: Mapping[str, Any]) -> list[Retained]:
    layout = properties.get("layoutEx")
    return [
        Retained(properties.get("name", moref), moref, snapshot, whose, _size(layout, snapshot.moref))
        for snapshot in collect.snapshots(properties.get("snapshot"))
        if (whose := owner(snapshot.name)) is not None
    ]


def _size(layout: Any, moref: str) -> int | None:
    """Bytes that were written since: the disk files right above those that the snapshot keeps."""
    kept = next((s for s in (layout.snapshot if layout else ()) if s.key._moId == moref), None)
    if kept is None:
        return None
    sizes = {f.key: f.size for f in layout.file}
    last = {d.key: set(d.chain[-1].fileKey) for d in kept.disk if d.chain}
    above = [key for d in layout.disk for key in _next(d.chain, last.get(d.key, set()))]
    return sum(sizes.get(key, 0) for key in above) if above else None


def _next(chain: Sequence[Any], keys: set[int]) -> Sequence[int]:
    for lower, upper in pairwise(chain):
        if keys & set(lower.fileKey):
            return list(upper.fileKey)
    return ()
