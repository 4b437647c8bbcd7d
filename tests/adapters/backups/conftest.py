"""The private servers of the tests over databases, and a shop in each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from remediate.adapters.backups import proof
from remediate.adapters.clients import ClientPool
from remediate.adapters.databases.dumps.interface import dumper_named
from remediate.adapters.databases.dumps.scratch import Recipe, scratch_server
from remediate.adapters.databases.endpoint import Endpoint
from tests.adapters.backups.world import SHOP, World
from tests.adapters.databases.servers import DatabaseServer, mariadb, postgres, server

__all__ = ["mariadb", "mariadb_scratch", "postgres", "postgres_scratch", "server", "world"]


@pytest.fixture(scope="session")
def mariadb_scratch() -> Iterator[Endpoint]:
    """One scratch server for all tests: to start one takes longer than all that is done in it."""
    with scratch_server(dumper_named("mariadb").recipe, "tests.s01.1") as place:
        yield place


@pytest.fixture(scope="session")
def postgres_scratch() -> Iterator[Endpoint]:
    """Likewise."""
    with scratch_server(dumper_named("postgres").recipe, "tests.s01.1") as place:
        yield place


def _shared(place: Endpoint, database: str) -> Callable[[Recipe, str], AbstractContextManager[Endpoint]]:
    @contextmanager
    def instead(recipe: Recipe, _token: str) -> Iterator[Endpoint]:
        try:
            yield place
        finally:
            with recipe.engine.open(place, "") as session:
                recipe.engine.drop(session, database)

    return instead


@pytest.fixture
def world(
    server: DatabaseServer, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """One database as the target of one run, on each engine in turn."""
    place: Endpoint = request.getfixturevalue(f"{server.engine}_scratch")
    with server.database(*SHOP) as database, ClientPool() as pool:
        monkeypatch.setattr(proof, "scratch_server", _shared(place, database))
        yield World(server, database, pool, tmp_path)
