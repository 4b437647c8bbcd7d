"""A host that drops off the network: in doubt, not failed; settled when it is back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.ticket import complete
from tests.e2e.world import World, differences

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.fixture
def quick(world: World) -> Iterator[World]:
    """Connections are given up after two seconds; all cables are plugged in again at the end."""
    world.edit(
        "inventory/group_vars/all.yml",
        lambda text: json.dumps({**json.loads(text), "ansible_ssh_timeout": 2}),
    )
    yield world
    for host in ("web1", "web2"):
        world.lab.restore(host)


def test_host_gone_in_the_middle_of_a_step_and_back(quick: World) -> None:
    """The command ends while nobody can see it: its end is found out, and the run goes on."""
    running = quick.start("run", quick.approved("hold", "--limit", "web1"))
    quick.wait_for("intent", verb="apply", step="s02-command")
    quick.at_work("web1")
    quick.lab.cut("web1")
    quick.go("web1")
    outcome = quick.wait_for("outcome", 90, verb="apply", step="s02-command")
    assert outcome.body["result"]["status"] == "in-doubt"
    quick.wait_for("probed", 60, verdict="unknown")
    quick.lab.restore("web1")
    done = running.wait().expect(0)
    assert "in doubt" in done.out
    kinds = [e.kind for e in quick.events()]
    assert "rollback-started" not in kinds
    assert quick.held("web1") == 1, "not begun again"
    quick.wait_for("probed", verdict="applied")
    complete(quick)
    quick.cli("audit", "--all").expect(0)


def test_host_gone_for_longer_than_patience(quick: World) -> None:
    """Exit 5, and the host stays locked: no other plan gets it; when it is back, the same command settles it.
    The host that can be reached is rolled back meanwhile."""
    before = quick.fingerprints()
    plan = quick.approved("hold-briefly", "--limit", "web1,web2")
    other = quick.approved("hold", "text=other", "--limit", "web2", file="other.plan.json")
    quick.go("web1")
    running = quick.start("run", plan)
    quick.wait_for("intent", verb="apply", step="s02-command", target="web2")
    quick.at_work("web2")
    quick.lab.cut("web2")
    done = running.wait(180).expect(5)
    assert "web2" in done.out
    assert quick.finals() == {"web1": "verified-original", "web2": "needs-human"}
    assert quick.locks() == {"web2": quick.run}
    settled = next(e for e in quick.events() if e.kind == "settled" and e.body["target"] == "web2")
    assert settled.body["evidence"]
    complete(quick)
    quick.cli("status", "last").expect(5)
    count = quick.count()
    refused = quick.cli("run", other).expect(3)
    assert f"web2 is held by run {quick.run}" in refused.err
    assert quick.count() == count
    quick.cli("run", plan).expect(5)
    quick.lab.restore("web2")
    quick.go("web2")
    quick.cli("run", plan).expect(4)
    assert differences(before, quick.fingerprints()) == {}
    assert quick.locks() == {}
    assert quick.finals() == {"web1": "verified-original", "web2": "verified-original"}
    complete(quick)
    quick.cli("run", other).expect(0)


def test_host_that_can_not_be_reached_any_more_before_its_wave(quick: World) -> None:
    """web2 goes away while the canary is worked on: it was never touched, and the canary goes back."""
    before = quick.fingerprint("web1")
    running = quick.start("run", quick.approved("hold", "--limit", "web1,web2"))
    quick.wait_for("intent", verb="apply", step="s02-command", target="web1")
    quick.lab.cut("web2")
    quick.go("web1")
    running.wait(180).expect(4)
    assert "web2" not in {e.body["target"] for e in quick.intents()}
    assert quick.finals() == {"web1": "verified-original", "web2": "verified-original"}
    assert differences(before, quick.fingerprint("web1")) == {}


def test_host_that_can_not_be_reached(world: World) -> None:
    """Every host that can't be read is named, and nothing is planned."""
    for host in ("web2", "web3"):
        world.lab.power_off(host)
    done = world.cli("plan", "hold", "--ticket", "T-1", "-o", "fix.plan.json").expect(3)
    assert "2 of 3 targets can't be read" in done.err
    assert "web2: " in done.err
    assert "web3: " in done.err
    assert "--limit" in done.err
    assert not (world.root / "fix.plan.json").exists()
