"""The lab's pure parts: no root, no network, nothing started."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import remediate
from remediate.errors import InputError
from remediate.lab import cgroups, doctor, lab, machine_packages, pool
from remediate.lab.command import LabError, run
from remediate.lab.hosts import Hosts
from remediate.lab.interface import Item, Progress
from remediate.lab.inventory import write_inventory
from remediate.lab.layout import MAIN, Layout
from remediate.lab.locks import locked
from remediate.lab.network import address
from remediate.lab.roster import MOST, MOST_ROUTERS, ROUTERS, everyone, roster

ROOT = Path(remediate.__file__).parent.parent


def quiet(_line: str) -> None:
    pass


def test_the_roster_has_fixed_and_distinct_names_and_addresses() -> None:
    first = [(host.name, address(MAIN, host)) for host in roster()]
    assert first == [
        ("lb1", "10.213.77.10"),
        ("web1", "10.213.77.11"),
        ("web2", "10.213.77.12"),
        ("web3", "10.213.77.13"),
        ("web4", "10.213.77.14"),
    ]
    assert [host.name for host in roster(2, 4)] == ["lb1", "web1", "desk1", "ra1", "rb1", "ra2", "rb2"]
    hosts = everyone()
    assert len({host.name for host in hosts}) == len({host.number for host in hosts}) == len(hosts)
    assert max(host.number for host in hosts) < 255
    assert roster(MOST)[5].name == "node01"
    assert [host.name for host in hosts if host.legacy] == ["web3"]


@pytest.mark.parametrize("total", [-1, 0, 1, MOST + 1])
def test_a_lab_of_an_impossible_size_is_refused(total: int) -> None:
    with pytest.raises(InputError):
        roster(total)


@pytest.mark.parametrize("routers", [-1, MOST_ROUTERS + 1])
def test_an_impossible_number_of_routers_is_refused(routers: int) -> None:
    with pytest.raises(InputError):
        roster(5, routers)


def test_every_link_name_fits_the_kernel() -> None:
    assert all(len(Layout(prefix="x" * 7).link(host.name)) <= 15 for host in everyone())
    with pytest.raises(ValueError, match="longer than 7"):
        Layout(prefix="x" * 8)


def test_the_committed_inventory_says_what_the_roster_says(tmp_path: Path) -> None:
    written = write_inventory(tmp_path, routers=ROUTERS, databases=True)
    committed = ROOT / "inventories" / "lab"
    names = ("all.yml", "db.yml", "routers.yml", "web.yml")
    for name in ("hosts.yml", *(f"group_vars/{name}" for name in names)):
        assert yaml.safe_load((committed / name).read_text()) == yaml.safe_load((written / name).read_text())


def test_an_inventory_of_many_hosts(tmp_path: Path) -> None:
    groups = yaml.safe_load((write_inventory(tmp_path, 50) / "hosts.yml").read_text())["all"]["children"]
    assert {name: len(group["hosts"]) for name, group in groups.items()} == {"lb": 1, "web": 4, "node": 45}


def test_a_lock_is_held_by_one_and_waits_for_the_other(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "lock"
    inside = threading.Event()

    def second() -> None:
        with locked(path, said.append):
            inside.set()

    with locked(path, quiet):
        other = threading.Thread(target=second)
        other.start()
        assert not inside.wait(0.2)
    other.join(5)
    assert inside.is_set()
    assert len(said) == 1


def test_a_failed_command_tells_what_it_said() -> None:
    with pytest.raises(LabError, match=r"ended with 2: .*/absent"):
        run("ls", "/absent")
    with pytest.raises(LabError, match="not installed"):
        run("no-such-tool-at-all")
    began = time.monotonic()
    with pytest.raises(LabError, match=r"did not end within 0\.1 s"):
        run("sleep", "5", timeout=0.1)
    assert time.monotonic() - began < 3


def test_missing_packages_are_found() -> None:
    assert machine_packages.missing(("dpkg", "no-such-package-at-all", "dpkg")) == ("no-such-package-at-all",)


def test_hierarchies_are_mount_points() -> None:
    assert all(path.is_mount() for path in cgroups.hierarchies())


class _Statistics(http.server.BaseHTTPRequestHandler):
    """A load balancer that takes web2 for down until it was asked three times."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += self.path == "/;csv"
        state = "DOWN" if self.asked < 3 else "UP"
        lines = "# pxname,svname,status,", "front,FRONTEND,OPEN,", "web,web1,UP,", f"web,web2,{state},"
        body = "\n".join([*lines, "web,BACKEND,UP,", ""]).encode()
        self.send_response(200 if self.path == "/;csv" else 503)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def statistics(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(_Statistics, "asked", 0)
    with http.server.HTTPServer(("127.0.0.1", 0), _Statistics) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setattr(pool, "STATS_PORT", server.server_port)
        yield server.server_port
        server.shutdown()


def test_the_pools_states_are_read_from_the_statistics(statistics: int) -> None:
    assert pool.states("127.0.0.1") == {"web1": "UP", "web2": "DOWN"}
    assert pool.health("127.0.0.1", statistics) == 503


def test_settling_waits_until_the_healthy_are_up(statistics: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "health", lambda *_: 200)
    pool.settle("127.0.0.1", {"web1": "127.0.0.1", "web2": "127.0.0.1"}, seconds=5)
    assert _Statistics.asked == 3
    _Statistics.asked = -1000
    with pytest.raises(LabError, match="does not see that web2 is healthy"):
        pool.settle("127.0.0.1", {"web2": "127.0.0.1"}, seconds=0.1)


def test_nothing_is_waited_for_when_nothing_is_healthy(statistics: int) -> None:
    pool.settle("127.0.0.1", {"web2": "127.0.0.9"}, seconds=1)


def test_the_doctor_names_what_is_wrong_and_what_mends_it(tmp_path: Path) -> None:
    few = tmp_path / "max_user_instances"
    few.write_text("128\n")
    release = tmp_path / "os-release"
    release.write_text("ID=plan9\n")
    sick = [
        doctor._inotify(few),
        doctor._disk(tmp_path / "not" / "there", need=2**60),
        doctor._python((3, 10)),
        doctor._system(release),
    ]
    assert [finding.ok for finding in sick] == [False] * 4
    assert all(finding.problem for finding in sick)
    assert sick[0].remedy == "sysctl -w fs.inotify.max_user_instances=4096"
    healthy = doctor._python((3, 11))
    assert (healthy.ok, healthy.problem, healthy.remedy) == (True, "", "")
    assert len({finding.name for finding in doctor.checks()}) == len(doctor.CHECKS)


def test_without_root_the_lab_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    commands: tuple[Callable[[], None], ...] = (lambda: lab.up(quiet), lab.down, lambda: lab.reset(quiet))
    for command in commands:
        with pytest.raises(LabError) as caught:
            command()
        assert caught.value.advice == "run it with sudo"


def test_an_unknown_host_is_refused() -> None:
    with pytest.raises(InputError, match="web9"):
        Hosts().machine("web9")


def test_importing_the_lab_is_cheap() -> None:
    """`remediate --help` imports it: SDKs are for when they are used."""
    heavy = "cryptography", "paramiko", "fabric", "requests", "pydantic", "yaml", "rt", "ansible"
    code = (
        "import json, sys; import remediate.lab.lab, remediate.lab.doctor; "
        "print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert not set(heavy) & set(json.loads(shown.stdout))


class _Part:
    """A component that notes what is asked of it."""

    def __init__(self, name: str, asked: list[str], *, fails: bool = False) -> None:
        self.name = name
        self.asked = asked
        self.fails = fails

    def packages(self) -> tuple[str, ...]:
        return ()

    def up(self, progress: Progress) -> None:
        self.asked.append(f"{self.name} up")

    def down(self) -> None:
        self.asked.append(f"{self.name} down")
        if self.fails:
            raise LabError("stuck")

    def reset(self, progress: Progress) -> None:
        self.asked.append(f"{self.name} reset")

    def status(self) -> tuple[Item, ...]:
        return (Item(self.name, "", "up"),)


def test_databases_are_part_of_the_hosts_only_when_they_are_asked_for() -> None:
    plain, more = (lab.components(databases=wanted)[0] for wanted in (False, True))
    assert isinstance(plain, Hosts)
    assert isinstance(more, Hosts)
    assert (plain.databases, more.databases) == (False, True)
    assert "databases" in lab.NAMES
    assert [host.name for host in roster(2, databases=True)] == ["lb1", "web1", "db1"]


def test_parts_start_in_order_and_stop_in_reverse_even_when_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    parts = (_Part("one", asked), _Part("two", asked, fails=True))
    monkeypatch.setattr(lab, "components", lambda *_total: parts)
    monkeypatch.setattr(lab, "EXTRAS", {})
    monkeypatch.setattr(lab, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    lab.up(quiet)
    lab.reset(quiet)
    with pytest.raises(LabError, match="two: stuck"):
        lab.down()
    assert asked == ["one up", "two up", "one reset", "two reset", "two down", "one down"]
    assert [item.name for item in lab.status()] == ["one", "two"]


def test_extra_parts_start_when_asked_for_and_stop_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(lab, "components", lambda *_total: (_Part("one", asked),))
    monkeypatch.setattr(lab, "EXTRAS", {"more": lambda: _Part("more", asked)})
    monkeypatch.setattr(lab, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    lab.up(quiet)
    lab.up(quiet, extras=["more"])
    lab.down()
    assert asked == ["one up", "one up", "more up", "more down", "one down"]
    assert [item.name for item in lab.status()] == ["one", "more"]


def test_the_doctor_looks_at_what_an_extra_part_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", ())
    assert doctor.checks() == ()
    monkeypatch.setattr(doctor, "missing", lambda names: names)
    (found,) = doctor.checks(["monitoring"])
    assert not found.ok
    assert "prometheus-alertmanager" in found.problem
    assert found.remedy == "remediate lab up --with monitoring"
