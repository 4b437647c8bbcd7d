"""The network between the sites: which interface of which host hangs on which wire, with which address.

::

    site A, 10.221.N.0/24                                      site B, 10.222.N.0/24
      desk1 --+-- ra1 ---------- primary, cost 10 ---------- rb1 --+-- web1, web2, …
              |                                                    |
    machine --+-- ra2 ---------- backup, cost 100 ---------- rb2 --+
                                                              |
                                                            branch --- rc1

N is the third number of the lab's management network. Loopbacks are 10.220.N.(number of the host), links are
/30 from 10.220.N.100 on. The machine has a leg in site A, and reaches the loopbacks by ra1: whoever manages a
router by its loopback uses the network that it routes.

The wires are bridges in a namespace of their own, so that cutting one takes the carrier from both ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from remediate.lab.command import LabError, run
from remediate.lab.layout import Layout
from remediate.lab.network import LINKS, NETNS
from remediate.lab.roster import SITES, Host

Wire = Literal["site-a", "site-b", "primary", "backup", "branch"]

#: Second number of the networks, by purpose; the first is 10, the third the lab's own.
TRANSIT, SITE_A, SITE_B = 220, 221, 222
#: Last numbers of the gateways, and of the machine in site A.
MACHINE, RA1, RB1 = 1, 21, 22
#: OSPF's cost of each wire.
COST: dict[Wire, int] = {"site-a": 10, "site-b": 10, "primary": 10, "backup": 100, "branch": 10}

#: Interfaces by host: wire, second and last number of the address, length of the network.
_PORTS: dict[str, tuple[tuple[Wire, int, int, int], ...]] = {
    "desk1": (("site-a", SITE_A, 20, 24),),
    "ra1": (("site-a", SITE_A, 21, 24), ("primary", TRANSIT, 101, 30)),
    "rb1": (("site-b", SITE_B, 22, 24), ("primary", TRANSIT, 102, 30)),
    "ra2": (("site-a", SITE_A, 23, 24), ("backup", TRANSIT, 105, 30)),
    "rb2": (("site-b", SITE_B, 24, 24), ("backup", TRANSIT, 106, 30), ("branch", TRANSIT, 109, 30)),
    "rc1": (("branch", TRANSIT, 110, 30),),
}


@dataclass(frozen=True, slots=True)
class Cable:
    """One interface of a host and the wire that it hangs on.

    ``port`` is the wire's end of it. ``address`` has its length, as in ``10.221.77.20/24``.
    """

    host: str
    interface: str
    wire: Wire
    address: str

    @property
    def port(self) -> str:
        """Name of the wire's end."""
        return f"{self.host}-{self.interface}"


def cables(layout: Layout, host: Host) -> tuple[Cable, ...]:
    """All interfaces of ``host`` besides that on the management network, ``eth1`` first."""
    ports = _PORTS.get(host.name, ())
    if host.pooled:
        ports = (("site-b", SITE_B, host.number, 24),)
    return tuple(
        Cable(host.name, f"eth{n}", wire, f"{_net(layout, net)}.{last}/{length}")
        for n, (wire, net, last, length) in enumerate(ports, 1)
    )


def loopback(layout: Layout, host: Host) -> str:
    """A router's own address, by which it can be managed through the network."""
    return f"{_net(layout, TRANSIT)}.{host.number}"


def site_address(layout: Layout, host: Host) -> str:
    """The address of ``host`` in its site."""
    found = cables(layout, host)
    if not found:
        raise LabError(f"{host.name} is in no site")
    return found[0].address.partition("/")[0]


def _net(layout: Layout, second: int) -> str:
    return f"10.{second}.{layout.network.rpartition('.')[2]}"


def namespace(layout: Layout) -> str:
    """Where the wires are."""
    return layout.link("wires")


def leg(layout: Layout) -> str:
    """The machine's own interface in site A."""
    return layout.link("inband")


def up(layout: Layout, hosts: tuple[Host, ...]) -> None:
    """Make what is missing of the wires and of the cables of ``hosts``, whose namespaces exist.

    Cables that were pulled out are plugged in again; a wire that was cut stays cut.
    """
    name = namespace(layout)
    if not (NETNS / name).exists():
        run("ip", "netns", "add", name)
    there = _links(name)
    for wire in COST:
        if wire not in there:
            _ip(name, f"link add {wire} type bridge", f"link set {wire} up")
    for host in hosts:
        own = cables(layout, host)
        if host.routes:
            _forward(layout, host)
        for cable in own:
            _connect(layout, cable, there)
        if own:
            _settle(layout, host)
    _machine_up(layout)


def _forward(layout: Layout, host: Host) -> None:
    """Make a router forward, whichever way packets come back, and leave the ways of others to them."""
    # The defaults are for interfaces that come later.
    off = [f"conf.{on}.{what}=0" for on in ("all", "default") for what in ("rp_filter", "send_redirects")]
    _sysctl(layout, host, "ip_forward=1", *off)


def _connect(layout: Layout, cable: Cable, there: dict[str, _Link]) -> None:
    """Make a cable or mend it; ``there`` is what was found where the wires are."""
    port = there.get(cable.port)
    if not port or port.master != cable.wire or cable.interface not in _links(layout.link(cable.host)):
        _plug(layout, cable, again=bool(port))
    elif there[cable.wire].up:
        _ip(namespace(layout), f"link set {cable.port} up")


