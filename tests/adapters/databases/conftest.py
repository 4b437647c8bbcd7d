"""One private MariaDB and one private PostgreSQL for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from tests.adapters.databases.servers import DatabaseServer, mariadb, postgres, server
from tests.adapters.databases.world import World, filled

__all__ = ["mariadb", "postgres", "server"]


@pytest.fixture
def world(server: DatabaseServer, tmp_path: Path) -> Iterator[World]:
    """A database with the payments, on each engine in turn."""
    (tmp_path / "project").mkdir()
    with server.database(*filled(server.engine)) as name, ClientPool() as pool:
        yield World(server, name, pool, tmp_path)
