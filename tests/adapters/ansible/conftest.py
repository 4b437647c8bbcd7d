"""Worlds for steps: this machine by local connection, and the lab's hosts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.inventory import Inventory
from tests.adapters.ansible.world import PROJECT, World, local


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    """Three targets a, b, c, all of them this machine."""
    world = World(tmp_path, local("abc"))
    yield world
    world.clients.close()


@pytest.fixture(scope="session")
def lab_inventory() -> Inventory:
    """The running lab; the test is skipped without one."""
    try:
        inventory = Inventory.load(PROJECT / "inventories/lab", PROJECT)
        for name in ("web2", "web3"):
            socket.create_connection((inventory.hosts[name].address, 22), timeout=2).close()
    except OSError as error:
        pytest.skip(f"the lab is not up: {error}")
    return inventory


@pytest.fixture
def lab(tmp_path: Path, lab_inventory: Inventory) -> Iterator[World]:
    """web2 and web3 of the lab."""
    world = World(tmp_path, lab_inventory.targets(["web2", "web3"]), peers=lab_inventory.hosts)
    yield world
    world.clients.close()
