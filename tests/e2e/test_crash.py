"""`kill -9` at any moment: the same command goes on, and in the end every target is verified.

The default is a bounded choice of moments; ``REMEDIATE_FULL=1`` tries every event and every fsync.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from tests.e2e.crash import (
    MOMENTS,
    Ready,
    Trial,
    again,
    end,
    given_up,
    killed,
    killed_at_call,
    killed_at_sync,
    ready,
    trial,
)
from tests.e2e.world import FULL
from tests.reliability import record

pytestmark = [pytest.mark.lab, pytest.mark.slow]

#: Two hosts and ten steps are never fewer groups of records than this.
FEWEST_SYNCS = 30
#: More than there are of fsyncs, and of moments around calls.
SYNCS, CALLS = 71, 81


@pytest.fixture(scope="module")
def upgrade(e2e_lab: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """web1 and web2 to 1.1-1, which works."""
    yield from ready(e2e_lab, tmp_path_factory.mktemp("upgrade"), "1.1-1", ("web1", "web2"), 0)


@pytest.fixture
def fresh(e2e_lab: Hosts, upgrade: Ready, tmp_path: Path) -> Iterator[Trial]:
    """Of `upgrade`."""
    with trial(e2e_lab, upgrade, tmp_path / "project") as made:
        yield made


@pytest.mark.parametrize("percent", MOMENTS)
def test_killed_after_any_event(fresh: Trial, percent: int) -> None:
    """Killed when so many events stand in the journal; every other time with all of its children; then the
    one that goes on is killed as well, somewhat later."""
    world, count = fresh.world, fresh.ready.moment(percent)
    first = world.start("run", "fix.plan.json")
    assert killed(world, first, lambda: len(world.events()) >= count, all_=count % 2 == 0)
    seen = len(world.events())
    second = world.start("run", "fix.plan.json")
    killed(world, second, lambda: len(world.events()) >= seen + 1 + count % 7)
    done = again(world)
    if done.code == 3 and "used up" in done.err:
        done = second.wait()
    fresh.settled(done)
    # Nothing failed, so nothing is taken back; but who is killed twice before the same effect gives it up.
    assert done.code == (4 if given_up(world) else 0), done.said
    if not FULL:
        record("crashes", "a run, and the run that goes on", f"at {percent} % of its events", "verified")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace kills at a chosen system call")
@pytest.mark.parametrize("number", range(1, SYNCS) if FULL else (2, 9, 21))
def test_killed_at_the_nth_fsync_of_the_journal(fresh: Trial, number: int) -> None:
    """Between a record and its durability: in the very system call. The run that goes on too."""
    world = fresh.world
    if not killed_at_sync(world, number):
        assert number > FEWEST_SYNCS
        pytest.skip("the journal was not written so often")
    assert number < SYNCS - 1, "there may be more of them"
    killed_at_sync(world, 1 + number % 6)
    done = end(world)
    fresh.settled(done)
    assert done.code == (4 if given_up(world) else 0), done.said
    if not FULL:
        where = f"in fsync {number} of the journal, and in an early one of the next process"
        record("crashes", "a run, and the run that goes on", where, "verified")


#: Where the run is killed, what that means, and where the run that goes on is killed.
AROUND = [
    ("before apply s02-package", "between an intent and its effect", "before probe"),
    ("after sending launch", "while the host works, before it answers", "after quiesce"),
    ("after apply s02-package", "between an effect and its outcome", "after probe"),
]


@pytest.mark.parametrize(("first", "where", "second"), AROUND)
def test_killed_around_a_call(fresh: Trial, first: str, where: str, second: str) -> None:
    assert killed_at_call(fresh.world, first)
    assert killed_at_call(fresh.world, second)
    fresh.settled(again(fresh.world).expect(0))
    record("crashes", "a run, then its recovery", f"{where}; then {second}", "verified new")


@pytest.mark.parametrize("number", range(1, CALLS) if FULL else ())
def test_killed_around_every_call(fresh: Trial, number: int) -> None:
    """And the run that goes on around one of its first calls."""
    world = fresh.world
    assert len(fresh.ready.calls) < CALLS
    if number > len(fresh.ready.calls):
        pytest.skip("there are fewer calls")
    assert killed_at_call(world, str(number))
    killed_at_call(world, str(1 + number % 8))
    done = end(world)
    fresh.settled(done)
    assert done.code == (4 if given_up(world) else 0), done.said
