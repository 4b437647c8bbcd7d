"""What devices show, as data: recorded answers of FRR in JSON, and of Cisco IOS by ntc-templates."""

from __future__ import annotations

import json
from typing import cast

import pytest

from remediate.adapters.network.checks import lost
from remediate.adapters.network.device import Device
from remediate.adapters.network.platforms import FRR, IOS, Platform
from remediate.adapters.network.state import (
    Interface,
    Neighbor,
    Route,
    as_data,
    interfaces,
    neighbors,
    routes,
    without_volatile,
)
from remediate.errors import StepFailed


class Recorded:
    """A device that answers from a record."""

    name = "dev1"

    def __init__(self, platform: Platform, answers: dict[str, str]) -> None:
        self.platform, self.answers = platform, answers

    def read(self, command: str, _seconds: float = 0) -> str:
        """The recorded answer."""
        return self.answers[command]


def recorded(platform: Platform, **answers: str) -> Device:
    """Commands are given with underscores."""
    return cast("Device", Recorded(platform, {k.replace("_", " "): v for k, v in answers.items()}))


OSPF = """\
Neighbor ID     Pri   State           Dead Time   Address         Interface
10.0.0.2          1   FULL/DR         00:00:33    192.0.2.2       GigabitEthernet0/1
10.0.0.3          1   INIT/DROTHER    00:00:31    192.0.2.3       GigabitEthernet0/1
"""
BRIEF = """\
Interface              IP-Address      OK? Method Status                Protocol
GigabitEthernet0/0     unassigned      YES NVRAM  administratively down down
GigabitEthernet0/1     192.0.2.1       YES NVRAM  up                    up
"""
ROUTE = """\
Codes: L - local, C - connected, S - static, R - RIP, M - mobile, B - BGP

Gateway of last resort is not set

      198.51.100.0/24 is subnetted, 1 subnets
O        198.51.100.0 [110/2] via 192.0.2.2, 00:10:00, GigabitEthernet0/1
"""
BGP = json.dumps({"ipv4Unicast": {"peers": {"192.0.2.9": {"state": "Established", "peerUptimeMsec": 1}}}})


def test_neighbours_of_cisco() -> None:
    assert neighbors(recorded(IOS, show_ip_ospf_neighbor=OSPF), "ospf") == (
        Neighbor("192.0.2.2", "GigabitEthernet0/1", "FULL/DR", True),
        Neighbor("192.0.2.3", "GigabitEthernet0/1", "INIT/DROTHER", False),
    )


def test_interfaces_of_cisco() -> None:
    assert interfaces(recorded(IOS, show_ip_interface_brief=BRIEF)) == (
        Interface("GigabitEthernet0/0", False, False, ()),
        Interface("GigabitEthernet0/1", True, True, ("192.0.2.1",)),
    )


def test_routes_of_cisco() -> None:
    device = cast("Device", Recorded(IOS, {"show ip route 198.51.100.0/24": ROUTE}))
    found = Route("198.51.100.0/24", "O", ("192.0.2.2",), ("GigabitEthernet0/1",))
    assert routes(device, "198.51.100.0/24") == (found,)


def test_bgp_of_frr() -> None:
    device = cast("Device", Recorded(FRR, {"show ip bgp summary json": BGP}))
    assert neighbors(device, "bgp") == (Neighbor("192.0.2.9", "", "Established", True),)
    assert as_data(device, "show ip bgp summary") == {
        "ipv4Unicast": {"peers": {"192.0.2.9": {"state": "Established"}}}
    }


def test_what_can_not_be_understood_is_told() -> None:
    with pytest.raises(StepFailed, match="gave no JSON"):
        as_data(recorded(FRR, show_x_json="% no"), "show x")
    with pytest.raises(StepFailed, match="can't be understood"):
        as_data(recorded(IOS, show_x="hm"), "show x")


def test_fields_that_change_by_themselves() -> None:
    shown = {"uptime": 1, "deadTimeMsecs": 2, "state": "Full", "hops": [{"upTimeInMsec": 3, "ip": "x"}]}
    assert without_volatile(shown) == {"state": "Full", "hops": [{"ip": "x"}]}


@pytest.mark.parametrize(
    ("said", "packets"),
    [
        ("5 packets transmitted, 4 received, 20% packet loss, time 801ms", (5, 4)),
        ("5 packets transmitted, 4 packets received, 20% packet loss", (5, 4)),
        ("!!!.!\nSuccess rate is 80 percent (4/5), round-trip min/avg/max = 1/1/1 ms", (5, 4)),
    ],
)
def test_pings(said: str, packets: tuple[int, int]) -> None:
    assert lost(said) == packets
    with pytest.raises(StepFailed, match="nothing of packets"):
        lost("ping: unknown host")
