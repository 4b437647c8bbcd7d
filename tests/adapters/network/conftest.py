"""Four routers of two sites, in a lab of these tests' own."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.lab.hosts import Hosts
from remediate.lab.locks import locked
from tests.adapters.hosts.world import World
from tests.adapters.network.project import NetWorld, people, project
from tests.adapters.network.world import LAYOUT, ROUTERS, desk, release, router, shown


def _silent(_line: str) -> None:
    """Progress for nobody."""


@pytest.fixture(scope="package")
def lab() -> Iterator[Hosts]:
    """ra1, rb1, ra2, rb2, desk1 in site A and web1 in site B; one session at a time."""
    made = Hosts(LAYOUT, 2, ROUTERS)
    with locked(Path("/run") / f"{LAYOUT.home.name}.lock", _silent):
        release(made)
        made.down()
        try:
            made.up(_silent)
            people(LAYOUT.home / "people")
            yield made
        finally:
            made.down()
            shutil.rmtree(LAYOUT.home, ignore_errors=True)


@pytest.fixture
def routers(lab: Hosts) -> Iterator[Hosts]:
    """The lab. Routers that a test leaves changed are built anew."""
    names = ("ra1", "rb1")
    before = {name: shown(lab, name) for name in names}
    yield lab
    changed = [name for name in names if shown(lab, name) != before[name]]
    if changed:
        lab.reset(_silent, changed)


@pytest.fixture
def ra1(tmp_path: Path, routers: Hosts) -> Iterator[World]:
    """A router as a target."""
    target = router("ra1")
    with ClientPool() as pool:
        yield World(target, pool, tmp_path, f"t{uuid.uuid4().hex[:10]}", {"ra1": target, "desk1": desk()})


@pytest.fixture
def net(tmp_path: Path, routers: Hosts) -> Iterator[NetWorld]:
    """A project over the routers."""
    with project(routers, tmp_path / "project") as made:
        yield made
