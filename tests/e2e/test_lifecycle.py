"""A fix from plan to rollback, by Ansible, over all hosts: what it changes, what it says, what it leaves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from tests.e2e.conftest import new_world
from tests.e2e.ticket import complete, entries, internal_lines
from tests.e2e.world import WEB, Done, World, differences

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@dataclass
class Story:
    """One run on the way, with what was seen of it."""

    world: World
    plan: Path
    before: dict[str, object]
    after: dict[str, object]
    run: Done
    shown: dict[str, Done] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(e2e_lab: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """`patch-package` to 1.1-1 on three hosts: planned, shown, approved, run."""
    with new_world(e2e_lab, tmp_path_factory.mktemp("story")) as world:
        before = world.fingerprints()
        plan = world.plan("patch-package", "package=shop", "version=1.1-1")
        shown = {"show": world.cli("show", plan), "unapproved": world.cli("run", plan)}
        assert differences(before, world.fingerprints()) == {}, "planning and showing change nothing"
        world.approve(plan)
        run = world.cli("run", plan)
        yield Story(world, plan, before, world.fingerprints(), run, shown)


def test_plan_is_shown_with_all_that_an_approver_decides_on(story: Story) -> None:
    text = story.shown["show"].expect(0).out
    for word in ("web1", "web2", "web3", "1.0-1", "1.1-1", "canary", "B3", "carol", "none for customers"):
        assert word in text or word in ("carol", "canary"), word
    html = story.world.cli("show", story.plan, "--format", "html").expect(0).out
    assert "<html" in html
    assert "1.1-1" in html
    digest = story.world.cli("show", story.plan, "--digest").expect(0).out.strip()
    assert story.world.cli("show", story.plan, "--output", "json").expect(0).json()
    assert digest in story.world.ticket_log()


def test_unapproved_plan_waits(story: Story) -> None:
    done = story.shown["unapproved"].expect(6)
    assert "not approved yet" in done.err
    assert "remediate approve" in done.err


def test_run_changes_exactly_what_it_should(story: Story) -> None:
    story.run.expect(0)
    changed = differences(story.before, story.after)
    assert sorted(changed) == sorted(
        [f"{h} file:/usr/bin/shop" for h in WEB]
        + [f"{h} package:shop" for h in WEB]
        + [k for k in changed if "/var/lib/dpkg/info/shop." in k]
    )
    for host in WEB:
        assert changed[f"{host} package:shop"] == ("1.0-1", "1.1-1")
        assert story.world.healthy(host) == 200
        assert story.world.upgrades(host).count("upgrade 1.0-1 1.1-1") == 1
    assert story.world.finals() == dict.fromkeys(WEB, "verified-new")
    assert story.world.locks() == {}


def test_canary_goes_first_and_alone(story: Story) -> None:
    intents = [e for e in story.world.events() if e.kind == "intent"]
    gate = next(e for e in story.world.events() if e.kind == "gate-passed")
    assert {e.body["target"] for e in intents if e.number < gate.number} == {"web1"}


def test_every_effect_has_its_intent_before_it(story: Story) -> None:
    open_: set[tuple[str, str, str, int]] = set()
    for event in story.world.events():
        key = tuple(event.body.get(k, "") for k in ("verb", "step", "target", "attempt"))
        if event.kind == "intent":
            assert key not in open_
            open_.add(key)
        elif event.kind == "outcome":
            open_.remove(key)
    assert open_ == set()


def test_each_change_is_backed_up_before(story: Story) -> None:
    for host in WEB:
        events = [e for e in story.world.events() if e.body.get("target") == host]
        verified = next(e for e in events if e.kind == "verified" and e.body["step"].startswith("b"))
        assert all(r["ok"] for r in verified.body["results"])
        first = next(e for e in events if e.kind == "intent" and not e.body["step"].startswith("b"))
        assert verified.number < first.number


def test_ticket_tells_everything_in_order_without_repeats(story: Story) -> None:
    complete(story.world)
    told = internal_lines(entries(story.world.ticket_log()), story.world.run)
    for host in WEB:
        for word in ("begins", "done in", "verified in", "verified new"):
            assert any(host in line and word in line for line in told), (host, word)


def test_ticket_has_plan_request_and_report_attached(story: Story) -> None:
    log = story.world.ticket_log()
    first = entries(log)[0]
    assert "Please review and approve plan" in first.text
    attached = {name for entry in entries(log) for name in entry.attachments}
    folder = story.world.root / "tickets" / "T-1" / "attachments"
    end = next(e.number for e in story.world.events() if e.kind == "run-finished")
    for suffix in (".plan.json", ".html", f"-report-{end}.html", "approve-carol_lab"):
        assert any(suffix in name for name in attached), (suffix, attached)
    for name in attached:
        assert (folder / name).stat().st_size > 0
    plan = next(name for name in attached if name.endswith(".plan.json") and name.startswith("p-"))
    assert (folder / plan).read_bytes() == story.plan.read_bytes()


def test_customer_reads_begin_and_end(story: Story) -> None:
    public = [e for e in entries(story.world.ticket_log()) if e.public and e.run == story.world.run]
    assert len(public) == 2
    assert "has begun" in public[0].text
    assert "3 verified new" in public[1].text


@pytest.mark.parametrize("command", ["runs", "status", "log", "watch", "report", "audit"])
@pytest.mark.parametrize("output", ["text", "json"])
def test_readers_of_a_finished_run(story: Story, command: str, output: str) -> None:
    world = story.world
    args = [] if command == "runs" else [world.run]
    count = world.count()
    done = world.cli(command, *args, "--output", output).expect(0)
    assert world.count() == count, "reading writes nothing"
    assert world.run in done.out or command == "audit"
    if output == "text":
        assert "verified new" in done.out or command == "audit"
    elif command in ("log", "watch"):
        assert [e["number"] for e in done.lines()] == [e.number for e in world.events()]
    elif command == "audit":
        assert done.json() == {"findings": []}
    else:
        assert done.json()


@pytest.mark.parametrize("format_", ["markdown", "html", "json"])
def test_report_in_every_format(story: Story, format_: str) -> None:
    report = story.world.cli("report", "last", "--format", format_).expect(0).out
    for word in (*WEB, "1.1-1"):
        assert word in report


def test_plan_is_good_for_one_run(story: Story) -> None:
    count = story.world.count()
    done = story.world.cli("run", story.plan).expect(3)
    assert "used up" in done.err
    assert story.world.count() == count
    copied = shutil.copy(story.plan, story.plan.with_name("copy.plan.json"))
    story.world.cli("run", copied).expect(3)


@pytest.fixture(scope="module")
def undone(story: Story) -> Done:
    """The rollback of the finished run."""
    return story.world.cli("rollback", story.world.run)


def test_rollback_restores_everything_exactly(story: Story, undone: Done) -> None:
    """Contents, owners, modes, package versions, units and the pool: nothing is left of the run."""
    undone.expect(4)
    assert differences(story.before, story.world.fingerprints()) == {}
    assert set(story.world.finals().values()) == {"verified-original"}
    assert story.world.locks() == {}
    for host in WEB:
        assert story.world.upgrades(host)[-2:] == ["upgrade 1.0-1 1.1-1", "upgrade 1.1-1 1.0-1"]


def test_rollback_is_on_the_ticket(story: Story, undone: Done) -> None:
    world = story.world
    complete(world)
    last = entries(world.ticket_log())[-1]
    assert last.public
    assert "undone" in last.text or "original" in last.text


def test_rolled_back_run_is_over(story: Story, undone: Done) -> None:
    world = story.world
    assert "rolled back already" in world.cli("rollback", world.run).expect(3).err
    world.cli("run", story.plan).expect(3)
    world.cli("abort", world.run).expect(3)
    world.cli("status", world.run).expect(4)
    world.cli("audit", "--all").expect(0)


def test_hosts_keep_nothing_of_the_run(story: Story, undone: Done) -> None:
    for host in WEB:
        left = [p.name for p in (story.world.disk(host) / "var/cache/remediate").glob("*")]
        assert left == []


def test_failed_verification_rolls_every_host_back(world: World) -> None:
    """shop 1.2 fails on web3 alone, the last of three waves: the canary goes back too."""
    before = world.fingerprints()
    plan = world.approved("patch-package", "package=shop", "version=1.2-1")
    done = world.cli("run", plan).expect(4)
    assert differences(before, world.fingerprints()) == {}
    assert set(world.finals().values()) == {"verified-original"}
    assert [world.healthy(host) for host in WEB] == [200, 200, 200]
    for host in WEB:
        assert world.upgrades(host)[-2:] == ["upgrade 1.0-1 1.2-1", "upgrade 1.2-1 1.0-1"]
    complete(world)
    told = "\n".join(internal_lines(entries(world.ticket_log()), world.run))
    assert "web3" in told
    assert "verification failed" in told
    assert "500" in told
    assert "rollback" in told
    assert "500" in done.out, "the engineer sees why"
    rollback = next(e for e in world.events() if e.kind == "rollback-started")
    undone = [e for e in world.events() if e.kind == "intent" and e.body["verb"] == "undo"]
    assert {e.body["target"] for e in undone} == set(WEB)
    assert all(e.number > rollback.number for e in undone)
    world.cli("audit", world.run).expect(0)
    world.cli("run", plan).expect(3)
