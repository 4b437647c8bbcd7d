"""One private server with MongoDB's protocol for all tests of this folder; a database for each test."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.lab.layout import Layout
from remediate.lab.mongodb import MongoDB
from tests.adapters.mongodb.world import World

HOME = Path(tempfile.gettempdir()) / "remediate-test-mongodb"


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    """The port that it listens on. What a killed session left is ended first."""
    server = MongoDB(Layout(HOME, "rmmong", "10.213.84"))
    if os.geteuid() != 0:
        pytest.skip("the lab's servers are started by root")
    if not server.classes.exists() and not (shutil.which("mvn") and shutil.which("javac")):
        pytest.skip("no server with MongoDB's protocol: remediate lab up --with mongodb")
    server.down()
    try:
        server.up(print)
        yield server.port
    finally:
        server.down()
        shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture
def world(port: int, tmp_path: Path) -> Iterator[World]:
    """A database with the payments."""
    with ClientPool() as pool:
        made = World(port, f"t{uuid.uuid4().hex[:12]}", pool, tmp_path)
        with made.client() as client:
            made.fill()
            yield made
            client.drop_database(made.database)
