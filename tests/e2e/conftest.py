"""One lab for the whole session, one project for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from remediate.lab.keys import key_pair
from remediate.lab.locks import locked
from tests.e2e.world import LANE, LAYOUT, TOTAL, World, differences, temporary

SIGNERS = ("alice", "carol", "dan")


def quiet(_line: str) -> None:
    """Progress for nobody."""


def people(folder: Path) -> None:
    lines = []
    for person in SIGNERS:
        kind, data = key_pair(folder / person, f"{person}@lab").split()[:2]
        lines.append(f'{person}@lab namespaces="remediate-plan@remediate" {kind} {data}\n')
    (folder / "allowed_signers").write_text("".join(lines))


@pytest.fixture(scope="session")
def e2e_lab() -> Iterator[Hosts]:
    """lb1 and web1 to web3 in a network of their own; one session at a time for each worker."""
    lab = Hosts(LAYOUT, TOTAL)
    with locked(Path(f"/run/remediate-lab-e2e{LANE}.lock"), quiet):
        lab.down()
        try:
            lab.up(quiet)
            people(LAYOUT.home / "people")
            yield lab
        finally:
            lab.down()
            shutil.rmtree(LAYOUT.home, ignore_errors=True)


@contextmanager
def new_world(lab: Hosts, folder: Path) -> Iterator[World]:
    """A project over hosts that are as they were built."""
    global _touched  # noqa: PLW0603 - a reset takes a second, so it is made only where it is needed
    if _touched:
        lab.reset(quiet)
    _touched = True
    made = World(lab, folder / "project", temporary())
    made.root.mkdir()
    made.fill()
    try:
        yield made
    finally:
        # It may have left no trace for a while, and then run something after all.
        _touched = _touched or _acted(made)
        made.end()


def _acted(world: World) -> bool:
    try:
        return world.intents() != []
    except Exception:  # a journal that the test has damaged
        return True


_touched = True


@pytest.fixture
def world(e2e_lab: Hosts, tmp_path: Path) -> Iterator[World]:
    """A project over hosts that are as they were built."""
    with new_world(e2e_lab, tmp_path) as made:
        yield made


@contextmanager
def touching_nothing(world: World) -> Iterator[None]:
    """What happens inside leaves no trace: not on a host, not in the journal, no lock."""
    global _touched  # noqa: PLW0603
    before = world.disks()
    yield
    assert differences(before, world.disks()) == {}
    assert world.intents() == []
    assert world.locks() == {}
    _touched = False


@pytest.fixture
def untouched(world: World) -> Iterator[World]:
    """A world on which the test must not have the least effect."""
    with touching_nothing(world):
        yield world
