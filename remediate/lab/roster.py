"""Which hosts a lab has: names, addresses and roles, all fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from remediate.errors import InputError

Role = Literal["web", "lb"]

WEB = 4
DEFAULT = 1 + WEB
#: Extra hosts end where the /24 does.
MOST = DEFAULT + 150


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


def roster(total: int = DEFAULT) -> tuple[Host, ...]:
    """The first ``total`` hosts: lb1 (.10), web1 to web4 (.11 to .14), then node01… (.101…).

    web3 keeps the setting that shop 1.2 no longer supports, so that one host of the tier fails
    a patch that the others pass. Nodes serve like web hosts but outside the pool: they are there
    to measure with many hosts.
    """
    if not 2 <= total <= MOST:
        raise InputError(f"a lab has 2 to {MOST} hosts, not {total}")
    hosts = [Host("lb1", 10, "lb")]
    hosts += [Host(f"web{n}", 10 + n, "web", pooled=True, legacy=n == 3) for n in range(1, WEB + 1)]
    hosts += [Host(f"node{n:02}", 100 + n, "web") for n in range(1, total - DEFAULT + 1)]
    return tuple(hosts[:total])


def by_name(name: str) -> Host:
    """The host called ``name``, whether or not it is running."""
    for host in roster(MOST):
        if host.name == name:
            return host
    raise InputError(f"the lab knows no host {name!r}", "remediate lab status")
