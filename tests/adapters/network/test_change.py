"""Changes on real routers, step by step: observed, entered, refused, taken back, and found out about."""

from __future__ import annotations

import json
import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from remediate.adapters.hosts.errors import Unreachable
from remediate.adapters.network.backup import DeviceConfig
from remediate.adapters.network.change import ConfigLines
from remediate.adapters.network.checks import Interfaces, Neighbors, Ping, Routes, Traffic
from remediate.adapters.network.device import connect
from remediate.adapters.network.timer import TimerState, timer_for
from remediate.adapters.network.traffic import MoveTraffic
from remediate.adapters.network.unchanged import StateUnchanged
from remediate.errors import InDoubt, InputError, StepFailed
from remediate.lab import router_net
from remediate.lab.hosts import Hosts
from remediate.lab.roster import by_name
from remediate.model.step import Context, Step, StepClass, Verdict
from remediate.planning.expand import params
from remediate.report.compare import difference
from tests.adapters.hosts.world import World
from tests.adapters.network.world import LAYOUT, enter, router, shown, until

pytestmark = pytest.mark.lab

S = TypeVar("S", bound=Step)
COST = ConfigLines(lines=("ip ospf cost 44",), parents=("interface eth2",), revert_after=5)
WEB1 = router_net.site_address(LAYOUT, by_name("web1"))
SITE_B = f"{WEB1.rpartition('.')[0]}.0/24"


def planned(step: S) -> S:
    """The step as a run builds it: out of the plan's JSON."""
    return type(step).model_validate(json.loads(json.dumps(params(step))))


def applied(step: Step, world: World) -> Context:
    """Apply it; the context that everything afterwards gets."""
    context = world.context()
    before = step.observe(context)
    return replace(context, before=before, data=step.apply(replace(context, before=before)).data)


def test_observing_twice_gives_equal_facts_and_changes_nothing(ra1: World, routers: Hosts) -> None:
    before = shown(routers, "ra1")
    one, two = (COST.observe(ra1.context()) for _ in range(2))
    assert one == two
    assert "+ ip ospf cost 44" in COST.preview(ra1.context())
    assert "an emulated timer" in COST.preview(ra1.context())
    assert shown(routers, "ra1") == before


def test_apply_confirm_save_and_undo(ra1: World, routers: Hosts) -> None:
    checks = [
        Neighbors("ospf", count=2, within="5s"),
        Routes(SITE_B, interface="eth2", within="5s"),
        Interfaces(["eth1", "eth2"]),
        Ping(WEB1, count=2),
        Traffic(frm="desk1", to=WEB1, count=2),
        StateUnchanged(["show ip ospf neighbor", "show interface"]),
    ]
    step = planned(ConfigLines(**{**dict(COST), "verify": checks}))
    text = shown(routers, "ra1")
    context = applied(step, ra1)
    assert timer_for(context, connect(context)).state() is TimerState.ARMED
    results = step.confirm(context)
    assert [r for r in results if not r.ok] == []
    assert len(results) == len(checks) + 3
    assert timer_for(context, connect(context)).state() is TimerState.GONE
    saved = Path(routers.layout.hosts / "ra1" / "root/etc/frr/frr.conf")
    assert "ip ospf cost 44" in saved.read_text()
    assert step.probe(context).verdict is Verdict.APPLIED
    assert step.apply(context).changed is False
    assert step.undo(context).changed
    assert step.observe(context) == context.before
    assert step.undo(context).changed is False
    assert "ip ospf cost 44" not in saved.read_text()
    assert shown(routers, "ra1") == text
    assert not list(Path(routers.layout.hosts / "ra1" / "root/var/tmp").glob("remediate-*.conf"))


def test_lines_that_replace_and_blocks_that_are_new_go_back_exactly(ra1: World, routers: Hosts) -> None:
    before = shown(routers, "ra1")
    lines = (
        "interface eth2",
        " description another purpose, with several words",
        " ip ospf cost 77",
        " no ip ospf retransmit-interval",
        "router bgp 65001",
        " neighbor 192.0.2.9 remote-as 65002",
        " address-family ipv4 unicast",
        "  network 198.51.100.0/24",
        "ip prefix-list P seq 5 permit 198.51.100.0/24",
        "no ipv6 forwarding",
    )
    step = ConfigLines(lines=lines, cuts_path=False, save=False)
    context = applied(step, ra1)
    assert all(r.ok for r in step.confirm(context))
    assert step.step_class is StepClass.STATE_BASED
    step.undo(context)
    assert shown(routers, "ra1") == before


@pytest.mark.fault("network", "during", "half-applied", "failed, nothing changed")
def test_a_rejected_line_takes_the_others_with_it(ra1: World, routers: Hosts) -> None:
    before = shown(routers, "ra1")
    lines = ("ip route 192.0.2.0/24 blackhole", "ip ruote 192.0.2.0/24 blackhole")
    with pytest.raises(
        StepFailed, match=r"'ip ruote 192\.0\.2\.0/24 blackhole' was not accepted: % Unknown"
    ) as info:
        applied(ConfigLines(lines=lines), ra1)
    assert "the lines before it were taken back" in info.value.problem
    assert shown(routers, "ra1") == before
    context = ra1.context()
    assert timer_for(context, connect(context)).state() is TimerState.GONE


