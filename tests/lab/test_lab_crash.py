"""The lab's hosts when commands are killed, run twice, or leave their terminal; and nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import remediate
from remediate.lab import cgroups, image
from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout

pytestmark = [pytest.mark.lab, pytest.mark.slow]

UP = """
import sys
from contextlib import suppress
from pathlib import Path
from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
home, prefix, network, cache, total = sys.argv[1:]
Hosts(Layout(Path(home), prefix, network, Path(cache)), int(total)).up(lambda line: print(line, flush=True))
"""


def quiet(_line: str) -> None:
    pass


def up_command(layout: Layout, total: int) -> list[str]:
    places = [str(layout.home), layout.prefix, layout.network, str(layout.cache)]
    return [sys.executable, "-c", UP, *places, str(total)]


def environment() -> dict[str, str]:
    root = str(Path(remediate.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": root}


def start_up(layout: Layout, total: int = 2) -> subprocess.Popen[str]:
    return subprocess.Popen(
        up_command(layout, total),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def commands() -> list[str]:
    """The command line of every process."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(process.read_text(errors="replace").replace("\0", " "))
    return found


def names_left(layout: Layout) -> dict[str, list[str]]:
    """Everything that bears the lab's names: it must all be gone after ``down``."""
    prefix = layout.prefix
    links = [path.name for path in Path("/sys/class/net").iterdir()]
    namespaces = list(Path("/run/netns").glob(f"{prefix}-*")) if Path("/run/netns").exists() else []
    mounts = [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(layout.home) in line
    ]
    groups = [str(mount / prefix) for mount in cgroups.hierarchies() if (mount / prefix).exists()]
    return {
        "links": [name for name in links if name == layout.bridge or name.startswith(f"{prefix}-")],
        "namespaces": [path.name for path in namespaces],
        "mounts": mounts,
        "groups": groups,
        "processes": [words for words in commands() if f"{layout.home}/" in words],
        "disks": [str(path) for path in layout.hosts.glob("*/*") if path.name != "keys"],
    }


def nothing_left(layout: Layout) -> None:
    assert not {what: left for what, left in names_left(layout).items() if left}


def test_down_leaves_nothing_and_may_be_repeated(spare: Hosts) -> None:
    spare.up(quiet)
    assert all(names_left(spare.layout).values())
    inside = cgroups.processes(spare.layout.prefix)
    spare.down()
    nothing_left(spare.layout)
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in inside)
    spare.down()
    assert [item.state for item in spare.status()] == ["down", "down"]


def test_down_removes_a_disk_that_was_never_finished(spare: Hosts) -> None:
    (spare.layout.hosts / "web1" / "upper.part" / "etc").mkdir(parents=True)
    spare.down()
    nothing_left(spare.layout)


def test_keys_stay_through_down(spare: Hosts) -> None:
    spare.up(quiet)
    before = spare.layout.known_hosts.read_text()
    spare.down()
    spare.up(quiet)
    assert spare.layout.known_hosts.read_text() == before
    assert spare.exec("web1", ["hostname"]).stdout == "web1\n"


def test_down_after_the_supervisors_were_killed(spare: Hosts) -> None:
    spare.up(quiet)
    for name in ("lb1", "web1"):
        for mount in cgroups.hierarchies():
            loop = mount / spare.layout.prefix / name / "loop" / "cgroup.procs"
            for word in loop.read_text().split():
                os.kill(int(word), signal.SIGKILL)
    # Without its supervisor the host lives on, and nobody but the kernel's register knows it.
    assert spare.exec("web1", ["hostname"]).stdout == "web1\n"
    spare.down()
    nothing_left(spare.layout)


def test_hosts_outlive_the_command_and_hold_none_of_its_pipes(spare: Hosts) -> None:
    began = start_up(spare.layout)
    # Reading to the end works only when no process of the lab still holds the pipe.
    said, _ = began.communicate(timeout=90)
    assert began.returncode == 0, said
    with pytest.raises(ProcessLookupError):
        os.killpg(began.pid, 0)
    assert spare.exec("web1", ["hostname"]).stdout == "web1\n"


def test_up_works_after_an_up_killed_at_any_moment(spare: Hosts) -> None:
    for delay in (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.2):
        killed = start_up(spare.layout)
        time.sleep(delay)
        killed.kill()
        killed.communicate()
        spare.up(quiet)
        assert [item.state for item in spare.status()] == ["up", "up"]
        assert spare.exec("web1", ["systemctl", "is-active", "shop"]).stdout == "active\n"
        spare.down()
        nothing_left(spare.layout)


