"""Pause, resume, abort and decide from a second process; Ctrl-C; two runners at once; one that was asleep."""

from __future__ import annotations

import signal
import time

import pytest

from tests.e2e.ticket import complete
from tests.e2e.world import FULL, Running, World, differences, until
from tests.reliability import record

pytestmark = pytest.mark.lab

ONE = ("--limit", "web1")
TWO = ("--limit", "web1,web2")
STEP = "s02-command"


def held(world: World, plan: object = "fix.plan.json") -> Running:
    """A run that has come to the step that waits, on web1."""
    running = world.start("run", str(plan))
    world.wait_for("intent", verb="apply", step=STEP, target="web1")
    return running


def test_pause_and_resume(world: World) -> None:
    """The step in flight ends, nothing else begins, the runner leaves; resume goes on to the end."""
    running = held(world, world.approved("hold", *TWO))
    assert "pauses after the steps in flight" in world.cli("pause", "last").expect(0).out
    world.go("web1")
    running.wait().expect(6)
    seen = len(world.intents())
    assert world.cli("status", "last").expect(6).out.count("paused")
    assert {e.body["step"] for e in world.intents()}.isdisjoint({"s03-file"})
    assert set(world.locks()) == {"web1", "web2"}, "a paused run keeps its hosts"
    assert len(world.intents()) == seen
    world.go("web2")
    world.cli("resume", "last").expect(0)
    complete(world)


def test_pause_taken_back_before_it_took_effect(world: World) -> None:
    running = held(world, world.approved("hold", *ONE))
    world.cli("pause", "last").expect(0)
    assert "its runner was told" in world.cli("resume", "last").expect(0).err
    world.go("web1")
    running.wait().expect(0)


def test_abort_rolls_back(world: World) -> None:
    before = world.fingerprints()
    running = held(world, world.approved("hold", *TWO))
    assert "its runner was told" in world.cli("abort", "last").expect(0).err
    world.go("web1")
    done = running.wait().expect(4)
    assert "aborted by alice" in done.out
    assert differences(before, world.fingerprints()) == {}
    assert world.finals() == {"web1": "verified-original", "web2": "verified-original"}
    assert "web2" not in {e.body["target"] for e in world.intents()}
    complete(world)


def test_abort_of_a_run_that_nobody_executes(world: World) -> None:
    before = world.fingerprints()
    held(world, world.approved("hold", *ONE)).kill()
    world.go("web1")
    world.cli("abort", "last").expect(4)
    assert differences(before, world.fingerprints()) == {}
    assert "is finished" in world.cli("pause", "last").expect(3).err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_safely_and_is_resumed(world: World, number: signal.Signals) -> None:
    running = held(world, world.approved("hold", *ONE))
    running.signal(number)
    until(lambda: "stopping after the step in flight" in running.said)
    assert running.process.poll() is None, "the step in flight is waited for"
    world.go("web1")
    running.wait().expect(130)
    assert world.events()[-1].kind == "stopped"
    assert {e.body["step"] for e in world.intents()}.isdisjoint({"s03-file"})
    world.cli("run", "fix.plan.json").expect(0)
    assert world.held("web1") == 1
    complete(world)


def test_second_interrupt_stops_at_once(world: World) -> None:
    """The command goes on on the host; the next run waits for it instead of beginning it again."""
    running = held(world, world.approved("hold", *ONE))
    running.signal(signal.SIGINT)
    until(lambda: "stopping after the step in flight" in running.said)
    began = time.monotonic()
    running.signal(signal.SIGINT)
    running.wait(30).expect(130)
    assert time.monotonic() - began < 15
    again = world.start("run", "fix.plan.json")
    world.wait_for("probed", verdict="running")
    world.go("web1")
    again.wait().expect(0)
    assert world.held("web1") == 1
    complete(world)


def test_two_runners_at_once(world: World) -> None:
    running = held(world, world.approved("hold", *ONE))
    count = world.count()
    for _ in range(2):
        done = world.cli("run", "fix.plan.json").expect(3)
        assert f"is being executed by process {running.process.pid}" in done.err
    assert "not finished" in world.cli("rollback", "last").expect(3).err
    assert world.count() == count, "whoever was refused wrote nothing"
    world.go("web1")
    running.wait().expect(0)


def test_started_twice_in_the_same_instant(world: World) -> None:
    plan = world.approved("hold", *ONE)
    world.go("web1")
    both = [world.start("run", plan) for _ in range(3)]
    codes = sorted(r.wait().code for r in both)
    assert codes == [0, 3, 3]
    assert world.held("web1") == 1
    assert [e.kind for e in world.events()].count("run-started") == 1
    what = "a run that three processes start in the same instant"
    record("crashes", what, "once", "one runs it, the others are refused")


def test_taken_up_three_times_in_the_same_instant(world: World) -> None:
    """Again and again: one gets the run, the others are refused, and the command is done once."""
    running = held(world, world.approved("hold", *ONE))
    for _ in range(50 if FULL else 3):
        running.kill()
        running = _one_of_three(world)
    world.go("web1")
    running.wait().expect(0)
    assert world.held("web1") == 1
    complete(world)
    world.cli("audit", "--all").expect(0)
    what = "a run that three processes take up in the same instant"
    record("crashes", what, "again and again", "one runs it, the others are refused")


