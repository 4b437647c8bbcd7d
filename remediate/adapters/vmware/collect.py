"""Reads virtual machines: found by instance UUID, then all of them in one call of the property collector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from pyVmomi import vim, vmodl

from remediate.adapters.vmware.errors import Rejected
from remediate.adapters.vmware.hardware import disks, fingerprint
from remediate.adapters.vmware.session import VCenter
from remediate.adapters.vmware.values import Datastore, Machine, Power, Snapshot
from remediate.errors import StepFailed

_STATE = (
    "name runtime.powerState runtime.consolidationNeeded guest.toolsRunningStatus guest.toolsVersionStatus2 "
    "guest.hostName guest.ipAddress snapshot disabledMethod datastore recentTask config.template"
).split()
_HARDWARE = (
    "config.hardware config.annotation config.uuid config.instanceUuid config.guestId config.version "
    "config.extraConfig config.cpuHotAddEnabled config.cpuHotRemoveEnabled config.memoryHotAddEnabled"
).split()
_DATASTORE = ["name", "summary.capacity", "summary.freeSpace"]
_POWER = {"poweredOn": Power.ON, "poweredOff": Power.OFF, "suspended": Power.SUSPENDED}
_NO_TOOLS = (None, "", "guestToolsNotInstalled")
Properties = dict[str, Any]
#: The collector's data types; pyvmomi's constructors have no types.
QUERY: Any = vmodl.query.PropertyCollector


def machines(
    vcenter: VCenter, uuids: Sequence[str], hardware: bool = True
) -> dict[str, Machine | StepFailed]:
    """By instance UUID, each machine or the reason why there is none.

    Args:
        hardware: also read hardware and disks, which is most of the work.

    Raises:
        Unreachable: no answer.
        Rejected: vCenter does not let this user read.
    """
    found = {u: find(vcenter, u) for u in uuids}
    try:
        seen = _read(vcenter, found.values(), hardware)
    except Rejected as error:
        if error.fault != "ManagedObjectNotFound":
            raise
        # One of them is gone since it was found: which one, only finding them anew can tell.
        vcenter.uuids.clear()
        found = {u: find(vcenter, u) for u in uuids}
        seen = _read(vcenter, found.values(), hardware)
    stores = _datastores(vcenter, seen.values())
    return {u: _seen(vcenter, m, seen, stores) for u, m in found.items()}


def _seen(
    vcenter: VCenter,
    found: vim.VirtualMachine | StepFailed,
    seen: Mapping[str, Properties],
    stores: Mapping[str, Datastore],
) -> Machine | StepFailed:
    if isinstance(found, StepFailed):
        return found
    if found._moId not in seen:
        return StepFailed(f"vCenter {vcenter.name} says nothing about {found._moId}", "ask again")
    return _machine(found._moId, seen[found._moId], stores)


def machine(vcenter: VCenter, uuid: str) -> Machine:
    """One machine.

    Raises:
        StepFailed: there is none, or more than one, with this instance UUID; or it can't be read.
    """
    found = machines(vcenter, [uuid])[uuid]
    if isinstance(found, StepFailed):
        raise found
    return found


def find(vcenter: VCenter, uuid: str) -> vim.VirtualMachine | StepFailed:
    """The machine with this instance UUID, or why it is not clear which one that is."""
    if uuid in vcenter.uuids:
        return vcenter.uuids[uuid]
    index = vcenter.content.searchIndex
    matches = vcenter.read(
        lambda: index.FindAllByUuid(datacenter=None, uuid=uuid, vmSearch=True, instanceUuid=True)
    )
    if len(matches) != 1:
        many = f"{len(matches)} virtual machines" if matches else "no virtual machine"
        return StepFailed(
            f"vCenter {vcenter.name} has {many} with instance UUID {uuid}",
            "set vm_instance_uuid to the config.instanceUuid of exactly one virtual machine",
        )
    only = matches[0]
    if not isinstance(only, vim.VirtualMachine):
        return StepFailed(f"vCenter {vcenter.name}: {uuid} is no virtual machine")
    vcenter.uuids[uuid] = only
    return only


def bulk(
    vcenter: VCenter, kind: type, objects: Iterable[Any], paths: Sequence[str]
) -> dict[str, tuple[Any, Properties]]:
    """Properties of many objects of one kind in one call: by moref, the object and what is set of it."""
    chosen = list(objects)
    if not chosen:
        return {}
    collector = vcenter.content.propertyCollector
    spec = QUERY.FilterSpec(
        objectSet=[QUERY.ObjectSpec(obj=o) for o in chosen],
        propSet=[QUERY.PropertySpec(type=kind, pathSet=list(paths))],
    )
    page = vcenter.read(lambda: _whole(collector.RetrievePropertiesEx([spec], QUERY.RetrieveOptions())))
    found: dict[str, tuple[Any, Properties]] = {}
    while page is not None:
        for content in page.objects:
            found[content.obj._moId] = (content.obj, {p.name: p.val for p in content.propSet})
        if not (token := page.token):
            break
        page = vcenter.read(partial(_next_page, collector, token))
    return found


def _next_page(collector: Any, token: str) -> Any:
    return _whole(collector.ContinueRetrievePropertiesEx(token))


def _whole(page: Any) -> Any:
    """The page, unless the session ended: vCenter says so only beside each property that it leaves out."""
    for content in page.objects if page is not None else ():
        for missing in content.missingSet:
            if isinstance(missing.fault, vim.fault.NotAuthenticated):
                raise missing.fault
    return page


def _read(
    vcenter: VCenter, found: Iterable[vim.VirtualMachine | StepFailed], hardware: bool
) -> dict[str, Properties]:
    there = [m for m in found if isinstance(m, vim.VirtualMachine)]
    paths = [*_STATE, *_HARDWARE] if hardware else _STATE
    return {moref: p for moref, (_, p) in bulk(vcenter, vim.VirtualMachine, there, paths).items()}


def _datastores(vcenter: VCenter, seen: Iterable[Properties]) -> dict[str, Datastore]:
    stores = {s._moId: s for p in seen for s in p.get("datastore", ())}
    return {
        moref: Datastore(
            moref, p.get("name", moref), p.get("summary.capacity", 0), p.get("summary.freeSpace", 0)
        )
        for moref, (_, p) in bulk(vcenter, vim.Datastore, stores.values(), _DATASTORE).items()
    }


def _machine(moref: str, p: Properties, stores: Mapping[str, Datastore]) -> Machine | StepFailed:
    if "runtime.powerState" not in p:
        return StepFailed(
            f"virtual machine {p.get('name', moref)} can't be read",
            "may the user see it?",
        )
    hardware = p.get("config.hardware")
    tree = p.get("snapshot")
    return Machine(
        moref=moref,
        name=p["name"],
        power=_POWER[p["runtime.powerState"]],
        tools=p.get("guest.toolsRunningStatus") == "guestToolsRunning",
        tools_installed=p.get("guest.toolsVersionStatus2") not in _NO_TOOLS,
        hostname=p.get("guest.hostName") or "",
        address=p.get("guest.ipAddress") or "",
        hardware=fingerprint(hardware, p) if hardware else {},
        snapshots=snapshots(tree),
        current=tree.currentSnapshot._moId if tree and tree.currentSnapshot else "",
        consolidation=bool(p.get("runtime.consolidationNeeded")),
        disabled=tuple(p.get("disabledMethod") or ()),
        disks=disks(hardware) if hardware else (),
        datastores=tuple(stores[s._moId] for s in p.get("datastore", ()) if s._moId in stores),
        tasks=tuple(t._moId for t in p.get("recentTask", ())),
        hot_cpu_add=bool(p.get("config.cpuHotAddEnabled")),
        hot_cpu_remove=bool(p.get("config.cpuHotRemoveEnabled")),
        hot_memory_add=bool(p.get("config.memoryHotAddEnabled")),
        template=bool(p.get("config.template")),
    )


def snapshots(info: Any) -> tuple[Snapshot, ...]:
    """All of a machine's ``snapshot`` property, each before its children; none where it is not set."""
    return tuple(_flat(info.rootSnapshotList)) if info else ()


def _flat(tree: Iterable[Any], depth: int = 1) -> list[Snapshot]:
    found: list[Snapshot] = []
    for node in tree:
        found.append(
            Snapshot(
                moref=node.snapshot._moId,
                id=node.id,
                name=node.name,
                description=node.description or "",
                created=node.createTime,
                quiesced=bool(node.quiesced),
                power=_POWER[node.state],
                depth=depth,
            )
        )
        found += _flat(node.childSnapshotList or (), depth + 1)
    return found
