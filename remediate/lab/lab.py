"""``remediate lab``: all components together. A new one is one file, and one entry in ``components``."""

from __future__ import annotations

import os

from remediate.errors import RemediateError
from remediate.lab import machine_packages
from remediate.lab.command import LabError
from remediate.lab.hosts import Hosts
from remediate.lab.interface import HOME, Component, Item, Progress
from remediate.lab.locks import locked
from remediate.lab.people import People
from remediate.lab.roster import DEFAULT, ROUTERS
from remediate.lab.rt import RequestTracker
from remediate.lab.vcenter import VCenter

LOCK = HOME / "lab.lock"


def components(hosts: int = DEFAULT) -> tuple[Component, ...]:
    """Every part of the lab, in the order in which they start; ``hosts`` is how many hosts there are."""
    return (Hosts(total=hosts, routers=ROUTERS), VCenter(), RequestTracker(), People())


def up(progress: Progress, hosts: int = DEFAULT) -> None:
    """Install what is missing on this machine, then start every component; what runs is left as it is."""
    _need_root()
    parts = components(hosts)
    with locked(LOCK, progress):
        machine_packages.install(tuple(name for part in parts for name in part.packages()), progress)
        for part in parts:
            part.up(progress)


def down() -> None:
    """Stop every component, the last started first, also after a crash; one's failure keeps none running."""
    _need_root()
    failed = []
    with locked(LOCK, _silent):
        for part in reversed(components()):
            try:
                part.down()
            except (RemediateError, OSError) as error:
                failed.append(f"{part.name}: {error}")
    if failed:
        raise LabError("; ".join(failed), "run `remediate lab down` again")


def reset(progress: Progress) -> None:
    """Return every component to the state just after the first ``up``."""
    _need_root()
    with locked(LOCK, progress):
        for part in components():
            part.reset(progress)


def status() -> tuple[Item, ...]:
    """How every part of the lab is right now."""
    return tuple(item for part in components() for item in part.status())


def _need_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab makes namespaces and mounts, which only root may do", "run it with sudo")


def _silent(_line: str) -> None:
    """Progress for whoever wants none."""
