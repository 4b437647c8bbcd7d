"""What is known of a virtual machine after one read: plain values, no connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Power(StrEnum):
    """The machine's power state; with the names that facts and authors use."""

    ON = "on"
    OFF = "off"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot in a machine's tree. Names need not be unique; ``moref`` is, within its vCenter."""

    moref: str
    id: int
    name: str
    description: str
    created: datetime
    quiesced: bool
    power: Power
    depth: int
    """1 for a root: how long the chain of disks below it is."""


@dataclass(frozen=True, slots=True)
class Disk:
    """What decides whether a snapshot holds this disk."""

    label: str
    independent: bool = False
    raw_physical: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Datastore:
    """Bytes as vCenter last saw them."""

    moref: str
    name: str
    capacity: int
    free: int


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine as one bulk read saw it.

    ``hardware`` is the fingerprint that has to be equal before and after: nothing volatile is in it. It and
    ``disks`` are empty where they were not asked for.
    """

    moref: str
    name: str
    power: Power
    tools: bool
    """VMware Tools run, so that the guest can be quiesced and shut down."""
    tools_installed: bool
    """Known also while the machine is off."""
    hostname: str
    address: str
    hardware: dict[str, Any]
    snapshots: tuple[Snapshot, ...]
    current: str
    """Moref of the snapshot that the machine runs on top of; empty without one."""
    consolidation: bool
    disabled: tuple[str, ...]
    disks: tuple[Disk, ...]
    datastores: tuple[Datastore, ...]
    tasks: tuple[str, ...]
    """Morefs of recent tasks (vCenter keeps them for about ten minutes)."""
    hot_cpu_add: bool
    hot_cpu_remove: bool
    hot_memory_add: bool
    template: bool

    @property
    def answers(self) -> bool:
        """Whether the guest is up, as its Tools tell."""
        return self.tools and bool(self.hostname or self.address)

    @property
    def depth(self) -> int:
        """Length of the chain that the machine runs on."""
        return next((s.depth for s in self.snapshots if s.moref == self.current), 0)


class End(StrEnum):
    """How a task ended, as seen from here."""

    DONE = "done"
    FAILED = "failed"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one task. ``fault`` is the type of vCenter's fault, ``result`` the moref that it gave."""

    end: End
    words: str = ""
    fault: str = ""
    result: str = ""
