"""Python in the documentation compiles; complete examples are loaded, and the tests among them run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import project
from tests.docs.blocks import Block, blocks, pages

_ALL = [block for page in pages() for block in blocks(page, "python")]
_FILES = [block for block in _ALL if block.option("file")]
_SHORT = [block for block in _ALL if not block.option("file") and "part" not in block.words]


def _params(found: list[Block]) -> list[object]:
    return [pytest.param(block, id=block.where) for block in found]


@pytest.mark.parametrize("block", _params(_ALL))
def test_it_compiles(block: Block) -> None:
    # As many line breaks before it as on the page, so that a traceback names the page's own line.
    compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")


@pytest.mark.parametrize("block", _params(_SHORT))
def test_a_short_example_runs(block: Block) -> None:
    exec(compile(block.text, block.where, "exec"), {"__name__": "example"})  # noqa: S102 - our own pages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project.make(tmp_path)


@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in sorted({b.page for b in _FILES})])
def test_complete_examples_work_together(page: Path, folder: Path) -> None:
    """Every file of one page, in one project; then its runbooks are listed and its tests run."""
    names = [block.option("file") for block in _FILES if block.page == page]
    for block in _FILES:
        if block.page == page:
            project.put(folder, block.option("file"), block.text)
    listed = _python(
        folder, "-c", "from remediate.cli.main import main; main()", "--output", "json", "runbooks"
    )
    assert len(json.loads(listed)["runbooks"]) == sum(name.startswith("runbooks/") for name in names)
    if tests := [name for name in names if Path(name).name.startswith("test_")]:
        options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib")
        assert "passed" in _python(folder, "-m", "pytest", *options, *tests)


def _python(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
