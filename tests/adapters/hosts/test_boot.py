"""The agent's program: what it is made of, and that old interpreters can run it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.adapters.hosts import remote
from remediate.adapters.hosts.boot import _MODULES, first_line, program
from tests.adapters.hosts.world import World, here

FOLDER = Path(remote.__file__).parent
SOURCES = sorted(path for path in FOLDER.glob("*.py") if path.name != "__init__.py")
#: Whatever other interpreters this machine has.
OTHERS = [*sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")), Path("/usr/bin/python3")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_syntax_is_that_of_python_3_6(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_nothing_but_the_standard_library_is_imported(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= sys.stdlib_module_names
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").partition(".")[0] in sys.stdlib_module_names


def test_every_module_is_sent() -> None:
    assert sorted(_MODULES) == [path.stem for path in SOURCES]


def test_the_first_line_means_the_same_to_every_shell() -> None:
    line = first_line(len(program()))
    assert not set(line) & set("'$!`\n")


@pytest.mark.parametrize("python", [p for p in OTHERS if p.exists()], ids=str)
def test_other_interpreters_run_it(python: Path, tmp_path: Path) -> None:
    with ClientPool() as pool:
        world = World(here(str(python)), pool, tmp_path, run="test-boot")
        client = world.client()
        (tmp_path / "file").write_text("old")
        assert client.write(str(tmp_path / "file"), b"new", stage="t", validate=["grep", "new", "{file}"])
        assert client.read(str(tmp_path / "file")) == b"new"
        assert client.run(["echo", "hello"], "test-boot", again=True).stdout == "hello\n"
        assert client.facts([f"file:{tmp_path}/file", "package:dpkg"])["package:dpkg"]
        assert client.kill("test-boot") == ()
        client.forget("test-boot")
