"""Which hosts a lab has: names, addresses and roles, all fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from remediate.errors import InputError

Role = Literal["web", "lb", "desk", "frr", "bird", "db"]

WEB = 4
DEFAULT = 1 + WEB
#: Extra hosts end where the /24 does.
MOST = DEFAULT + 150
#: The routers of both sites, and that of a branch which runs other software.
SITES = ("ra1", "rb1", "ra2", "rb2")
ROUTERS = len(SITES) + 1
#: More routers than these are there to measure with many devices.
MOST_ROUTERS = ROUTERS + 70


@dataclass(frozen=True, slots=True)
class Host:
    """One lab host, before it is built.

    ``pooled`` tells whether the load balancer sends it traffic.
    """

    name: str
    number: int
    role: Role
    pooled: bool = False
    legacy: bool = False

    @property
    def routes(self) -> bool:
        """Whether it is a router."""
        return self.role in ("frr", "bird")


def roster(total: int = DEFAULT, routers: int = 0, *, databases: bool = False) -> tuple[Host, ...]:
    """The first ``total`` hosts: lb1 (.10), web1 to web4 (.11 to .14), then node01… (.101…).

    web3 keeps the setting that shop 1.2 no longer supports, so that one host of the tier fails
    a patch that the others pass. Nodes serve like web hosts but outside the pool: they are there
    to measure with many hosts.

    With ``routers``, there are also desk1 (.20), who sits in site A, and the first that many of ra1 (.21),
    rb1 (.22), ra2 (.23), rb2 (.24), rc1 (.25), and r01… (.31…), which hang on the management network only.
    Two make the primary path between the sites, four the backup path as well.

    With ``databases``, there is also db1 (.15), and the pooled web hosts serve the payment module over it.
    """
    if not 2 <= total <= MOST:
        raise InputError(f"a lab has 2 to {MOST} hosts, not {total}")
    if not 0 <= routers <= MOST_ROUTERS:
        raise InputError(f"a lab has 0 to {MOST_ROUTERS} routers, not {routers}")
    hosts = [Host("lb1", 10, "lb")]
    hosts += [Host(f"web{n}", 10 + n, "web", pooled=True, legacy=n == 3) for n in range(1, WEB + 1)]
    hosts += [Host(f"node{n:02}", 100 + n, "web") for n in range(1, total - DEFAULT + 1)]
    database = (Host("db1", 15, "db"),) if databases else ()
    return (*hosts[:total], *database, *_network(routers))


def _network(routers: int) -> tuple[Host, ...]:
    """The first ``routers`` routers, and the desk behind them."""
    if not routers:
        return ()
    found = [Host(name, 20 + n, "frr") for n, name in enumerate(SITES, 1)]
    found += [Host("rc1", 25, "bird")]
    found += [Host(f"r{n:02}", 30 + n, "frr") for n in range(1, routers - ROUTERS + 1)]
    return (Host("desk1", 20, "desk"), *found[:routers])


def everyone() -> tuple[Host, ...]:
    """Every host that any lab may have."""
    return roster(MOST, MOST_ROUTERS, databases=True)


def by_name(name: str) -> Host:
    """The host called ``name``, whether or not it is running."""
    for host in everyone():
        if host.name == name:
            return host
    raise InputError(f"the lab knows no host {name!r}", "remediate lab status")
