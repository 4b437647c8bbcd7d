"""What devices show, as data: recorded answers of FRR in JSON, and of Cisco IOS by ntc-templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from remediate.adapters.checks.question import Question
from remediate.adapters.clients import ClientPool
from remediate.adapters.network import checks as checks_module
from remediate.adapters.network import unchanged as unchanged_module
from remediate.adapters.network.checks import Interfaces, Neighbors, Routes, Traffic, lost
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
from remediate.adapters.network.unchanged import StateUnchanged, note_state
from remediate.errors import StepFailed
from remediate.model.plan import PlannedCheck
from remediate.model.target import Target
from tests.adapters.hosts.world import World


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


OSPF_JSON = json.dumps(
    {
        "neighbors": {
            "10.0.0.2": [{"ifaceAddress": "192.0.2.2", "nbrState": "Full/DR", "converged": "Full"}],
            "10.0.0.3": [{"ifaceAddress": "192.0.2.3", "nbrState": "Init", "converged": "Init"}],
        }
    }
)
ROUTE_JSON = json.dumps(
    {
        "198.51.100.0/24": [
            {"selected": True, "protocol": "ospf", "nexthops": [
                {"active": True, "ip": "192.0.2.2", "interfaceName": "eth2"},
            ]},
        ]
    }
)  # fmt: skip
INTERFACES_JSON = json.dumps({"eth1": {"operationalStatus": "down"}, "eth2": {"operationalStatus": "up"}})


@pytest.mark.parametrize(
    ("check", "ok", "actual"),
    [
        (Neighbors("ospf", count=1), True, "up: 192.0.2.2, 192.0.2.3 is Init"),
        (Neighbors("ospf", count=2), False, "up: 192.0.2.2, 192.0.2.3 is Init"),
        (Neighbors("ospf", are=("192.0.2.3",)), False, "up: 192.0.2.2, 192.0.2.3 is Init"),
        (Routes("198.51.100.0/24", via="192.0.2.2"), True, "via 192.0.2.2 out of eth2"),
        (Routes("198.51.100.0/24", interface="eth1"), False, "via 192.0.2.2 out of eth2"),
        (Routes("203.0.113.0/24"), False, "no route"),
        (Interfaces(["eth2"]), True, "eth2 is up"),
        (Interfaces(["eth1", "eth9"]), False, "eth1 is down, eth9 is absent"),
        (Interfaces(["eth1"], up=False), True, "eth1 is down"),
    ],
)
def test_checks_say_what_they_found(
    check: Question, ok: bool, actual: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers = {
        "show ip ospf neighbor json": OSPF_JSON,
        "show ip route 198.51.100.0/24 json": ROUTE_JSON,
        "show ip route 203.0.113.0/24 json": "{}",
        "show interface json": INTERFACES_JSON,
    }
    monkeypatch.setattr(checks_module, "connect", lambda _context: Recorded(FRR, answers))
    with ClientPool() as pool:
        found = check.look(World(Target(name="dev1", address="192.0.2.1"), pool, tmp_path).context())
    assert (found.ok, found.actual) == (ok, actual)


def test_state_that_changed_is_told_and_volatile_fields_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    states = [{"n": {"state": "Full", "upTimeInMsec": 1}}, {"n": {"state": "Init", "upTimeInMsec": 2}}]
    answers = {"show n json": json.dumps(states[0])}
    monkeypatch.setattr(unchanged_module, "connect", lambda _context: Recorded(FRR, answers))
    check = StateUnchanged(["show n"])
    with ClientPool() as pool:
        context = World(Target(name="dev1", address="192.0.2.1"), pool, tmp_path).context()
        with pytest.raises(StepFailed, match="no state was noted"):
            check.look(context)
        note_state(context, [PlannedCheck(kind=check.kind, params=check.model_dump(mode="json"))])
        assert check.look(context).ok
        answers["show n json"] = json.dumps({"n": {**states[0]["n"], "upTimeInMsec": 3}})
        assert check.look(context).ok
        answers["show n json"] = json.dumps(states[1])
        note_state(context, [PlannedCheck(kind=check.kind, params=check.model_dump(mode="json"))])
        found = check.look(context)
        assert (found.ok, found.actual) == (False, 'show n n state: "Full" → "Init"')
        assert StateUnchanged(["show n"], ignore=["state"]).look(context).ok


def test_packets_that_get_lost_fail_the_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks_module, "ping", lambda *_: (5, 4))
    target = Target(name="dev1", address="192.0.2.1")
    with ClientPool() as pool:
        context = World(target, pool, tmp_path, peers={"desk1": target}).context()
        assert not Traffic(frm="desk1", to="192.0.2.9").look(context).ok
        assert Traffic(frm="desk1", to="192.0.2.9", loss=20).look(context).ok
        with pytest.raises(StepFailed, match="is no host of this plan"):
            Traffic(frm="nobody", to="192.0.2.9").look(context)


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