def test_down_works_after_an_up_killed_at_any_moment(spare: Hosts) -> None:
    for delay in (0.2, 0.3, 0.4, 0.5, 0.6, 0.8):
        killed = start_up(spare.layout)
        time.sleep(delay)
        killed.kill()
        killed.communicate()
        spare.down()
        # A supervisor that was just born when its parent died ends by itself, its group being gone.
        deadline = time.monotonic() + 5
        while any(names_left(spare.layout).values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        nothing_left(spare.layout)


def test_down_takes_away_a_mount_that_comes_late(spare: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    root = spare.machine("lb1").folder / "root"
    root.mkdir(parents=True)
    remove = cgroups.remove

    def remove_and_mount(group: str) -> None:
        """The `mount` of a killed command ends just after the look for mounts."""
        remove(group)
        monkeypatch.undo()
        subprocess.run(["mount", "-t", "tmpfs", "late", root], check=True)

    monkeypatch.setattr(cgroups, "remove", remove_and_mount)
    spare.down()
    nothing_left(spare.layout)


def test_a_reset_killed_at_any_moment_is_mended_by_up(spare: Hosts) -> None:
    spare.up(quiet)
    reset = UP.replace(".up(", ".reset(")
    command = up_command(spare.layout, 2)
    command[2] = reset
    for delay in (0.2, 0.3, 0.35, 0.4, 0.5):
        killed = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
        time.sleep(delay)
        killed.kill()
        killed.wait()
        spare.up(quiet)
        assert spare.exec("web1", ["dpkg-query", "-W", "-f=${Version}", "shop"]).stdout == "1.0-1"


def test_two_ups_at_once(spare: Hosts) -> None:
    both = [start_up(spare.layout) for _ in range(2)]
    said = [process.communicate(timeout=90)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("starting 2 hosts" in text for text in said) == 1
    assert [item.state for item in spare.status()] == ["up", "up"]


def test_more_hosts_join_a_running_lab(spare: Hosts) -> None:
    spare.up(quiet)
    before = spare.exec("web1", ["stat", "--format=%Y", "/proc/1"]).stdout
    Hosts(spare.layout, 6).up(quiet)
    assert spare.names() == ("lb1", "web1", "web2", "web3", "web4", "node01")
    assert spare.exec("node01", ["hostname"]).stdout == "node01\n"
    assert spare.exec("web1", ["stat", "--format=%Y", "/proc/1"]).stdout == before


def test_a_killed_build_is_ended_and_removed(spare: Hosts, tmp_path_factory: pytest.TempPathFactory) -> None:
    cache = tmp_path_factory.mktemp("cache")
    layout = Layout(spare.layout.home, spare.layout.prefix, spare.layout.network, cache)
    killed = start_up(layout)
    deadline = time.monotonic() + 30
    while not list(cache.glob(".build-*/upper")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    # One that nothing but the lab's own cleaning up would end.
    group = cgroups.create(image._group(cache))
    stubborn = subprocess.Popen([*cgroups.inside(group), "sleep", "300"])
    while stubborn.pid not in cgroups.processes(image._group(cache)):
        time.sleep(0.01)
    Hosts(layout, 2).down()
    assert stubborn.wait(5) == -signal.SIGKILL
    assert [path.name for path in cache.iterdir()] == ["lock"]
    assert not [words for words in commands() if str(cache) in words]


def test_an_image_layer_whose_build_was_killed_is_not_taken_for_finished(
    spare: Hosts, tmp_path_factory: pytest.TempPathFactory
) -> None:
    image.layers("web", spare.layout.cache, quiet)
    # A cache of its own, whose distribution is the real one: that takes a minute to build.
    cache = tmp_path_factory.mktemp("cache")
    for base in spare.layout.cache.glob("base-*"):
        (cache / base.name).symlink_to(base)
    layout = Layout(spare.layout.home, spare.layout.prefix, spare.layout.network, cache)
    mine = Hosts(layout, 2)
    try:
        for delay in (0.25, 0.4, 0.6, 0.9):
            killed = start_up(layout)
            time.sleep(delay)
            killed.kill()
            killed.communicate()
        mine.up(quiet)
        assert mine.exec("web1", ["systemctl", "is-active", "shop"]).stdout == "active\n"
        assert not list(cache.glob(".build-*"))
    finally:
        mine.down()
    assert str(cache) not in Path("/proc/self/mountinfo").read_text()
