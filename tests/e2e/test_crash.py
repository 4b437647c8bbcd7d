"""`kill -9` at any moment: the same command goes on, and in the end every target is verified.

The default is a bounded choice of moments; ``REMEDIATE_FULL=1`` tries every event and every fsync.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from tests.e2e.conftest import new_world
from tests.e2e.ticket import complete
from tests.e2e.world import FULL, Done, Running, World, differences, repeats, until

pytestmark = [pytest.mark.lab, pytest.mark.slow]

#: Events of an undisturbed run of `upgrade-shop` on two hosts, and of one that rolls back.
FORWARD, BACK = 34, 30


Changes = dict[str, tuple[object, object]]


@dataclass
class Ready:
    """An approved plan, and what it changes on its hosts."""

    world: World
    hosts: tuple[str, ...]
    changes: Changes


def _ready(lab: Hosts, folder: Path, version: str, hosts: tuple[str, ...], code: int) -> Iterator[Ready]:
    """Planned and approved; what the run does is learnt from one that nothing disturbs, in a copy."""
    with new_world(lab, folder) as world:
        before = world.fingerprints(hosts)
        plan = world.approved("upgrade-shop", f"version={version}", "--limit", ",".join(hosts))
        with world.copy(folder / "undisturbed") as copy:
            copy.cli("run", plan.name).expect(code)
            changes = differences(before, copy.fingerprints(hosts))
        assert bool(changes) == (code == 0)
        yield Ready(world, hosts, changes)


@pytest.fixture(scope="module")
def upgrade(e2e_lab: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """web1 and web2 to 1.1-1, which works."""
    yield from _ready(e2e_lab, tmp_path_factory.mktemp("upgrade"), "1.1-1", ("web1", "web2"), 0)


@pytest.fixture(scope="module")
def failing(e2e_lab: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """web1 and web3 to 1.2-1, which fails on web3."""
    yield from _ready(e2e_lab, tmp_path_factory.mktemp("failing"), "1.2-1", ("web1", "web3"), 4)


def _killed(world: World, start: Running, when: Callable[[], bool], *, all_: bool = False) -> bool:
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


def _again(world: World) -> Done:
    return world.cli("run", "fix.plan.json")


def _points(count: int, some: int) -> list[int]:
    return list(range(1, count)) if FULL else [1 + round(i * (count - 3) / (some - 1)) for i in range(some)]


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


@pytest.fixture
def fresh(e2e_lab: Hosts, upgrade: Ready, tmp_path: Path) -> Iterator[Trial]:
    """Of `upgrade`."""
    with trial(e2e_lab, upgrade, tmp_path / "project") as made:
        yield made


@pytest.fixture
def doomed(e2e_lab: Hosts, failing: Ready, tmp_path: Path) -> Iterator[Trial]:
    """Of `failing`."""
    with trial(e2e_lab, failing, tmp_path / "project") as made:
        yield made


@pytest.mark.parametrize("count", _points(FORWARD, 10))
def test_killed_after_any_event(fresh: Trial, count: int) -> None:
    """Killed when so many events stand in the journal; every other time with all of its children; then the
    one that goes on is killed as well, somewhat later."""
    world = fresh.world
    first = world.start("run", "fix.plan.json")
    assert _killed(world, first, lambda: len(world.events()) >= count, all_=count % 2 == 0)
    seen = len(world.events())
    second = world.start("run", "fix.plan.json")
    _killed(world, second, lambda: len(world.events()) >= seen + 1 + count % 7)
    done = _again(world)
    if done.code == 3 and "used up" in done.err:
        done = second.wait()
    fresh.settled(done.expect(0))
    assert set(world.finals().values()) == {"verified-new"}, "nothing failed, so nothing is taken back"


@pytest.mark.parametrize("count", _points(BACK, 6))
def test_killed_during_rollback(doomed: Trial, count: int) -> None:
    """Also the undo goes on where it was, and the host that never failed goes back too."""
    world = doomed.world

    def back() -> int:
        kinds = [e.kind for e in world.events()]
        return len(kinds) - kinds.index("rollback-started") if "rollback-started" in kinds else 0

    if not _killed(world, world.start("run", "fix.plan.json"), lambda: back() >= count):
        pytest.skip("this run rolled back in fewer events")
    second = world.start("run", "fix.plan.json")
    seen = back()
    _killed(world, second, lambda: back() >= seen + 2 + count % 3)
    done = _again(world)
    if done.code == 3 and "used up" in done.err:
        done = second.wait()
    doomed.settled(done.expect(4))
    assert set(world.finals().values()) == {"verified-original"}


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace kills at a chosen system call")
@pytest.mark.parametrize("number", list(range(1, 60)) if FULL else [1, 2, 4, 9, 17])
def test_killed_at_the_nth_fsync_of_the_journal(fresh: Trial, number: int) -> None:
    """Between a record and its durability: deterministic, in the very system call."""
    world = fresh.world
    wal = world.journal.with_name("journal.db-wal")
    world.cli("runs").expect(0)
    inject = f"inject=fsync,fdatasync:signal=SIGKILL:when={number}"
    only = [word for path in (wal, world.journal) for word in ("-P", str(path))]
    what = ["-e", "trace=fsync,fdatasync", "-e", inject]
    strace = ["strace", "-f", "--seccomp-bpf", "-qqq", "-o", "/dev/null", *only, *what]
    killed = world.start("run", "fix.plan.json", before=strace).wait()
    if killed.code == 0:
        pytest.skip("this run needed fewer")
    assert killed.code in (-9, 137)
    fresh.settled(_again(world).expect(0))


@pytest.fixture(scope="module")
def playbook(e2e_lab: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """`patch-package` on web1 alone, by Ansible."""
    with new_world(e2e_lab, tmp_path_factory.mktemp("playbook")) as world:
        before = world.fingerprints(("web1",))
        world.approved("patch-package", "package=shop", "version=1.1-1", "--limit", "web1")
        # What it leaves is what apt leaves.
        world.on("web1", "sudo", "apt-get", "install", "-qy", "shop=1.1-1")
        yield Ready(world, ("web1",), differences(before, world.fingerprints(("web1",))))


def _ansible(run: str) -> list[int]:
    found = []
    for pid in leftovers(run):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"ansible-playbook" in words and b"--check" not in words:
            found.append(pid)
    return found


def _dpkg_at_work(world: World) -> bool:
    log = world.disk("web1") / "var/log/dpkg.log"
    return bool(re.search(r" upgrade shop:all 1\.0-1 1\.1-1", log.read_text()))


@pytest.mark.parametrize("moment", ["it starts", "dpkg works"])
def test_killed_while_ansible_works(e2e_lab: Hosts, playbook: Ready, tmp_path: Path, moment: str) -> None:
    """Killing the program leaves ansible-playbook at work: it is ended, and its end confirmed, before anybody
    looks at the host; the package is installed once."""
    with trial(e2e_lab, playbook, tmp_path / "project") as made:
        world = made.world
        running = world.start("run", "fix.plan.json")
        world.wait_for("intent", verb="apply", step="s02-playbook")
        run = world.run
        when = {"it starts": lambda: bool(_ansible(run)), "dpkg works": lambda: _dpkg_at_work(world)}
        assert _killed(world, running, when[moment])
        orphans = _ansible(run)
        assert orphans or moment == "dpkg works"
        done = _again(world).expect(0)
        assert not set(orphans) & set(leftovers(run))
        kinds = [(e.kind, e.body.get("step")) for e in world.events()]
        taken = kinds.index(("run-taken", None))
        assert ("probed", "s02-playbook") in kinds[taken:]
        made.settled(done)
        assert world.upgrades("web1").count("upgrade 1.0-1 1.1-1") == 1


def test_killed_while_a_command_works_on_the_host(world: World) -> None:
    """The command goes on without us, is waited for, and is not begun again."""
    plan = world.approved("hold", "--limit", "web1")
    running = world.start("run", plan)
    intent = world.wait_for("intent", verb="apply", step="s02-command")
    until(lambda: "e2e-go" in world.lab.exec("web1", ["ps", "axo", "args"]).stdout)
    running.kill_all()
    again = world.start("run", plan)
    world.wait_for("probed", verdict="running", target="web1")
    assert not [e for e in world.events() if e.kind == "intent" and e.number > intent.number]
    world.go("web1")
    again.wait().expect(0)
    assert world.held("web1") == 1
    complete(world)


def test_killed_before_its_first_event_leaves_the_hosts_free(world: World) -> None:
    """Between the lease and the first record: nothing was done, and another plan may have the hosts."""
    plan = world.approved("hold", "--limit", "web1")
    other = world.approved("hold", "text=other", "--limit", "web1", file="other.plan.json")
    running = world.start("run", plan)
    _killed(world, running, lambda: bool(world.locks()))
    if world.events():
        pytest.skip("it was too fast to be killed there")
    world.go("web1")
    world.cli("run", other).expect(0)
    assert world.on("web1", "cat", "/etc/e2e-1") == "other\n"