def _one_of_three(world: World) -> Running:
    """Start three; the one that gets the run, when it has."""
    before = len(world.events())
    three = [world.start("run", "fix.plan.json") for _ in range(3)]
    until(lambda: sum(r.process.poll() is None for r in three) == 1, 120)
    refused = [r.wait().expect(3) for r in three if r.process.poll() is not None]
    assert all("is being executed by process" in done.err for done in refused)
    until(lambda: "run-taken" in [e.kind for e in world.events()[before:]])
    return next(r for r in three if r.process.poll() is None)


def test_another_run_on_the_same_host(world: World) -> None:
    plan = world.approved("hold", *ONE)
    other = world.approved("hold", "text=other", *TWO, file="other.plan.json")
    running = held(world, plan)
    done = world.cli("run", other).expect(3)
    assert f"web1 is held by run {world.run}" in done.err
    assert set(world.locks()) == {"web1"}, "nothing of what it asked for is left to the refused one"
    world.go("web1")
    running.wait().expect(0)


def test_runner_that_was_asleep_writes_nothing_more(world: World) -> None:
    """SIGSTOP for longer than the lease: another one takes over and ends the run; then the first wakes up."""
    world.configure('[limits]\nlease = "3s"')
    asleep = held(world, world.approved("hold", *ONE))
    asleep.signal(signal.SIGSTOP)
    until(lambda: not _runner(world), 30)
    second = world.start("run", "fix.plan.json")
    world.wait_for("run-taken")
    world.go("web1")
    second.wait().expect(0)
    count, log = world.count(), world.ticket_log()
    asleep.signal(signal.SIGCONT)
    done = asleep.wait().expect(3)
    assert "another runner took over" in done.err
    assert world.count() == count
    assert world.ticket_log() == log
    assert world.held("web1") == 1
    complete(world)
    world.cli("audit", "--all").expect(0)
    what, where = "a runner stopped, replaced and woken up", "while its command works on the host"
    record("crashes", what, where, "it changes nothing")


def _runner(world: World) -> str:
    """Who executes the only run, as `remediate runs` says."""
    rows = world.cli("runs", "--output", "json").expect(0).json()["runs"]
    return str(rows[0]["runner"])


def test_denial_stops_a_run_under_way(world: World) -> None:
    """An approver takes it back while it runs: nothing more is dispatched, and what was done is undone."""
    before = world.fingerprints()
    running = held(world, world.approved("hold", *ONE))
    world.cli("deny", "fix.plan.json", "--key", world.key("carol"), "--comment", "stop it").expect(0)
    world.go("web1")
    running.wait().expect(4)
    assert differences(before, world.fingerprints()) == {}
    assert "s03-file" not in {e.body["step"] for e in world.intents()}


# -- a human settles what nobody can know --


def reboot_in_flight(world: World, runbook: str) -> Running:
    """The runner is killed and the host loses power while the command waits: what became of it, only a human
    can say. Returns the run that goes on."""
    held_ = world.start("run", world.approved(runbook, *ONE))
    world.wait_for("intent", verb="apply", target="web1")
    world.at_work("web1")
    held_.kill_all()
    world.lab.power_off("web1")
    world.lab.power_on("web1")
    return world.start("run", "fix.plan.json")


@pytest.mark.slow
@pytest.mark.parametrize(("verdict", "code"), [("applied", 0), ("not-applied", 4)])
def test_decision_while_the_run_waits(world: World, verdict: str, code: int) -> None:
    running = reboot_in_flight(world, "hold-opaque")
    world.wait_for("probed", verdict="unknown")
    assert "in doubt" in world.cli("status", "last").expect(6).out
    argv = ("decide", "last", "s01-command", "web1", verdict, "--key", world.key("dan"))
    assert "decided by dan" in world.cli(*argv, "--comment", "I looked").expect(0).out
    running.wait().expect(code)
    complete(world)
    world.cli("audit", "--all").expect(0)


@pytest.mark.slow
def test_decision_after_patience_ran_out(world: World) -> None:
    """Exit 5 with the host still locked; wrong decisions are refused; then a signed one settles it."""
    before = world.fingerprints()
    reboot_in_flight(world, "hold-opaque-briefly").wait().expect(5)
    assert world.finals() == {"web1": "needs-human"}
    assert world.locks() == {"web1": world.run}
    key = world.key("dan")
    count = world.count()
    for step, target, word in (("s01-command", "web2", "no step"), ("s09", "web1", "no step")):
        done = world.cli("decide", "last", step, target, "applied", "--key", key).expect(2)
        assert word in done.err
        assert "in doubt: s01-command on web1" in done.err
    nobody = world.root / "stranger"
    world.keygen(nobody)
    world.cli("decide", "last", "s01-command", "web1", "applied", "--key", nobody).expect(2)
    assert world.count() == count
    world.cli("decide", "last", "s01-command", "web1", "not-applied", "--key", key).expect(0)
    world.cli("resume", "last").expect(4)
    assert world.locks() == {}
    assert differences(before, world.fingerprints()) == {}
    complete(world)
