"""The page of figures is complete, or the gate says what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability import record
from tests.reliability.page import SECTIONS, render, rows


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for figures."""
    monkeypatch.setenv("REMEDIATE_FIGURES", str(tmp_path))
    return tmp_path


def test_rows_become_tables_in_order(kept: Path) -> None:
    record("mutations", "V10", "b | c", "test_b")
    record("mutations", "V2", "a", "test_a")
    record("explored", "seeds", 10_000, 12, 0)
    record("explored", "seeds", 10_000, 12, 0)
    page = render(rows(kept))
    assert page.count("| seeds | 10,000 | 12 | 0 |") == 1
    assert page.index("| V2 | a |") < page.index("| V10 | b \\| c |")


def test_a_section_without_figures_stays(kept: Path) -> None:
    record("golden", "first", 3, "verified new")
    old = render(rows(kept))
    record("explored", "seeds", 1, 1, 0)
    (kept / "golden").rename(kept.parent / "elsewhere")
    assert "| first | 3 | verified new |" in render(rows(kept), old)
    assert "first" not in render(rows(kept))


def test_a_row_that_fits_nowhere_is_refused(kept: Path) -> None:
    record("matrix", "hosts", "before")
    with pytest.raises(ValueError, match="fits no section"):
        rows(kept)


def test_every_section_says_what_it_shows() -> None:
    assert all(section.text.endswith(".") for section in SECTIONS.values())
