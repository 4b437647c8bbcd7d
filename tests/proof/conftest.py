"""A lab and a project for proofs of rollbacks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from remediate.lab.inventory import write_inventory
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from remediate.lab.vcenter import VCenter
from remediate.model.proof import Moment, Proof
from remediate.service.project import Project
from remediate.service.proof.prove import Asked, Audience, prove
from tests.e2e.world import FULL, World, temporary

LAYOUT = Layout(Path("/var/lib/remediate-lab-proof"), "rmproof", "10.213.100")
#: lb1, web1, web2, web3.
TOTAL = 4
ROUTERS = 4 if FULL else 0
_HERE = Path(__file__).parent


def quiet(_line: str) -> None:
    """Progress for nobody."""


@pytest.fixture(scope="session")
def proof_lab() -> Iterator[Hosts]:
    """A lab of its own, one session at a time; with REMEDIATE_FULL=1 of every technology."""
    lab = Hosts(LAYOUT, TOTAL, ROUTERS, databases=FULL)
    parts = (lab, VCenter(LAYOUT)) if FULL else (lab,)
    with locked(Path("/run/remediate-lab-proof.lock"), quiet):
        for part in reversed(parts):
            part.down()
        try:
            for part in parts:
                part.up(quiet)
            yield lab
        finally:
            for part in reversed(parts):
                part.down()
            shutil.rmtree(LAYOUT.home, ignore_errors=True)


class Place(World):
    """A project over the lab of these tests."""

    def inventory(self) -> None:
        """All of its hosts."""
        write_inventory(self.root / "inventory", TOTAL, LAYOUT, ROUTERS, databases=FULL)


@pytest.fixture
def place(proof_lab: Hosts, tmp_path: Path) -> Iterator[World]:
    """A project with the shipped runbooks and the wrong ones."""
    made = Place(proof_lab, tmp_path / "project", temporary())
    made.root.mkdir()
    (proof_lab.layout.home / "people").mkdir(exist_ok=True)
    made.fill()
    for kind, pattern in (("runbooks", "*.py"), ("playbooks", "*.yml")):
        for source in (_HERE / kind).glob(pattern):
            if source.name != "__init__.py":
                shutil.copy(source, made.root / kind)
    try:
        yield made
    finally:
        made.end()


def proved(
    place: World, runbook: str, *inputs: str, on: str = "web1", steps: str = "", moments: str = ""
) -> Proof:
    """A proof on one host, if no other is named."""
    asked = Asked(
        runbook,
        inputs,
        limit=on,
        steps=steps.split(),
        moments=tuple(map(Moment, moments.split())),
    )
    return prove(Project.open(place.root), asked, Audience(), place.lab)
