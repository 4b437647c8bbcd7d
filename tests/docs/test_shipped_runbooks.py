"""Every shipped runbook has a page with its real inputs and defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediate.planning.load import Loaded, load_runbooks
from tests.docs.blocks import DOCS, ROOT, code, prose, rows, section

_LOADED = load_runbooks(ROOT / "runbooks", ROOT)
_HEADINGS = (
    "When to use it",
    "A command line",
    "What happens",
    "Rollback",
    "How long",
    "What can't be rolled back",
)


def _page(name: str) -> Path:
    return DOCS / "runbooks" / f"{name}.md"


def test_there_is_a_page_for_each() -> None:
    assert {p.stem for p in (DOCS / "runbooks").glob("*.md")} == set(_LOADED)


@pytest.mark.parametrize("loaded", _LOADED.values(), ids=list(_LOADED))
def test_inputs_and_defaults(loaded: Loaded) -> None:
    shown = {code(r[0])[0]: r[1] for r in rows(section(_page(loaded.name), "Inputs"))}
    fields = loaded.runbook.Inputs.model_fields
    assert set(shown) == set(fields)
    for name, cell in shown.items():
        if fields[name].is_required():
            assert cell == "required"
        elif cell != "the lab's":
            assert code(cell) == [str(fields[name].default)]


@pytest.mark.parametrize("loaded", _LOADED.values(), ids=list(_LOADED))
def test_the_page_answers_every_question(loaded: Loaded) -> None:
    page = _page(loaded.name)
    for heading in _HEADINGS:
        assert section(page, heading)
    sources = [name for name in code(section(page, loaded.name).partition("\n## ")[0]) if "/" in name]
    assert sources
    assert all((ROOT / name).is_file() for name in sources), sources
    assert f"the group `{loaded.runbook.targets}`" in prose(page)
