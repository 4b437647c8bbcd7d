"""Through SSH: servers that listen on the loopback of a lab host, and are reached by way of it only."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.errors import StepFailed
from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from remediate.model.step import Context, Verdict
from remediate.model.target import Target
from tests.adapters.databases.servers import DatabaseServer, private_server
from tests.adapters.databases.test_rows import fix
from tests.adapters.databases.world import World, filled
from tests.adapters.hosts.world import lab_host

pytestmark = pytest.mark.lab

LAYOUT = Layout(Path("/var/lib/remediate-lab-db"), "rmdb", "10.213.99")


def _silent(_line: str) -> None:
    """Progress for nobody."""


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """A lab of these tests' own."""
    made = Hosts(LAYOUT, 2)
    with locked(Path("/run") / f"{LAYOUT.home.name}.lock", _silent):
        made.down()
        try:
            made.up(_silent)
            yield made
        finally:
            made.down()
            shutil.rmtree(LAYOUT.home, ignore_errors=True)


@pytest.fixture(scope="module", params=["mariadb", "postgres"])
def inside(request: pytest.FixtureRequest, hosts: Hosts) -> Iterator[DatabaseServer]:
    """A server that only web1 itself reaches."""
    with private_server(request.param, namespace=LAYOUT.link("web1")) as made:
        yield made


def reached(server: DatabaseServer, **more: object) -> Target:
    """web1, and its server by way of it."""
    host = lab_host("web1", 11, LAYOUT)
    return host.model_copy(
        update={"vars": {**host.vars, **server.variables(), f"{server.engine}_via": "ssh", **more}}
    )


def test_a_fix_through_ssh(inside: DatabaseServer, tmp_path: Path) -> None:
    with inside.database(*filled(inside.engine)) as name, ClientPool() as pool:
        world = World(inside, name, pool, tmp_path)
        step, before = fix(world), world.everything()

        def context(step: str = "s01") -> Context:
            return world.context(step, target=reached(inside))

        facts = step.observe(context())
        step.apply(context())
        assert step.probe(context()).verdict is Verdict.APPLIED
        assert step.quiesce(context())
        step.undo(context("s01-undo"))
        assert step.observe(context()) == facts
        assert world.everything() == before


def test_what_ssh_does_not_reach(inside: DatabaseServer, tmp_path: Path) -> None:
    with ClientPool() as pool:
        world = World(inside, "test", pool, tmp_path)
        target = reached(inside, **{f"{inside.engine}_port": 9})
        with pytest.raises(StepFailed, match="nothing was done"):
            fix(world).apply(world.context(target=target))
