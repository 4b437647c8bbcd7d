"""`kill -9` at any moment: the same command goes on, and in the end every target is verified.

The default is a bounded choice of moments; ``REMEDIATE_FULL=1`` tries every event and every fsync.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from tests.e2e.crash import MOMENTS, Ready, Trial, again, killed, ready, trial
from tests.e2e.world import FULL, repeats

pytestmark = [pytest.mark.lab, pytest.mark.slow]


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
    missed = [
        e.body["step"] for e in world.events() if e.kind == "probed" and e.body["verdict"] == "not-applied"
    ]
    # Nothing failed, so nothing is taken back; but who is killed twice before the same effect gives it up.
    assert done.code == (4 if repeats(missed) else 0), done.said


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace kills at a chosen system call")
@pytest.mark.parametrize("number", range(1, 36) if FULL else (2, 9, 21))
def test_killed_at_the_nth_fsync_of_the_journal(fresh: Trial, number: int) -> None:
    """Between a record and its durability: deterministic, in the very system call."""
    world = fresh.world
    wal = world.journal.with_name("journal.db-wal")
    world.cli("runs").expect(0)
    inject = f"inject=fsync,fdatasync:signal=SIGKILL:when={number}"
    only = [word for path in (wal, world.journal) for word in ("-P", str(path))]
    what = ["-e", "trace=fsync,fdatasync", "-e", inject]
    strace = ["strace", "-f", "-qqq", "-o", "/dev/null", *only, *what]
    killed = world.start("run", "fix.plan.json", before=strace).wait()
    assert killed.code in (-9, 137), killed.said
    fresh.settled(again(world).expect(0))
