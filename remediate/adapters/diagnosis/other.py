"""What is read of network devices and of virtual machines, by what their adapters read anyway."""

from __future__ import annotations

import json
from dataclasses import asdict

from remediate.adapters.diagnosis.values import Collected
from remediate.adapters.network import device as network
from remediate.adapters.network.config import masked
from remediate.adapters.network.state import interfaces, neighbors
from remediate.adapters.vmware.step import read
from remediate.adapters.vmware.values import Machine, Power
from remediate.model.step import Context
from remediate.model.target import Target

_SNAPSHOTS = 3
_FREE_PERCENT = 10


def is_device(target: Target) -> bool:
    """Whether it is a network device."""
    return not {"network_platform", "ansible_network_os"}.isdisjoint(target.vars)


def is_virtual(target: Target) -> bool:
    """Whether a vCenter knows it."""
    return "vm_instance_uuid" in target.vars and "vcenter_hostname" in target.vars


def collect_device(context: Context, found: Collected) -> None:
    """Running configuration without its secrets, interfaces and neighbours.

    Raises:
        Unreachable: it can't be reached.
    """
    device = network.connect(context)
    running = masked(device.running().text, device.platform)
    found.add("configuration", "running.txt", lambda: running + "\n")

    def links() -> str:
        seen = interfaces(device)
        found.findings += [f"interface {i.name} is down" for i in seen if i.enabled and not i.up]
        return "".join(f"{json.dumps(asdict(i))}\n" for i in seen)

    def peers() -> str:
        lines = []
        for protocol in ("ospf", "bgp"):
            seen = neighbors(device, protocol)
            found.findings += [f"{protocol} neighbour {n.address} is {n.state}" for n in seen if not n.up]
            lines += [f"{protocol} {json.dumps(asdict(n))}\n" for n in seen]
        return "".join(lines)

    found.add("resources", "interfaces.txt", links)
    found.add("resources", "neighbors.txt", peers)


def collect_machine(context: Context, found: Collected) -> None:
    """What vCenter knows of it."""

    def known() -> str:
        machine = read(context)
        found.findings += _of_machine(machine)
        return json.dumps(asdict(machine), indent=2, default=str) + "\n"

    found.add("configuration", "virtual-machine.json", known)


def _of_machine(machine: Machine) -> list[str]:
    noticed = [] if machine.power is Power.ON else [f"virtual machine is {machine.power}"]
    if machine.depth >= _SNAPSHOTS:
        noticed.append(f"virtual machine runs on a chain of {machine.depth} snapshots")
    if machine.consolidation:
        noticed.append("virtual machine needs its disks consolidated")
    for store in machine.datastores:
        free = 100 * store.free // store.capacity if store.capacity else 100
        if free < _FREE_PERCENT:
            noticed.append(f"datastore {store.name} {100 - free} % full")
    return noticed
