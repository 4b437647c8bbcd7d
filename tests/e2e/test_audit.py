"""What `remediate audit` says of a real run whose record somebody rewrote, with every hash made anew."""

from __future__ import annotations

import pytest

from tests.e2e.world import World
from tests.service import forger
from tests.service.world import World as Project

pytestmark = pytest.mark.lab


def test_a_rewritten_record_of_a_real_run(world: World) -> None:
    """Edited, put back, set back to an older copy, and cut off."""
    project = Project(world.root)
    plan = world.approved("hold", "--limit", "web1")
    running = world.start("run", plan)
    world.at_work("web1")
    forger.keep(project, world.temp / "earlier")
    world.go("web1")
    running.wait().expect(0)
    world.cli("audit", "last").expect(0)
    forger.keep(project, world.temp / "whole")
    for change in (
        forger.edited("settled", evidence="all is well"),
        forger.deleted("verified"),
        lambda rows: rows[:-1],
    ):
        forger.forge(project, change)
        done = world.cli("audit", "last").expect(5)
        assert "V14" in done.out
        forger.restore(project, world.temp / "whole")
        world.cli("audit", "--all").expect(0)
    forger.restore(project, world.temp / "earlier")
    done = world.cli("audit", "last").expect(5)
    assert "its end was cut off, or an older copy was put in its place" in done.out
    forger.restore(project, world.temp / "whole")
