"""A small second lab beside the main one, so that tests may break what they like."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from remediate.lab.roster import ROUTERS

#: Fixed, so that the next session finds and removes what a killed one has left.
SECOND = Layout(Path("/var/lib/remediate-lab-test"), "rmtest", "10.213.78")
THIRD = Layout(Path("/var/lib/remediate-lab-test2"), "rmtest2", "10.213.79")
ROUTED = Layout(Path("/var/lib/remediate-lab-test3"), "rmtest3", "10.213.98")


def quiet(_line: str) -> None:
    """Progress for nobody."""


def _fresh(hosts: Hosts) -> Iterator[Hosts]:
    """Give ``hosts`` out with nothing of an earlier session, and remove all of it afterwards."""
    lock = Path("/run") / f"{hosts.layout.home.name}.lock"
    with locked(lock, quiet):
        hosts.down()
        try:
            yield hosts
        finally:
            hosts.down()
            shutil.rmtree(hosts.layout.home)


@pytest.fixture(scope="session")
def _second_lab() -> Iterator[Hosts]:
    for hosts in _fresh(Hosts(SECOND, 4)):
        hosts.up(quiet)
        yield hosts


@pytest.fixture
def hosts(_second_lab: Hosts) -> Hosts:
    """lb1, web1, web2 and web3, running and as they were built."""
    _second_lab.reset(quiet)
    return _second_lab


@pytest.fixture
def spare() -> Iterator[Hosts]:
    """A lab of lb1 and web1 that has never been up."""
    yield from _fresh(Hosts(THIRD, 2))


@pytest.fixture(scope="session")
def routed() -> Iterator[Hosts]:
    """lb1 and web1, two sites with all their routers, and desk1 at the other site."""
    for hosts in _fresh(Hosts(ROUTED, 2, ROUTERS)):
        hosts.up(quiet)
        yield hosts
