"""An undo that is wrong is found out; a step without undo needs more approval, and says so to the end."""

from __future__ import annotations

import pytest

from tests.e2e.ticket import complete
from tests.e2e.world import World

pytestmark = pytest.mark.lab

ONE = ("--limit", "web1")


@pytest.mark.parametrize(
    ("undo", "left"),
    [("true", ("/etc/e2e-1", "/etc/e2e-2")), ("rm /etc/e2e-1", ("/etc/e2e-2",))],
    ids=["none", "half"],
)
def test_undo_that_only_says_that_it_worked(world: World, undo: str, left: tuple[str, ...]) -> None:
    """Nobody's word is taken for it: the host is read back, needs a human, and says what is left."""
    done = world.cli("run", world.approved("bad-undo", f"undo={undo}", *ONE)).expect(5)
    settled = next(e for e in world.events() if e.kind == "settled")
    assert settled.body["final"] == "needs-human"
    for path in ("/etc/e2e-1", "/etc/e2e-2"):
        assert (path in settled.body["evidence"]) == (path in left)
        assert (path in done.out) or path not in left
    assert world.locks() == {"web1": world.run}
    complete(world)
    assert any(path in world.cli("report", "last").expect(0).out for path in left)
    world.on("web1", "sudo", "rm", "-f", "/etc/e2e-1", "/etc/e2e-2")
    world.cli("run", "fix.plan.json").expect(4)
    assert world.locks() == {}


@pytest.mark.slow
def test_undo_that_fails(world: World) -> None:
    """Tried three times, then a human is asked; when the cause is mended, the same command ends it."""
    undo = "test -e /var/lib/e2e-mended && rm /etc/e2e-1 /etc/e2e-2"
    world.cli("run", world.approved("bad-undo", f"undo={undo}", *ONE)).expect(5)
    undone = [e for e in world.intents() if e.body["verb"] == "undo" and e.body["step"] == "s01-command"]
    assert len(undone) == 3
    assert world.finals() == {"web1": "needs-human"}
    (world.disk("web1") / "var/lib/e2e-mended").touch()
    world.cli("run", "fix.plan.json").expect(4)
    assert world.finals() == {"web1": "verified-original"}
    complete(world)


def test_irreversible_step_needs_the_higher_approval(world: World) -> None:
    plan = world.plan("irreversible", *ONE)
    assert "the old log is gone" in world.cli("show", plan).expect(0).out
    world.approve(plan, "carol")
    done = world.cli("run", plan).expect(6)
    assert "a step that nothing can undo: 1 more approval needed" in done.err
    assert world.intents() == []
    world.approve(plan, "dan")
    world.cli("run", plan).expect(0)
    back = world.cli("rollback", "last").expect(5)
    assert "can't be undone: the old log is gone" in back.out
    assert world.locks() == {"web1": world.run}


def test_failure_after_an_irreversible_step(world: World) -> None:
    plan = world.plan("irreversible", "fail=true", *ONE)
    world.approve(plan, "carol", "dan")
    world.cli("run", plan).expect(5)
    assert world.finals() == {"web1": "needs-human"}
