"""`kill -9` while something is at work on a host: it is found and ended or waited for, and done once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from tests.e2e.conftest import new_world
from tests.e2e.crash import Ready, killed, leftovers, trial
from tests.e2e.ticket import complete
from tests.e2e.world import World, differences
from tests.reliability import record

pytestmark = [pytest.mark.lab, pytest.mark.slow]


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
        assert killed(world, running, when[moment])
        orphans = _ansible(run)
        assert orphans or moment == "dpkg works"
        second = world.start("run", "fix.plan.json")
        world.wait_for("probed", step="s02-playbook")
        assert not _ansible(run), "it was dead before anybody looked at the host"
        done = second.wait().expect(0)
        assert not set(orphans) & set(leftovers(run))
        kinds = [(e.kind, e.body.get("step")) for e in world.events()]
        taken = kinds.index(("run-taken", None))
        assert ("probed", "s02-playbook") in kinds[taken:]
        made.settled(done)
        assert world.upgrades("web1").count("upgrade 1.0-1 1.1-1") == 1
    what = "a run, while its ansible-playbook goes on"
    record("crashes", what, moment, "the playbook is ended, then probed; verified new")


def test_killed_while_a_command_works_on_the_host(world: World) -> None:
    """The command goes on without us, is waited for, and is not begun again."""
    plan = world.approved("hold", "--limit", "web1")
    running = world.start("run", plan)
    intent = world.wait_for("intent", verb="apply", step="s02-command")
    world.at_work("web1")
    running.kill_all()
    again = world.start("run", plan)
    world.wait_for("probed", verdict="running", target="web1")
    assert not [e for e in world.events() if e.kind == "intent" and e.number > intent.number]
    world.go("web1")
    again.wait().expect(0)
    assert world.held("web1") == 1
    complete(world)
    what = "a run, while its command goes on on the host"
    record("crashes", what, "as it works", "the command is waited for, and done once")


def test_killed_before_its_first_event_leaves_the_hosts_free(world: World) -> None:
    """Between the lease and the first record: nothing was done, and another plan may have the hosts."""
    plan = world.approved("hold", "--limit", "web1")
    other = world.approved("hold", "text=other", "--limit", "web1", file="other.plan.json")
    running = world.start("run", plan)
    killed(world, running, lambda: bool(world.locks()))
    if world.events():
        pytest.skip("it was too fast to be killed there")
    world.go("web1")
    world.cli("run", other).expect(0)
    assert world.on("web1", "cat", "/etc/e2e-1") == "other\n"
