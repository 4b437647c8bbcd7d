"""A project whose hosts are this machine, and two hosts of a lab of these tests' own."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
import zstandard

from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from remediate.lab.vcenter import VCenter, instance_uuid
from tests.adapters.hosts.world import lab_host
from tests.service.world import World

#: Fixed, so that the next session finds and removes what a killed one has left.
LAYOUT = Layout(Path("/var/lib/remediate-lab-diag"), "rmdiag", "10.213.97")


def quiet(_line: str) -> None:
    """Progress for nobody."""


def inventory(world: World, hosts: dict[str, dict[str, object]]) -> None:
    """Other hosts than the world's."""
    (world.root / "inventory" / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))


def bundled(path: Path) -> dict[str, bytes]:
    """The files of a bundle by name, without the folder that holds them all."""
    data = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {}
        for entry in archive:
            file = archive.extractfile(entry)
            assert file is not None
            assert entry.mode == 0o600
            found[entry.name.partition("/")[2]] = file.read()
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project with one runbook, one ticket, and this machine."""
    return World.make(tmp_path / "project")


@pytest.fixture(scope="session")
def lab() -> Iterator[Hosts]:
    """lb1 and web1, and their vCenter."""
    made, vcenter = Hosts(LAYOUT, 2), VCenter(LAYOUT)
    with locked(Path("/run") / f"{LAYOUT.home.name}.lock", quiet):
        vcenter.down()
        made.down()
        try:
            made.up(quiet)
            vcenter.up(quiet)
            yield made
        finally:
            vcenter.down()
            made.down()
            shutil.rmtree(LAYOUT.home)


@pytest.fixture
def web1(world: World, lab: Hosts) -> World:
    """The project, with the lab's web1 as its only host."""
    target = lab_host("web1", 11, LAYOUT)
    variables = {name: target.vars[name] for name in target.vars if name not in ("lb_host", "pool")}
    machine = {**VCenter(LAYOUT).variables(), "vm_instance_uuid": instance_uuid(LAYOUT, "web1")}
    inventory(
        world, {"web1": {"ansible_host": target.address, "ansible_user": "ops", **variables, **machine}}
    )
    return world
