"""This machine and the lab as targets."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.lab.layout import MAIN
from remediate.lab.machine import Machine
from remediate.lab.roster import by_name
from tests.adapters.hosts.world import LB1, WEB4, World, here


@pytest.fixture(scope="session")
def local_pool() -> Iterator[ClientPool]:
    """One agent on this machine for all tests."""
    with ClientPool() as pool:
        yield pool


@pytest.fixture
def world(tmp_path: Path, local_pool: ClientPool) -> Iterator[World]:
    """This machine."""
    (tmp_path / "project").mkdir()
    made = World(here(), local_pool, tmp_path, f"test-{uuid.uuid4().hex[:12]}")
    yield made
    made.forget()


@pytest.fixture
def web4(tmp_path: Path) -> Iterator[World]:
    """The lab's host for trials that may break it; a test leaves it as it was found."""
    for name in ("web4", "lb1"):
        if not Machine(MAIN, by_name(name)).answers(2.0):
            pytest.fail(f"the lab's {name} does not answer: remediate lab up")
    (tmp_path / "project").mkdir()
    with ClientPool() as pool:
        peers = {"lb1": LB1, "web4": WEB4}
        made = World(WEB4, pool, tmp_path, f"test-{uuid.uuid4().hex[:12]}", peers)
        yield made
        made.forget()
