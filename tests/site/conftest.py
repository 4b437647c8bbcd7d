"""A lab of two sites: machines that are virtual machines of a vCenter, behind routers with two links."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from remediate.lab.inventory import write_inventory
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from remediate.lab.router_net import site_address
from remediate.lab.vcenter import VCenter
from remediate.lab.vcenter_faults import Faults
from tests.e2e.conftest import people, quiet
from tests.e2e.world import World, temporary

#: Fixed, so that the next session finds and removes what a killed one has left.
LAYOUT = Layout(Path("/var/lib/remediate-lab-site"), "rmsite", "10.213.86")
#: lb1, web1, web2, and web3, which has the setting that shop 1.2 no longer supports.
TOTAL = 4
ROUTERS = 4
MACHINES = ("web1", "web3")
EDGE = ("ra1", "rb1", "ra2", "rb2")


class Site(World):
    """A project over both sites, and what outsiders see of them."""

    faults: Faults

    def inventory(self) -> None:
        """Hosts, their vCenter, and the routers."""
        write_inventory(self.root / "inventory", TOTAL, self.lab.layout, ROUTERS)

    def nets(self) -> tuple[str, ...]:
        """The inputs that say which networks this lab has."""
        number = self.lab.layout.network.rpartition(".")[2]
        return f"near_net=10.221.{number}.0/24", f"far_net=10.222.{number}.0/24"

    def running_config(self, router: str) -> str:
        """What a router does now, less the line that says when it was asked."""
        shown = self.on(router, "show", "running-config")
        return shown.partition("frr version")[2]

    def shell(self, router: str, *argv: str) -> str:
        """Run a command on a router, whose users see FRR's own command line otherwise."""
        done = self.lab.exec(router, argv, user="netops")
        assert done.returncode == 0, f"{router}: {argv}: {done.stdout} {done.stderr}"
        return done.stdout

    def hop(self) -> str:
        """The first router after site A's gateway on the way to web1: the primary link's, or the backup's."""
        shown = self.shell("ra1", "ip", "route", "get", self.inside("web1"))
        return shown.split(" dev ")[1].split()[0]

    def inside(self, host: str) -> str:
        """A host's address in its site."""
        return site_address(self.lab.layout, self.lab.machine(host).host)

    def reached(self) -> bool:
        """Whether desk1 in site A reaches web1 in site B."""
        argv = ["ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "1", self.inside("web1")]
        return self.lab.exec("desk1", argv).returncode == 0

    def everything(self) -> dict[str, object]:
        """Machines with files, packages and units, the pool, every router's configuration, and the way."""
        found = self.fingerprints((*MACHINES, "lb1"))
        found |= {f"{router} config": self.running_config(router) for router in EDGE}
        return found | {"way": self.hop(), "reached": self.reached()}


@pytest.fixture(scope="package")
def lab() -> Iterator[Hosts]:
    """Running; one session at a time on this machine."""
    hosts, vcenter = Hosts(LAYOUT, TOTAL, ROUTERS), VCenter(LAYOUT)
    with locked(Path("/run/remediate-lab-site.lock"), quiet):
        vcenter.down()
        hosts.down()
        try:
            hosts.up(quiet)
            vcenter.up(quiet)
            people(LAYOUT.home / "people")
            yield hosts
        finally:
            vcenter.down()
            hosts.down()
            shutil.rmtree(LAYOUT.home, ignore_errors=True)


@pytest.fixture
def site(lab: Hosts, tmp_path: Path) -> Iterator[Site]:
    """A project over hosts and routers that are as they were built."""
    lab.reset(quiet)
    VCenter(LAYOUT).reset(quiet)
    made = Site(lab, tmp_path / "project", temporary())
    made.faults = Faults(LAYOUT)
    made.root.mkdir()
    made.fill()
    try:
        yield made
    finally:
        made.faults.clear()
        made.end()
