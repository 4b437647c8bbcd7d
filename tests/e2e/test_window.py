"""A run that is late: nothing begins that the window can't hold together with its rollback."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.ticket import complete
from tests.e2e.world import World, differences, until

pytestmark = [pytest.mark.lab, pytest.mark.slow]


def test_window_closes_during_the_run(world: World) -> None:
    """The step in flight takes long; the one after it would need 33 s with its rollback, and isn't begun."""
    before = world.fingerprints()
    # A busy machine takes its time between the plan and the first step, which the window has to hold as well.
    began = time.monotonic()
    world.approved("hold-in-window", "--limit", "web1", "--window", "now/10m", file="other.plan.json")
    length = 60 + 3 * int(time.monotonic() - began)
    plan = world.approved("hold-in-window", "--limit", "web1", "--window", f"now/{length}s")
    end = datetime.fromisoformat(json.loads(plan.read_text())["window"]["end"])
    running = world.start("run", plan)
    world.wait_for("intent", verb="apply", step="s02-command")
    until(lambda: datetime.now(UTC) > end - timedelta(seconds=33), length)
    world.go("web1")
    done = running.wait().expect(4)
    assert "point of no return" in done.out
    assert "s03-file" not in {e.body["step"] for e in world.intents()}
    assert differences(before, world.fingerprints()) == {}
    complete(world)


def test_window_that_holds_the_run(world: World) -> None:
    world.go("web1")
    plan = world.approved("hold-in-window", "--limit", "web1", "--window", "now/10m")
    world.cli("run", plan).expect(0)


def test_window_that_can_not_hold_the_first_wave(world: World) -> None:
    argv = ("plan", "hold-in-window", "--ticket", "T-1", "--window", "now/20s", "-o", "fix.plan.json")
    done = world.cli(*argv).expect(3)
    assert "can't hold even the first wave" in done.err
    assert not (world.root / "fix.plan.json").exists()