@pytest.mark.fault("network", "late", "timeout", "in doubt, probed: not-applied")
def test_the_timer_takes_back_what_nobody_confirms(ra1: World, routers: Hosts) -> None:
    before = shown(routers, "ra1")
    context = applied(COST, ra1)
    lost = replace(context, data={})
    assert COST.quiesce(context), "an attempt that is known to have ended is over"
    assert not COST.quiesce(lost), "one in doubt is not, while its timer is armed"
    until(lambda: COST.quiesce(lost), 10)
    found = COST.probe(lost)
    assert found.verdict is Verdict.NOT_APPLIED
    assert found.evidence.endswith("the device's timer ran out and took the change back")
    assert shown(routers, "ra1") == before
    stale = [r for r in COST.confirm(context) if not r.ok]
    assert [r.title for r in stale] == ["the running configuration shows the change"]
    assert "ran out and took the change back" in COST.undo(context).summary


@pytest.mark.fault("network", "late", "vanished", "in doubt, probed: not-applied")
def test_a_reboot_in_the_middle(ra1: World, routers: Hosts) -> None:
    before = shown(routers, "ra1")
    context = applied(COST, ra1)
    routers.power_off("ra1")
    with pytest.raises(Unreachable):
        COST.confirm(context)
    routers.power_on("ra1")
    lost = replace(context, data={})
    assert COST.quiesce(lost)
    found = COST.probe(lost)
    assert found.verdict is Verdict.NOT_APPLIED
    assert "ended by a reboot" in found.evidence
    assert shown(routers, "ra1") == before


@pytest.mark.fault("network", "during", "drop", "in doubt, probed: not-applied")
def test_a_path_cut_in_the_middle_is_in_doubt_and_then_settled(ra1: World, routers: Hosts) -> None:
    before = shown(routers, "ra1")
    step = ConfigLines(lines=[f"ip route 198.18.{n}.0/24 blackhole" for n in range(60)], revert_after=5)
    context = ra1.context(timeout=4)
    context = replace(context, before=step.observe(context))
    errors: list[Exception] = []

    def change() -> None:
        try:
            step.apply(context)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=change)
    thread.start()
    until(lambda: "198.18.5.0/24" in shown(routers, "ra1"))
    routers.cut("ra1")
    try:
        thread.join(20)
        assert isinstance(errors[0], InDoubt)
        with pytest.raises(Unreachable):
            connect(context).running()
    finally:
        routers.restore("ra1")
    until(lambda: step.quiesce(context), 15)
    assert step.probe(context).verdict is Verdict.NOT_APPLIED
    assert shown(routers, "ra1") == before


def test_anothers_change_shows_as_a_diff_and_is_never_overwritten(ra1: World, routers: Hosts) -> None:
    step = ConfigLines(**{**dict(COST), "cuts_path": False})
    planned_state = step.observe(ra1.context())
    enter(routers, "ra1", "ip route 203.0.113.0/24 blackhole")
    assert "+ip route 203.0.113.0/24 blackhole" in difference(planned_state, step.observe(ra1.context()))
    context = applied(step, ra1)
    assert all(r.ok for r in step.confirm(context))
    # What the facts don't show, the step compares itself.
    enter(routers, "ra1", "interface eth1", "ip ospf authentication-key s3cret")
    facts = json.dumps(step.observe(context))
    assert "s3cret" not in facts
    with pytest.raises(StepFailed, match="someone else changed"):
        step.undo(context)
    now = shown(routers, "ra1")
    assert "s3cret" in now
    assert "203.0.113.0/24" in now


def test_a_backup_is_private_compared_and_puts_back(ra1: World, routers: Hosts) -> None:
    step = DeviceConfig()
    context = applied(step, ra1)
    assert all(r.ok for r in step.confirm(context))
    kept = [p for p in context.workspace.rglob("*") if p.is_file()]
    assert {stat.S_IMODE(p.stat().st_mode) for p in kept} == {0o600}
    before = shown(routers, "ra1")
    enter(routers, "ra1", "ip route 203.0.113.0/24 blackhole", "interface eth2", "ip ospf cost 9")
    assert step.undo(context).summary.endswith("frr-reload.py")
    assert shown(routers, "ra1") == before
    assert step.undo(context).changed is False
    next(p for p in kept if p.name != "manifest.json").write_text("evil")
    with pytest.raises(StepFailed, match="was changed after the backup was made"):
        step.confirm(context)


def test_traffic_moves_to_the_backup_link_and_back(ra1: World, routers: Hosts) -> None:
    step = planned(MoveTraffic(primary="eth2", backup="eth1", prefix=SITE_B, frm="desk1", to=WEB1, settle=6))
    before = shown(routers, "ra1")
    context = applied(step, ra1)
    assert context.data["lost"] == 0
    results = step.confirm(context)
    assert [r for r in results if not r.ok] == []
    assert any(r.actual.endswith("out of eth1") for r in results)
    back = step.undo(context)
    assert "traffic is back on eth2; 0 of 10 packets were lost" in back.summary
    assert back.data["lost"] == 0
    assert shown(routers, "ra1") == before


def test_the_device_must_have_a_timer_where_one_is_needed(ra1: World) -> None:
    bare = router("ra1", network_maintenance_user="")
    with pytest.raises(InputError, match="needs a user with a shell there"):
        COST.observe(ra1.context(target=bare))
    assert ConfigLines(lines=("ntp server 192.0.2.1",)).step_class is StepClass.STATE_BASED
    assert ConfigLines(file="x.conf").step_class is StepClass.SELF_REVERTING
