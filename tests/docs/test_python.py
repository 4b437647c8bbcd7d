"""Python in the documentation compiles; complete examples are loaded, and the tests among them run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from remediate.planning.load import load_runbooks
from tests.docs import project
from tests.docs.blocks import Block, blocks, pages

_ALL = [block for page in pages() for block in blocks(page, "python")]
_FILES = [block for block in _ALL if block.option("file")]
_SHORT = [block for block in _ALL if not block.option("file") and "part" not in block.words]
_PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]


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
    """Every file of one page, in one project; then its runbooks are loaded and its tests run."""
    files = [block for block in _FILES if block.page == page]
    for block in files:
        project.put(folder, block.option("file"), block.text)
    assert load_runbooks(folder / "runbooks", folder) or not list(folder.glob("runbooks/*.py"))
    if tests := [name for b in files if Path(name := b.option("file")).name.startswith("test_")]:
        done = subprocess.run(
            [*_PYTEST, *tests], cwd=folder, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
