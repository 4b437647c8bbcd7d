"""Each cell of the fault matrix is shown by a test, or can't be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability import record
from tests.reliability.impossible import FAULTS, IMPOSSIBLE, MOMENTS, TECHNOLOGIES, cells

TESTS = Path(__file__).parents[1]
#: Prints the cell of each mark of each test that pytest finds.
COLLECT = """
import sys
import pytest

class Marks:
    def pytest_collection_finish(self, session):
        for item in session.items:
            for mark in item.iter_markers("fault"):
                print("CELL", *mark.args[:3], sep="|")

sys.exit(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Marks()]))
"""


@pytest.fixture(scope="module")
def marked() -> set[tuple[str, str, str]]:
    """Cells that tests show. A technology may say after a comma what is special about its target."""
    files = [str(p) for p in TESTS.rglob("test_*.py") if p != Path(__file__) and "fault" in p.read_text()]
    done = subprocess.run(
        [sys.executable, "-c", COLLECT, *files],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = set()
    for line in done.stdout.splitlines():
        if line.startswith("CELL|"):
            technology, moment, fault = line.split("|")[1:]
            # Others than these have moments and faults of their own.
            if (name := technology.partition(",")[0]) in TECHNOLOGIES:
                found.add((name, moment, fault))
    return found


def test_the_matrix_is_as_large_as_it_should_be() -> None:
    assert len(cells()) == len(TECHNOLOGIES) * len(MOMENTS) * len(FAULTS) == 168


def test_every_cell_is_shown_or_can_not_be(marked: set[tuple[str, str, str]]) -> None:
    assert marked <= set(cells()), "a mark that is no cell"
    assert IMPOSSIBLE.keys() <= set(cells()), "a reason without a cell"
    assert sorted(set(cells()) - marked - IMPOSSIBLE.keys()) == []
    assert sorted(marked & IMPOSSIBLE.keys()) == [], "it can be, after all"
    for (technology, moment, fault), reason in IMPOSSIBLE.items():
        record("matrix", technology, moment, fault, f"can't be: {reason}")
