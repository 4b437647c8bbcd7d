"""This machine and hosts of a lab as targets."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.lab.hosts import Hosts
from remediate.lab.locks import locked
from tests.adapters.hosts.world import LAYOUT, LB1, WEB1, World, here


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


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    """lb1, web1 and web2 of a lab of these tests' own."""
    made = Hosts(LAYOUT, 3)
    with locked(Path("/run") / f"{LAYOUT.home.name}.lock", _silent):
        made.down()
        try:
            made.up(_silent)
            yield made
        finally:
            made.down()
            shutil.rmtree(LAYOUT.home)


def _silent(_line: str) -> None:
    """Progress for nobody."""


@pytest.fixture
def web1(tmp_path: Path, hosts: Hosts) -> Iterator[World]:
    """A real host behind a real load balancer. A test leaves it as it was found."""
    (tmp_path / "project").mkdir()
    with ClientPool() as pool:
        made = World(WEB1, pool, tmp_path, f"test-{uuid.uuid4().hex[:12]}", {"lb1": LB1, "web1": WEB1})
        yield made
        made.forget()