def _plug(layout: Layout, cable: Cable, *, again: bool) -> None:
    """Connect one cable; ``again`` if half of it is there."""
    wires, inside = namespace(layout), layout.link(cable.host)
    if again:
        _ip(wires, f"link del {cable.port}")
    _ip(
        wires,
        f"link add {cable.port} type veth peer name {cable.interface} netns {inside}",
        f"link set {cable.port} master {cable.wire}",
        f"link set {cable.port} up",
    )
    _ip(inside, f"link set {cable.interface} up")


def _settle(layout: Layout, host: Host) -> None:
    """What a host has from the start: FRR sets its addresses itself, as its configuration says."""
    inside = layout.link(host.name)
    own = cables(layout, host)
    # By default the kernel answers only one packet of a traceroute in a second.
    _sysctl(layout, host, "icmp_ratelimit=0")
    if host.role == "frr":
        return
    _ip(inside, *(f"addr replace {cable.address} dev {cable.interface}" for cable in own))
    if host.routes:
        _ip(inside, f"addr replace {loopback(layout, host)}/32 dev lo")
    else:
        here, router, there = (SITE_A, RA1, SITE_B) if own[0].wire == "site-a" else (SITE_B, RB1, SITE_A)
        gateway = f"{_net(layout, here)}.{router}"
        _ip(inside, *(f"route replace {_net(layout, net)}.0/24 via {gateway}" for net in (TRANSIT, there)))


def _machine_up(layout: Layout) -> None:
    """Give the machine its leg in site A, and routes over ra1 to everything behind it."""
    wires, own = namespace(layout), leg(layout)
    if not (LINKS / own).exists():
        run("ip", "link", "add", own, "type", "veth", "peer", "name", "machine", "netns", wires)
        _ip(wires, "link set machine master site-a", "link set machine up")
    run("ip", "addr", "replace", f"{_net(layout, SITE_A)}.{MACHINE}/24", "dev", own)
    run("ip", "link", "set", own, "up")
    for net in (TRANSIT, SITE_B):
        run(
            "ip",
            "route",
            "replace",
            f"{_net(layout, net)}.0/24",
            "via",
            f"{_net(layout, SITE_A)}.21",
            "dev",
            own,
        )


def settle(layout: Layout, hosts: tuple[Host, ...], seconds: float = 30) -> None:
    """Wait until every router of the sites has a route to every other; the branch follows a little later.

    Args:
        layout: the lab.
        hosts: all hosts, of which the routers between the sites count.
        seconds: how long to wait at most.
    """
    routers = [host for host in hosts if host.name in SITES]
    loopbacks = {loopback(layout, host) for host in routers}
    deadline = time.monotonic() + seconds
    for host in routers:
        while missing := loopbacks - {loopback(layout, host)} - _reached(layout, host):
            if time.monotonic() > deadline:
                raise LabError(f"{host.name} finds no route to {', '.join(sorted(missing))}")
            time.sleep(0.05)


def _reached(layout: Layout, host: Host) -> set[str]:
    """Destinations of the routes that the kernel uses for ``host``."""
    shown = run("ip", "-n", layout.link(host.name), "-json", "route", "show")
    return {route["dst"] for route in json.loads(shown)}


def down(layout: Layout) -> None:
    """Remove all wires; the cables go with them."""
    # By name first: deleting a namespace alone leaves what is in it until nobody holds it any more.
    if (LINKS / leg(layout)).exists():
        run("ip", "link", "del", leg(layout))
    if (NETNS / namespace(layout)).exists():
        run("ip", "netns", "del", namespace(layout))


def cut(layout: Layout, wire: Wire, *, silent: bool) -> None:
    """Cut a wire.

    Args:
        layout: the lab.
        wire: which.
        silent: cut it in the middle, so that neither end loses its carrier and only silence tells.
    """
    name = namespace(layout)
    _ip(name, *(f"link set {one} down" for one in [wire, *([] if silent else _ports(name, wire))]))


def mend(layout: Layout, wires: Iterable[Wire] = COST) -> None:
    """Mend wires, however they were cut."""
    name = namespace(layout)
    _ip(name, *(f"link set {one} up" for wire in wires for one in [wire, *_ports(name, wire)]))


def unplug(layout: Layout, host: Host) -> None:
    """Pull the cables of a host out of all wires; ``up`` plugs them in again."""
    there = _links(namespace(layout)) if (NETNS / namespace(layout)).exists() else {}
    ports = [cable.port for cable in cables(layout, host) if cable.port in there]
    _ip(namespace(layout), *(f"link set {port} down" for port in ports))


@dataclass(frozen=True, slots=True)
class _Link:
    """An interface, the bridge that it belongs to (if any), and whether it is switched on."""

    master: str
    up: bool


def _links(name: str) -> dict[str, _Link]:
    """The interfaces of a namespace."""
    shown = json.loads(run("ip", "-n", name, "-json", "link", "show"))
    return {link["ifname"]: _Link(link.get("master", ""), "UP" in link["flags"]) for link in shown}


def _ports(name: str, wire: Wire) -> list[str]:
    """What hangs on a wire."""
    return [port for port, link in _links(name).items() if link.master == wire]


def _sysctl(layout: Layout, host: Host, *settings: str) -> None:
    """Change kernel settings of a host's IPv4; inside it nobody may."""
    names = (f"net.ipv4.{setting}" for setting in settings)
    run("ip", "netns", "exec", layout.link(host.name), "sysctl", "-qw", *names)


def _ip(name: str, *commands: str) -> None:
    """Run ip's ``commands`` in a namespace."""
    if commands:
        run("ip", "-n", name, "-batch", "-", stdin="".join(f"{line}\n" for line in commands))
