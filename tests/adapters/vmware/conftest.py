"""One lab for all tests of this folder; each begins without faults and snapshots."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.lab.hosts import Hosts
from remediate.lab.locks import locked
from remediate.lab.vcenter import VCenter
from remediate.lab.vcenter_faults import Faults
from tests.adapters.vmware.place import Place
from tests.adapters.vmware.world import LAYOUT, TOTAL, World


def quiet(_line: str) -> None:
    """Progress for nobody."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Hosts]:
    """Running hosts and their vCenter."""
    hosts, vcenter = Hosts(LAYOUT, TOTAL), VCenter(LAYOUT)
    with locked(Path("/run/remediate-lab-vmware.lock"), quiet):
        vcenter.down()
        hosts.down()
        try:
            hosts.up(quiet)
            vcenter.up(quiet)
            yield hosts
        finally:
            vcenter.down()
            hosts.down()
            shutil.rmtree(LAYOUT.home, ignore_errors=True)


@pytest.fixture
def world(lab: Hosts, tmp_path: Path) -> Iterator[World]:
    """Clean before each test, so that a failed one leaves what it did for the eyes of the next."""
    with ClientPool() as pool:
        made = World(lab, Faults(LAYOUT), pool, tmp_path)
        made.reconnect()
        try:
            made.clean()
            yield made
        finally:
            made.faults.clear()
            made.disconnect()


@pytest.fixture
def place(world: World, tmp_path: Path) -> Iterator[Place]:
    """A project; both hosts have the same old message."""
    for name in ("web1", "web2"):
        world.file(name, "/etc/motd").write_text("old\n")
    made = Place.make(tmp_path / "project")
    yield made
    made.end()
