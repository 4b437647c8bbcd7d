"""A machine's hardware as a fact: what has to be the same after a rollback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyVmomi import vim

from remediate.adapters.vmware.values import Disk

#: Of the extra configuration, only what an administrator sets; vCenter and Tools write the rest themselves.
_EXTRA = ("disk.enableuuid", "isolation.", "numa.", "cpuid.", "mem.hotadd", "vcpu.hotadd", "svga.present")


def fingerprint(hardware: Any, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of one machine.

    Disk files are left out: each snapshot gives a disk a new one. So are host, datastore and
    connection states, which vCenter changes by itself.
    """
    return {
        "uuid": properties.get("config.instanceUuid", ""),
        "bios_uuid": properties.get("config.uuid", ""),
        "cpus": hardware.numCPU,
        "cores_per_socket": hardware.numCoresPerSocket or 1,
        "memory_mb": hardware.memoryMB,
        "notes": properties.get("config.annotation") or "",
        "guest": properties.get("config.guestId", ""),
        "version": properties.get("config.version", ""),
        "devices": sorted(_device(d) for d in hardware.device),
        "settings": dict(sorted(_settings(properties.get("config.extraConfig") or ()))),
    }


def disks(hardware: Any) -> tuple[Disk, ...]:
    """All virtual disks."""
    buses = {
        d.key
        for d in hardware.device
        if isinstance(d, vim.vm.device.VirtualSCSIController) and d.sharedBus != "noSharing"
    }
    return tuple(_disk(d, buses) for d in hardware.device if isinstance(d, vim.vm.device.VirtualDisk))


def _disk(device: Any, shared_buses: set[int]) -> Disk:
    backing = device.backing
    raw = isinstance(backing, vim.vm.device.VirtualDisk.RawDiskMappingVer1BackingInfo)
    shared = getattr(backing, "sharing", None) not in (None, "sharingNone")
    return Disk(
        label=_label(device),
        independent=str(getattr(backing, "diskMode", "") or "").startswith("independent"),
        raw_physical=raw and backing.compatibilityMode == "physicalMode",
        shared=shared or device.controllerKey in shared_buses,
    )


def _label(device: Any) -> str:
    return str(device.deviceInfo.label) if device.deviceInfo else f"device {device.key}"


def _device(device: Any) -> str:
    """One device in a line."""
    words = [_label(device), type(device).__name__.rpartition(".")[2]]
    if isinstance(device, vim.vm.device.VirtualDisk):
        words += [f"{device.capacityInKB} KiB", str(getattr(device.backing, "diskMode", "") or "")]
    if isinstance(device, vim.vm.device.VirtualEthernetCard):
        words += [str(device.macAddress or ""), _network(device.backing)]
    return ", ".join(word for word in words if word)


def _network(backing: Any) -> str:
    port = getattr(backing, "port", None)
    return str(port.portgroupKey) if port else str(getattr(backing, "deviceName", "") or "")


def _settings(options: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for option in options:
        if option.key.lower().startswith(_EXTRA):
            yield option.key, str(option.value)
