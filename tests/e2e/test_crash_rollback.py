"""`kill -9` while a run rolls back, and while the one that goes on does.

The default is a bounded choice of moments; ``REMEDIATE_FULL=1`` tries every event.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from tests.e2e.crash import MOMENTS, Ready, Trial, again, killed, ready, trial

pytestmark = [pytest.mark.lab, pytest.mark.slow]


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
