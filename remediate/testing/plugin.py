"""The pytest plugin: ``--remediate-lab``, and fixtures for tests of one's own runbooks.

It is loaded in every pytest run of whoever has the tool installed: nothing is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from remediate.service.project import Project
    from remediate.testing.proving import Proving

_OPTION = "--remediate-lab"
_OFF = f"needs the lab: start it with `sudo remediate lab up`, then run pytest as root with {_OPTION}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The lab is never broken without having been asked for."""
    group = parser.getgroup("remediate", "rollbacks of runbooks")
    group.addoption(_OPTION, action="store_true", help="Run tests that break hosts of the lab on purpose.")
    group.addoption(
        "--remediate-project",
        metavar="DIR",
        type=Path,
        help="The project under test; default: the nearest folder with remediate.toml.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """For projects with strict markers."""
    config.addinivalue_line("markers", "remediate_lab: needs the lab; skipped without --remediate-lab")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that need the lab are skipped, with the reason, where nobody asked for it."""
    if config.getoption(_OPTION):
        return
    for item in items:
        needed = "prove_rollback" in getattr(item, "fixturenames", ())
        if needed or item.get_closest_marker("remediate_lab"):
            item.add_marker(pytest.mark.skip(reason=_OFF))


@pytest.fixture
def remediate_project(request: pytest.FixtureRequest) -> Project:
    """The project under test: its settings, runbooks and inventory."""
    from remediate.service.project import Project

    return Project.open(request.config.getoption("--remediate-project") or request.config.rootpath)


@pytest.fixture
def prove_rollback(request: pytest.FixtureRequest, remediate_project: Project) -> Callable[..., Proving]:
    """``prove_rollback("patch-package", package="shop", version="1.1-1")``: breaks it at every step.

    See `remediate.testing.proving.prover` for what else it takes, and `Proving` for what it returns.
    """
    from remediate.testing.proving import prover

    reporter = request.config.get_terminal_writer()

    def say(text: str) -> None:
        if request.config.get_verbosity() > 0:
            reporter.line(text)

    return prover(remediate_project, say)
