"""`kill -9` while a run rolls back, and while the one that goes on does.

The default is a bounded choice of moments; ``REMEDIATE_FULL=1`` tries every event, call and fsync.
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
    killed,
    killed_at_call,
    killed_at_sync,
    ready,
    trial,
)
from tests.e2e.world import FULL
from tests.reliability import record

pytestmark = [pytest.mark.lab, pytest.mark.slow]

#: The rollback of two hosts is never fewer groups of records than this.
FEWEST_SYNCS = 15
#: More than there are of fsyncs, and of moments around calls.
SYNCS, CALLS = 101, 161


@pytest.fixture(scope="module")
def failing(e2e_lab: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """web1 and web3 to 1.2-1, which fails on web3."""
    yield from ready(e2e_lab, tmp_path_factory.mktemp("failing"), "1.2-1", ("web1", "web3"), 4)


@pytest.fixture
def doomed(e2e_lab: Hosts, failing: Ready, tmp_path: Path) -> Iterator[Trial]:
    """Of `failing`."""
    with trial(e2e_lab, failing, tmp_path / "project") as made:
        yield made


@pytest.mark.parametrize("percent", MOMENTS)
def test_killed_during_rollback(doomed: Trial, percent: int) -> None:
    """Also the undo goes on where it was, and the host that never failed goes back too."""
    world, count = doomed.world, doomed.ready.moment(percent, "rollback-started")

    def back() -> int:
        kinds = [e.kind for e in world.events()]
        return len(kinds) - kinds.index("rollback-started") if "rollback-started" in kinds else 0

    assert killed(world, world.start("run", "fix.plan.json"), lambda: back() >= count)
    second = world.start("run", "fix.plan.json")
    seen = back()
    killed(world, second, lambda: back() >= seen + 2 + count % 3)
    done = again(world)
    if done.code == 3 and "used up" in done.err:
        done = second.wait()
    doomed.settled(done.expect(4))
    assert set(world.finals().values()) == {"verified-original"}
    if not FULL:
        where = f"at {percent} % of the rollback's events"
        record("crashes", "a rollback, and the run that goes on", where, "verified original")


def taken_back(doomed: Trial) -> None:
    """The end, whatever happened on the way."""
    doomed.settled(end(doomed.world).expect(4))
    assert set(doomed.world.finals().values()) == {"verified-original"}


#: Where the rollback is killed, what that means, and where the run that goes on is killed.
AROUND = [
    ("before undo", "between the intent of an undo and its effect", "before quiesce"),
    ("after undo", "between the effect of an undo and its outcome", "after quiesce"),
]


@pytest.mark.parametrize(("first", "where", "second"), AROUND)
def test_killed_around_an_undo(doomed: Trial, first: str, where: str, second: str) -> None:
    assert killed_at_call(doomed.world, first)
    assert killed_at_call(doomed.world, second)
    taken_back(doomed)
    record("crashes", "a rollback, then its recovery", f"{where}; then {second}", "verified original")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace kills at a chosen system call")
@pytest.mark.parametrize("number", range(1, 41) if FULL else (3,))
def test_recovery_of_a_rollback_killed_at_the_nth_fsync(doomed: Trial, number: int) -> None:
    assert killed_at_call(doomed.world, "before undo")
    if not killed_at_sync(doomed.world, number):
        assert number > FEWEST_SYNCS
        pytest.skip("the journal was not written so often")
    taken_back(doomed)
    if not FULL:
        where = f"in fsync {number} of the journal"
        record("crashes", "the recovery of a killed rollback", where, "verified original")


@pytest.mark.parametrize("number", range(1, SYNCS) if FULL else ())
def test_killed_at_every_fsync_on_the_way_there_and_back(doomed: Trial, number: int) -> None:
    if not killed_at_sync(doomed.world, number):
        assert number > 2 * FEWEST_SYNCS
        pytest.skip("the journal was not written so often")
    assert number < SYNCS - 1, "there may be more of them"
    killed_at_sync(doomed.world, 1 + number % 6)
    taken_back(doomed)


@pytest.mark.parametrize("number", range(1, CALLS) if FULL else ())
def test_killed_around_every_call_there_and_back(doomed: Trial, number: int) -> None:
    """And the run that goes on around one of its first calls."""
    assert len(doomed.ready.calls) < CALLS
    if number > len(doomed.ready.calls):
        pytest.skip("there are fewer calls")
    killed_at_call(doomed.world, str(number))
    killed_at_call(doomed.world, str(1 + number % 8))
    taken_back(doomed)
