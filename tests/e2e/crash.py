"""What the tests of `kill -9` share: an approved plan, its undisturbed run, and what must hold in the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from remediate.lab.hosts import Hosts
from tests.e2e.conftest import new_world
from tests.e2e.ticket import complete
from tests.e2e.world import FULL, Done, Running, World, differences, repeats, until

Changes = dict[str, tuple[object, object]]


@dataclass
class Ready:
    """An approved plan, what it changes on its hosts, and the events of an undisturbed run of it."""

    world: World
    hosts: tuple[str, ...]
    changes: Changes
    kinds: tuple[str, ...] = ()

    def moment(self, percent: int, after: str = "run-started") -> int:
        """The number of events, counted from the first ``after``, at this part of the way to the end."""
        count = len(self.kinds) - self.kinds.index(after)
        return 1 + percent * (count - 2) // 100


def ready(lab: Hosts, folder: Path, version: str, hosts: tuple[str, ...], code: int) -> Iterator[Ready]:
    """Planned and approved; what the run does is learnt from one that nothing disturbs, in a copy."""
    with new_world(lab, folder) as world:
        before = world.fingerprints(hosts)
        plan = world.approved("upgrade-shop", f"version={version}", "--limit", ",".join(hosts))
        with world.copy(folder / "undisturbed") as copy:
            copy.cli("run", plan.name).expect(code)
            changes = differences(before, copy.fingerprints(hosts))
            kinds = tuple(e.kind for e in copy.events())
        assert bool(changes) == (code == 0)
        yield Ready(world, hosts, changes, kinds)


def killed(world: World, start: Running, when: Callable[[], bool], *, all_: bool = False) -> bool:
    """Kill it at this moment; False if it ended before."""

    def now() -> bool:
        return start.process.poll() is not None or when()

    until(now, 120)
    if start.process.poll() is not None:
        return False
    start.kill_all() if all_ else start.kill()
    return True


def settled(ready: Ready, before: dict[str, object], world: World, done: Done) -> None:
    """What has to be true at the end, whatever happened on the way."""
    assert done.code in (0, 4), done.said
    finals = world.finals()
    assert set(finals) == set(ready.hosts)
    new = tuple(f"{host} " for host, final in finals.items() if final == "verified-new")
    expected = {key: change for key, change in ready.changes.items() if new and key.startswith(new)}
    assert differences(before, world.fingerprints(ready.hosts)) == expected
    for host in ready.hosts:
        _once(world.upgrades(host))
    intents = [e for e in world.events() if e.kind == "intent"]
    names = [tuple(e.body[k] for k in ("verb", "step", "target", "attempt")) for e in intents]
    assert repeats(names) == []
    assert world.locks() == {}
    assert leftovers(world.run) == []
    complete(world)
    world.cli("audit", world.run).expect(0)


def _once(upgrades: list[str]) -> None:
    """Every installation begins where the one before it ended: nothing was installed twice."""
    version = "<none>"
    for line in upgrades:
        _, old, new = line.split()
        assert old == version, upgrades
        assert old != new, upgrades
        version = new


def leftovers(run: str) -> list[int]:
    """Processes of this machine that bear the mark of the run."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            marked = f"REMEDIATE_TOKEN={run}.".encode() in (folder / "environ").read_bytes()
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        # A shared SSH connection does nothing by itself, and ends a minute after its last use.
        if marked and words and b"[mux]" not in words:
            found.append(int(folder.name))
    return found


def again(world: World) -> Done:
    return world.cli("run", "fix.plan.json")


#: How far a run has come when it is killed, in percent.
MOMENTS = range(0, 101, 2) if FULL else (0, 25, 50, 75, 100)


@dataclass
class Trial:
    """A copy of an approved project, over pristine hosts."""

    ready: Ready
    world: World
    before: dict[str, object]

    def settled(self, done: Done) -> None:
        """What has to be true at the end."""
        settled(self.ready, self.before, self.world, done)


@contextmanager
def trial(lab: Hosts, ready: Ready, root: Path) -> Iterator[Trial]:
    """The plan still fits: the hosts are as they were when it was made."""
    lab.reset(lambda _: None)
    with ready.world.copy(root) as world:
        yield Trial(ready, world, world.fingerprints(ready.hosts))
