"""Whole runs on real routers: changes that stay, that cut their own way, and that others come between."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from remediate.lab import router_net
from remediate.lab.layout import Layout
from remediate.lab.roster import by_name
from tests.adapters.network.project import NetWorld
from tests.adapters.network.world import enter, protect, release, shown, until

pytestmark = pytest.mark.lab

FIRED = "the device's timer ran out and took the change back"
COST = ("parents=interface eth2", "lines=ip ospf cost 44")


def cutting(layout: Layout) -> str:
    """A route that swallows every answer to whoever manages the router over its own network."""
    site = router_net.site_address(layout, by_name("desk1")).rpartition(".")[0]
    return f"ip route {site}.0/24 blackhole"


def saved(net: NetWorld, name: str) -> str:
    """What the router would boot with."""
    return (net.disk(name) / "etc/frr/frr.conf").read_text()


def ready(net: NetWorld, *inputs: str) -> None:
    """A plan that may run."""
    net.plan("router-lines", "--limit", "rb1", *inputs)
    net.approve(net.root / "fix.plan.json")


@contextmanager
def port() -> Iterator[tuple[int, socket.socket]]:
    """A port that accepts nothing yet; ``listen`` opens it."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        yield made.getsockname()[1], made


def evidence(net: NetWorld) -> str:
    """What probes, settlements and undos rest on."""
    said = [(e.body.get("evidence"), e.body.get("result", {}).get("summary")) for e in net.events()]
    return "\n".join(str(word) for words in said for word in words if word)


@pytest.mark.fault("network", "after", "timeout", "taken back by the device")
def test_a_change_that_cuts_its_own_way_comes_back_without_help(net: NetWorld) -> None:
    net.inband("rb1")
    line = cutting(net.lab.layout)
    ready(net, f"lines={line}", "timer=6")
    before = shown(net.lab, "rb1")
    running = net.start("run", "fix.plan.json")
    net.wait_for("intent", step="s01-config-lines")
    began = time.monotonic()
    until(lambda: line in shown(net.lab, "rb1"), what="the change")
    until(lambda: shown(net.lab, "rb1") == before, 12, "the timer")
    assert time.monotonic() - began < 12
    running.wait().expect(4)
    assert FIRED in evidence(net)
    assert FIRED in net.ticket_log()
    assert net.finals() == {"rb1": "verified-original"}
    assert line not in saved(net, "rb1")


def test_killed_with_the_timer_armed_and_confirmed_later(net: NetWorld) -> None:
    with port() as (number, listener):
        ready(net, *COST, f"port={number}", "timer=60")
        running = net.start("run", "fix.plan.json")
        net.wait_for("outcome", verb="apply", step="s01-config-lines")
        running.kill_all()
        listener.listen()
        net.cli("run", "fix.plan.json").expect(0)
    assert "ip ospf cost 44" in shown(net.lab, "rb1")


def test_killed_with_the_timer_armed_and_fired(net: NetWorld) -> None:
    with port() as (number, listener):
        ready(net, *COST, f"port={number}", "timer=6", "wait=1")
        before = shown(net.lab, "rb1")
        running = net.start("run", "fix.plan.json")
        until(lambda: "ip ospf cost 44" in shown(net.lab, "rb1"), what="the change")
        running.kill_all()
        until(lambda: shown(net.lab, "rb1") == before, 20, "the timer")
        listener.listen()
        net.cli("run", "fix.plan.json").expect(4)
    assert FIRED in evidence(net)
    assert FIRED in net.ticket_log()
    assert net.finals() == {"rb1": "verified-original"}


def test_anothers_change_before_ours_stops_the_run_with_a_diff(net: NetWorld) -> None:
    ready(net, *COST)
    enter(net.lab, "rb1", "ip route 203.0.113.0/24 blackhole")
    before = shown(net.lab, "rb1")
    done = net.cli("run", "fix.plan.json").expect(3)
    assert "+ip route 203.0.113.0/24 blackhole" in done.said
    assert shown(net.lab, "rb1") == before


def test_what_can_not_be_saved_does_not_stay(net: NetWorld) -> None:
    ready(net, *COST)
    before = shown(net.lab, "rb1")
    protect(net.lab, "rb1")
    try:
        done = net.cli("run", "fix.plan.json").expect(5)
    finally:
        release(net.lab)
    assert "failed to open configuration file /etc/frr/frr.conf" in done.said
    assert shown(net.lab, "rb1") == before
    assert "ip ospf cost 44" not in saved(net, "rb1")
    assert net.finals() == {"rb1": "needs-human"}


def test_anothers_change_after_ours_is_not_overwritten(net: NetWorld) -> None:
    with port() as (number, _):
        ready(net, *COST, f"port={number}", "later=yes", "wait=3")
        running = net.start("run", "fix.plan.json")
        net.wait_for("verified", step="s01-config-lines")
        enter(net.lab, "rb1", "ip route 203.0.113.0/24 blackhole")
        done = running.wait().expect(5)
    assert "+ip route 203.0.113.0/24 blackhole" in done.said + evidence(net)
    now = shown(net.lab, "rb1")
    assert "ip route 203.0.113.0/24 blackhole" in now
    assert "ip ospf cost 44" in now
