"""The routers' first configuration: OSPF over all links, so that the backup path takes over by itself."""

from __future__ import annotations

from remediate.lab import router_net
from remediate.lab.layout import Layout
from remediate.lab.roster import Host
from remediate.lab.router_net import COST, Cable

#: A router says hello every second, and is given up after three of silence; a lost carrier is seen at once.
HELLO, DEAD = 1, 3
#: Seconds. A packet that is lost while two routers get to know each other would cost the usual five.
RETRANSMIT = 1

_PURPOSE = {
    "site-a": "LAN of site A",
    "site-b": "LAN of site B",
    "primary": "primary link between the sites",
    "backup": "backup link between the sites",
    "branch": "link to the branch",
}


def frr(layout: Layout, host: Host) -> str:
    """The content of ``/etc/frr/frr.conf``, as FRR itself would write it."""
    lines = [
        "frr version 8.4.4",
        "frr defaults traditional",
        f"hostname {host.name}",
        "log syslog informational",
        "no ipv6 forwarding",
        "service integrated-vtysh-config",
        "!",
    ]
    for cable in router_net.cables(layout, host):
        lines += _interface(cable)
    lines += [
        "interface lo",
        f" ip address {router_net.loopback(layout, host)}/32",
        " ip ospf area 0",
        "exit",
        "!",
        "router ospf",
        f" ospf router-id {router_net.loopback(layout, host)}",
        " timers throttle spf 0 50 500",
        " timers throttle lsa all 0",
        " timers lsa min-arrival 0",
        "exit",
        "!",
    ]
    return "\n".join(lines) + "\n"


def _interface(cable: Cable) -> list[str]:
    return [
        f"interface {cable.interface}",
        f" description {_PURPOSE[cable.wire]}",
        f" ip address {cable.address}",
        " ip ospf area 0",
        f" ip ospf cost {COST[cable.wire]}",
        f" ip ospf dead-interval {DEAD}",
        f" ip ospf hello-interval {HELLO}",
        # Two routers each: without an election of a designated one, neighbours are full seconds earlier.
        " ip ospf network point-to-point",
        f" ip ospf retransmit-interval {RETRANSMIT}",
        "exit",
        "!",
    ]


def bird(layout: Layout, host: Host) -> str:
    """The content of ``/etc/bird/bird.conf``."""
    # BIRD refuses to send again after a single second.
    timers = f"hello {HELLO}; dead {DEAD}; retransmit {RETRANSMIT + 1};"
    links = "".join(
        f'        interface "{cable.interface}" {{\n'
        f"            type ptp; cost {COST[cable.wire]}; {timers}\n"
        "        };\n"
        for cable in router_net.cables(layout, host)
    )
    return f"""\
# Router of the branch.
log syslog all;
router id {router_net.loopback(layout, host)};

protocol device {{
}}

protocol kernel {{
    ipv4 {{
        export all;
    }};
}}

protocol ospf v2 ospf1 {{
    ipv4 {{
        import all;
    }};
    area 0 {{
        stubnet {router_net.loopback(layout, host)}/32;
{links}    }};
}}
"""
