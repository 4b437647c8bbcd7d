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
from tests.adapters.network.world import enter, shown, until

pytestmark = pytest.mark.lab

COST = ("parents=interface eth2", "lines=ip ospf cost 44")


def cutting(layout: Layout) -> str:
    """A route that swallows every answer to whoever manages the router over its own network."""
    site = router_net.site_address(layout, by_name("desk1")).rpartition(".")[0]
    return f"ip route {site}.0/24 blackhole"


def ready(net: NetWorld, *inputs: str, limit: str = "rb1", runbook: str = "router-lines") -> None:
    """A plan that may run."""
    net.plan(runbook, "--limit", limit, *inputs) if limit else net.plan(runbook, *inputs)
    net.approve(net.root / "fix.plan.json")


@contextmanager
def port() -> Iterator[tuple[int, socket.socket]]:
    """A port that accepts nothing yet; ``listen`` opens it."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        yield made.getsockname()[1], made


def evidence(net: NetWorld) -> str:
    """What probes and settlements rest on."""
    return "\n".join(str(e.body.get("evidence", "")) for e in net.events())


def test_a_change_is_verified_saved_and_taken_back(net: NetWorld) -> None:
    ready(net, *COST)
    plan = net.cli("show", "fix.plan.json").expect(0).out
    assert "ip ospf cost 44" in plan
    assert "emulated timer" in plan
    before = shown(net.lab, "rb1")
    net.cli("run", "fix.plan.json").expect(0)
    assert "ip ospf cost 44" in shown(net.lab, "rb1")
    net.lab.power_off("rb1")
    net.lab.power_on("rb1")
    assert "ip ospf cost 44" in shown(net.lab, "rb1")
    net.cli("rollback", net.run).expect(4)
    assert shown(net.lab, "rb1") == before


def test_a_change_that_cuts_its_own_way_comes_back_without_help(net: NetWorld) -> None:
    net.inband("rb1")
    line = cutting(net.lab.layout)
    ready(net, f"lines={line}", "timer=10")
    before = shown(net.lab, "rb1")
    running = net.start("run", "fix.plan.json")
    net.wait_for("intent", step="s01-config-lines")
    began = time.monotonic()
    until(lambda: line in shown(net.lab, "rb1"), what="the change")
    until(lambda: shown(net.lab, "rb1") == before, 16, "the timer")
    assert time.monotonic() - began < 16
    running.wait().expect(4)
    assert "the device's timer ran out and took the change back" in evidence(net)
    assert net.finals() == {"rb1": "verified-original"}


def test_a_rejected_line_takes_the_others_with_it(net: NetWorld) -> None:
    ready(net, "lines=ip route 192.0.2.0/24 blackhole;ip ruote 192.0.2.0/24 blackhole")
    before = shown(net.lab, "rb1")
    done = net.cli("run", "fix.plan.json").expect(4)
    assert "'ip ruote 192.0.2.0/24 blackhole' was not accepted: % Unknown command" in done.said
    assert "the lines before it were taken back" in done.said
    assert shown(net.lab, "rb1") == before


def test_a_reboot_in_the_middle_leaves_the_old_configuration(net: NetWorld) -> None:
    with port() as (number, _):
        ready(net, *COST, f"port={number}", "wait=8")
        before = shown(net.lab, "rb1")
        running = net.start("run", "fix.plan.json")
        net.wait_for("outcome", verb="apply", step="s01-config-lines")
        net.lab.power_off("rb1")
        net.lab.power_on("rb1")
        running.wait().expect(4)
    assert shown(net.lab, "rb1") == before


def test_a_path_cut_in_the_middle_is_in_doubt_and_then_settled(net: NetWorld) -> None:
    lines = ";".join(f"ip route 198.18.{n}.0/24 blackhole" for n in range(60))
    ready(net, f"lines={lines}", "timer=10")
    before = shown(net.lab, "rb1")
    running = net.start("run", "fix.plan.json")
    log = net.disk("rb1") / "var/tmp"
    until(lambda: list(log.glob("remediate-*.conf")), what="the timer")
    net.lab.cut("rb1")
    try:
        net.wait_for("outcome", 60, verb="apply", step="s01-config-lines")
    finally:
        net.lab.restore("rb1")
    running.wait().expect(4)
    results = [e.body["result"]["status"] for e in net.events() if e.kind == "outcome"]
    assert "in-doubt" in results
    assert shown(net.lab, "rb1") == before


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
        ready(net, *COST, f"port={number}", "timer=10", "wait=1")
        before = shown(net.lab, "rb1")
        running = net.start("run", "fix.plan.json")
        until(lambda: "ip ospf cost 44" in shown(net.lab, "rb1"), what="the change")
        running.kill_all()
        until(lambda: shown(net.lab, "rb1") == before, 20, "the timer")
        listener.listen()
        net.cli("run", "fix.plan.json").expect(4)
    assert net.finals() == {"rb1": "verified-original"}


def test_anothers_change_between_plan_and_run_is_shown(net: NetWorld) -> None:
    ready(net, *COST)
    enter(net.lab, "rb1", "ip route 203.0.113.0/24 blackhole")
    done = net.cli("run", "fix.plan.json").expect(3)
    assert "+ip route 203.0.113.0/24 blackhole" in done.said
    assert net.intents() == []


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


def test_traffic_moves_to_the_backup_link_and_back(net: NetWorld) -> None:
    to = router_net.site_address(net.lab.layout, by_name("web1"))
    ready(net, f"to={to}", limit="", runbook="use-backup")
    before = {name: shown(net.lab, name) for name in ("ra1", "rb1")}
    net.cli("run", "fix.plan.json").expect(0)
    summaries = [e.body["result"]["summary"] for e in net.events() if e.kind == "outcome"]
    assert any("packets were lost meanwhile" in s for s in summaries), summaries
    net.cli("rollback", net.run).expect(4)
    assert {name: shown(net.lab, name) for name in before} == before
