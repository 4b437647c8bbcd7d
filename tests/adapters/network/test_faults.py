"""Whole runs over a simulated device that fails in every way it can: each ends with a verdict that is true.

The device is a simulated Cisco IOS; faults that the lab's real routers can have are in `test_runs`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
from tests.adapters.hosts.sshd import new_key
from tests.adapters.network.project import people
from tests.adapters.network.simulated import Ios
from tests.adapters.network.simulator import Simulator, Trouble
from tests.adapters.network.world import until
from tests.e2e.world import World, temporary

CONFIG = ("hostname dev1", "interface eth1", " ip ospf cost 10", "interface eth2", " ip ospf cost 10")
COST = ("parents=interface eth2", "lines=ip ospf cost 44;description changed")
LOCKED = "Configuration mode is locked by process '3' user 'joe' from terminal '1'. Please try later."
FULL = "%Error opening nvram:/startup-config (No space left on device)"
#: Seconds of a minute on the device, where its timer must fire soon, and where it must not fire at all.
SHORT, LONG = 1.5, 600.0


class DeviceWorld(World):
    """A project with one device."""

    device: Ios
    simulator: Simulator

    def fill(self, *, ticket: str = "T-1") -> None:
        """As for the routers of the lab."""
        (self.root / "runbooks").mkdir(parents=True)
        shutil.copy(Path(__file__).parent / "runbooks" / "routers.py", self.root / "runbooks")
        (self.root / "ansible.cfg").touch()
        own = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.simulator.port,
            "ansible_user": "ops",
            "ansible_ssh_private_key_file": str(self.lab.layout.home.parent / "user"),
            "ansible_ssh_timeout": 1,
            "network_platform": "ios",
        }
        (self.root / "inventory").mkdir()
        (self.root / "inventory" / "hosts.yml").write_text(
            json.dumps({"all": {"children": {"routers": {"hosts": {"dev1": own}}}}})
        )
        self.configure()
        self.file_ticket(ticket)

    def planned(self, *inputs: str) -> None:
        """A plan that may run."""
        self.approved("router-lines", *COST, *inputs)

    def _inputs(self) -> str:
        """One project for all; see `World.approved`."""
        return "the same"

    def said(self) -> str:
        """All that the journal holds, as text."""
        return "\n".join(json.dumps(event.body, ensure_ascii=False) for event in self.events())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Simulator]]:
    """One server and one set of keys, so that all tests can begin with the same approved plan."""
    folder = tmp_path_factory.mktemp("place")
    people(folder / "lab" / "people")
    with Simulator(Ios(), new_key(folder / "host"), new_key(folder / "user")) as simulator:
        (folder / "lab" / "ssh").mkdir()
        (folder / "lab" / "ssh" / "known_hosts").write_text(simulator.known_hosts_line())
        yield folder, simulator


@pytest.fixture
def world(place: tuple[Path, Simulator], tmp_path: Path) -> Iterator[DeviceWorld]:
    """A device that works, and a project for it."""
    folder, simulator = place
    made = DeviceWorld(Hosts(Layout(folder / "lab")), tmp_path / "project", temporary())
    made.simulator, made.device = simulator, Ios(*CONFIG)
    simulator.device = made.device
    made.fill()
    try:
        yield made
    finally:
        made.end()
        simulator.repair()


@pytest.mark.parametrize(
    ("trouble", "minute", "shown"),
    [
        (Trouble("ip ospf cost 44", "lost"), SHORT, "the configuration is as before"),
        (Trouble("description changed", "lost"), SHORT, "the configuration is as before"),
        (Trouble("end", "lost"), SHORT, "the configuration is as before"),
        (Trouble("end", "away"), SHORT, "can't connect"),
        (Trouble("end", "mute"), LONG, "no answer in time"),
        (Trouble("configure terminal revert", LOCKED), LONG, "is locked by process"),
        (Trouble("description changed", "% Invalid input"), LONG, "the lines before it were taken back"),
        (Trouble("configure confirm", "lost"), LONG, "after a line was sent; nobody knows"),
        pytest.param(
            *(Trouble("write memory", FULL), LONG, "No space left on device"),
            marks=pytest.mark.fault("network, simulated", "after", "disk full", "failed, undone"),
        ),
    ],
    ids=lambda value: f"{value.line}-{value.what[:8]}" if isinstance(value, Trouble) else "",
)
def test_a_fault_ends_with_the_device_as_it_was(
    world: DeviceWorld, trouble: Trouble, minute: float, shown: str
) -> None:
    world.planned()
    before = sorted(world.device.config)
    world.device.minute = minute
    world.simulator.troubles.append(trouble)
    running = world.start("run", "fix.plan.json")
    if trouble.what in ("away", "mute"):
        until(lambda: "description changed" in str(world.device.lines), what="the change")
        until(lambda: sorted(world.device.config) == before, what="the timer")
        world.simulator.repair()
    running.wait().expect(4)
    assert sorted(world.device.config) == before
    assert sorted(world.device.startup) == before
    assert world.finals() == {"dev1": "verified-original"}
    assert shown in world.said()
    assert not world.locks()


@pytest.mark.parametrize(
    ("what", "why"), [("endless", "prints without end"), ("gone", "can't connect")], ids=["endless", "gone"]
)
def test_a_device_that_can_not_be_read_goes_back_alone_and_is_read_later(
    world: DeviceWorld, what: str, why: str
) -> None:
    world.planned()
    before = sorted(world.device.config)
    world.device.minute = SHORT
    world.simulator.troubles.append(Trouble("end", what))
    running = world.start("run", "fix.plan.json")
    until(lambda: "description changed" in str(world.device.lines), what="the change")
    until(lambda: why in world.said(), what="the run's doubt")
    until(lambda: sorted(world.device.config) == before, what="the device's own timer")
    assert world.finals() == {}, "nobody can know yet"
    world.simulator.repair()
    running.wait().expect(4)
    assert world.finals() == {"dev1": "verified-original"}


def test_a_device_that_can_not_save_any_more_is_left_to_a_human(world: DeviceWorld) -> None:
    world.planned()
    before = sorted(world.device.config)
    world.device.minute = LONG
    world.simulator.troubles.append(Trouble("write memory", FULL, once=False))
    world.cli("run", "fix.plan.json").expect(5)
    assert world.finals() == {"dev1": "needs-human"}
    assert world.locks().keys() == {"dev1"}
    assert "No space left on device" in world.said()
    assert sorted(world.device.config) == before, "what can be put back is"


def test_what_stays_is_confirmed_by_a_session_of_its_own_and_saved_last(world: DeviceWorld) -> None:
    world.planned()
    world.device.minute = LONG
    world.cli("run", "fix.plan.json").expect(0)
    lines = world.device.lines
    assert lines.index("configure confirm") < lines.index("write memory")
    between = lines[lines.index("end") : lines.index("configure confirm")]
    assert "terminal length 0" in between, "somebody logged in anew"
    assert " ip ospf cost 44" in world.device.startup
    assert world.finals() == {"dev1": "verified-new"}


@pytest.mark.fault("network, simulated", "before", "half-applied", "done")
def test_half_a_change_without_a_timer_is_completed_once(world: DeviceWorld) -> None:
    world.planned("revert=none")
    world.simulator.troubles.append(Trouble("description changed", "lost"))
    world.cli("run", "fix.plan.json").expect(0)
    shown = [line for line in world.device.config if line in (" ip ospf cost 44", " description changed")]
    assert sorted(shown) == [" description changed", " ip ospf cost 44"]
    assert world.finals() == {"dev1": "verified-new"}


def test_a_change_of_another_before_the_run_stops_it_with_a_diff(world: DeviceWorld) -> None:
    world.planned()
    world.device.config.append("ntp server 192.0.2.1")
    world.device.lines.clear()
    done = world.cli("run", "fix.plan.json").expect(3)
    assert "+ntp server 192.0.2.1" in done.said
    assert not [line for line in world.device.lines if line.startswith(("conf", "write"))]
