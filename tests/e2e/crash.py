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
from tests.e2e.world import FULL, REPO, Done, Running, World, differences, repeats, until

Changes = dict[str, tuple[object, object]]
HOOKS = Path(__file__).parent / "hooks"


@dataclass
class Ready:
    """An approved plan, what it changes on its hosts, and the events of an undisturbed run of it."""

    world: World
    hosts: tuple[str, ...]
    changes: Changes
    kinds: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    """Moments around calls of adapters, as `at_call` names them."""

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
            copy.cli("run", plan.name, env=at_call(copy)).expect(code)
            changes = differences(before, copy.fingerprints(hosts))
            kinds = tuple(e.kind for e in copy.events())
            seen = calls(copy)
        assert bool(changes) == (code == 0)
        yield Ready(world, hosts, changes, kinds, seen)


def at_call(world: World, at: str = "", send: str = "SIGKILL") -> dict[str, str]:
    """The environment in which the program gets a signal at this moment (see `hooks`), and tells of all."""
    number = len(list(world.temp.glob("calls-*")))
    file = world.temp / f"calls-{number}"
    file.touch()
    paths = f"{HOOKS}:{REPO}"
    return {"PYTHONPATH": paths, "E2E_CALLS": str(file), "E2E_AT": at, "E2E_SIGNAL": send}


def calls(world: World, number: int = 0) -> tuple[str, ...]:
    """The moments that a process told of, the first by default."""
    return tuple((world.temp / f"calls-{number}").read_text().splitlines())


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


def killed_at_call(world: World, at: str) -> bool:
    """Run it, and kill it at this moment around a call of an adapter; False if it didn't come there."""
    done = world.start("run", "fix.plan.json", env=at_call(world, at)).wait()
    assert done.code in (-9, 0, 4), done.said
    return done.code == -9


def killed_at_sync(world: World, number: int) -> bool:
    """Run it, and kill it in the very system call that makes the journal durable for the n-th time; False
    if it ended before."""
    world.cli("runs").expect(0)
    wal = world.journal.with_name("journal.db-wal")
    only = [word for path in (wal, world.journal) for word in ("-P", str(path))]
    inject = f"inject=fsync,fdatasync:signal=SIGKILL:when={number}"
    strace = ["strace", "-f", "-qqq", "-o", "/dev/null", *only, "-e", "trace=fsync,fdatasync", "-e", inject]
    done = world.start("run", "fix.plan.json", before=strace).wait()
    assert done.code in (-9, 137, 0, 4), done.said
    return done.code in (-9, 137)


def end(world: World) -> Done:
    """The last of the killed runs' successors; a run that had ended by itself can't be run again."""
    done = again(world)
    if done.code == 3 and "used up" in done.err:
        finished = next(e for e in reversed(world.events()) if e.kind == "run-finished")
        return Done(done.argv, finished.body["exit_code"], done.out, done.err)
    return done


def given_up(world: World) -> bool:
    """Whether an effect was twice found not to have happened: then the run goes back."""
    missed = [
        (e.body["step"], e.body["target"])
        for e in world.events()
        if e.kind == "probed" and e.body["verdict"] == "not-applied"
    ]
    return bool(repeats(missed))


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
