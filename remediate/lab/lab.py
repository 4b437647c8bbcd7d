"""``remediate lab``: all components together. A new one is one file, and one entry in ``components``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from remediate.errors import RemediateError
from remediate.lab import machine_packages
from remediate.lab.command import LabError
from remediate.lab.hosts import Hosts
from remediate.lab.interface import HOME, Component, Item, Progress
from remediate.lab.jmeter import JMeter
from remediate.lab.locks import locked
from remediate.lab.mongodb import MongoDB
from remediate.lab.monitoring import Monitoring
from remediate.lab.people import People
from remediate.lab.roster import DEFAULT, ROUTERS
from remediate.lab.rt import RequestTracker
from remediate.lab.vcenter import VCenter

LOCK = HOME / "lab.lock"
#: What makes the hosts of the lab more than usual: a database host, and the payment module over it.
DATABASES = "databases"
#: Parts that only start when they are asked for by name, because they cost seconds or many megabytes.
EXTRAS: Mapping[str, Callable[[], Component]] = {
    "monitoring": Monitoring,
    "jmeter": JMeter,
    "mongodb": MongoDB,
}
#: All names that `up` takes as extras.
NAMES = (DATABASES, *EXTRAS)


def components(hosts: int = DEFAULT, databases: bool = False) -> tuple[Component, ...]:
    """Every part that is always there, in the order in which they start; ``hosts`` is how many hosts."""
    machines = Hosts(total=hosts, routers=ROUTERS, databases=databases)
    return (machines, VCenter(), RequestTracker(), People())


def hosts() -> Hosts:
    """Those of the lab on this machine."""
    return next(part for part in components() if isinstance(part, Hosts))


def extra_parts(names: Iterable[str]) -> tuple[Component, ...]:
    """Those of `EXTRAS` with these names, in the order in which they start."""
    wanted = set(names)
    return tuple(make() for name, make in EXTRAS.items() if name in wanted)


def up(progress: Progress, hosts: int = DEFAULT, extras: Iterable[str] = ()) -> None:
    """Install what is missing on this machine, then start every component; what runs is left as it is.

    Args:
        progress: told what takes time.
        hosts: how many hosts there are.
        extras: those of `NAMES` that are wanted, too.
    """
    _need_root()
    wanted = set(extras)
    parts = (*components(hosts, DATABASES in wanted), *extra_parts(wanted))
    with locked(LOCK, progress):
        machine_packages.install(tuple(name for part in parts for name in part.packages()), progress)
        for part in parts:
            part.up(progress)


def down() -> None:
    """Stop every component, the last started first, also after a crash; one's failure keeps none running."""
    _need_root()
    failed = []
    with locked(LOCK, _silent):
        for part in reversed((*components(), *extra_parts(EXTRAS))):
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
        for part in (*components(), *started()):
            part.reset(progress)


def status() -> tuple[Item, ...]:
    """How every part of the lab is right now; of the extras, those that were started."""
    return tuple(item for part in (*components(), *started()) for item in part.status())


def started() -> tuple[Component, ...]:
    """Extras of which anything runs or was built, as the machine shows it."""
    return tuple(part for part in extra_parts(EXTRAS) if any(item.state != "down" for item in part.status()))


def _need_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab makes namespaces and mounts, which only root may do", "run it with sudo")


def _silent(_line: str) -> None:
    """Progress for whoever wants none."""
