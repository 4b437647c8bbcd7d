"""The runbooks over routers and virtual machines, by the real command line: forward, broken, and back."""

from __future__ import annotations

import json

import pytest

from tests.e2e.ticket import complete
from tests.e2e.world import differences
from tests.site.conftest import EDGE, MACHINES, Site

pytestmark = [pytest.mark.lab, pytest.mark.slow]

MAINTAINED = ("--limit", "ra1,rb1,web1,web3")
#: Where the service never answers, nobody has to wait for it the whole half minute.
SOON = "patience=5"


def planned(site: Site, runbook: str, *args: str) -> None:
    """Planned and approved by as many as any risk needs."""
    site.approve(site.plan(runbook, *args), "carol", "dan")


def size(site: Site, host: str) -> object:
    """Processors and memory that vCenter shows, as the planner reads them."""
    plan = json.loads((site.root / "fix.plan.json").read_text())
    for step in plan["steps"]:
        if step["kind"] == "vm-reconfigure":
            return step["observed"][host]
    raise AssertionError("no such step")


def test_one_plan_over_routers_machines_and_their_service(site: Site) -> None:
    before = site.everything()
    assert before["way"] == "eth2"
    planned(site, "site-maintenance", "package=shop", "version=1.1-1", *site.nets(), *MAINTAINED)
    site.cli("run", "fix.plan.json").expect(0)
    assert [site.version(name) for name in MACHINES] == ["1.1-1"] * 2
    assert site.hop() == "eth1"
    assert site.reached()
    kept = json.loads(site.cli("snapshots", "--output", "json").expect(0).out)
    assert site.run in json.dumps(kept)
    complete(site)
    site.cli("rollback", "last").expect(4)
    assert differences(before, site.everything()) == {}
    site.cli("audit", "--all").expect(0)


def test_one_machine_fails_and_all_of_the_site_goes_back(site: Site) -> None:
    before = site.everything()
    planned(site, "site-maintenance", "package=shop", "version=1.2-1", SOON, *site.nets(), *MAINTAINED)
    done = site.cli("run", "fix.plan.json").expect(4)
    assert "web3 · restart shop: verification failed" in done.out
    assert set(site.finals().values()) == {"verified-original"}
    assert set(site.finals()) == {"ra1", "rb1", *MACHINES}
    assert differences(before, site.everything()) == {}
    complete(site)


def test_a_revert_that_restores_nothing_is_no_rollback(site: Site) -> None:
    """The vCenter says that it reverted, and did nothing: that is found by reading the machines."""
    planned(site, "site-maintenance", "package=shop", "version=1.2-1", SOON, *site.nets(), *MAINTAINED)
    site.faults.effects(real=False)
    site.cli("run", "fix.plan.json").expect(5)
    assert {n: f for n, f in site.finals().items() if f == "needs-human"}.keys() == set(MACHINES)
    assert set(site.locks()) == set(MACHINES)
    assert site.hop() == "eth2", "what can be put back is"


def test_a_range_is_blocked_on_every_router_and_let_in_again(site: Site) -> None:
    before = {router: site.running_config(router) for router in EDGE}
    planned(site, "block-range", "prefix=203.0.113.0/24")
    site.cli("run", "fix.plan.json").expect(0)
    for router in EDGE:
        assert "ip route 203.0.113.0/24 blackhole" in site.running_config(router)
        assert "blackhole" in site.shell(router, "ip", "route", "show", "203.0.113.0/24")
        saved = (site.disk(router) / "etc/frr/frr.conf").read_text()
        assert "203.0.113.0/24" in saved
    site.cli("rollback", "last").expect(4)
    assert {router: site.running_config(router) for router in EDGE} == before


def test_traffic_moves_to_the_backup_link_and_back(site: Site) -> None:
    planned(site, "move-to-backup", *site.nets(), f"probe_to={site.inside('web1')}", "--limit", "ra1,rb1")
    done = site.cli("run", "fix.plan.json").expect(0)
    assert "packets were lost meanwhile" in done.out
    assert site.hop() == "eth1"
    back = site.cli("rollback", "last").expect(4)
    assert "traffic is back on eth2" in back.out
    assert site.hop() == "eth2"
    complete(site)


def test_a_machine_is_resized_and_patched_or_neither(site: Site) -> None:
    before = site.everything()
    change = ("cpus=2", "memory_mb=512", "package=shop")
    planned(site, "resize-vm", *change, "version=1.2-1", "patience=10", "--limit", "web3")
    small = size(site, "web3")
    done = site.cli("run", "fix.plan.json").expect(4)
    assert "web3 · restart shop: verification failed" in done.out
    assert differences(before, site.everything()) == {}
    site.plan("resize-vm", *change, "version=1.1-1", "--limit", "web3", file="again.plan.json")
    again = json.loads((site.root / "again.plan.json").read_text())
    observed = next(s["observed"]["web3"] for s in again["steps"] if s["kind"] == "vm-reconfigure")
    assert observed == small, "its old size"
    site.approve(site.root / "again.plan.json", "carol", "dan")
    site.cli("run", "again.plan.json").expect(0)
    assert site.version("web3") == "1.1-1"
    assert site.healthy("web3") == 200
