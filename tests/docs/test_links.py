"""Every link of the documentation leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, anchors, links, page_id, pages


@pytest.mark.parametrize("page", [pytest.param(p, id=page_id(p)) for p in pages()])
def test_links_resolve(page: Path) -> None:
    for line, link in links(page):
        where = f"{page_id(page)}:{line}: {link}"
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), where
        if anchor:
            assert anchor in anchors(target), where


def test_every_page_is_on_the_map() -> None:
    listed = {(DOCS / link.partition("#")[0]).resolve() for _, link in links(DOCS / "index.md")}
    assert set(pages()) - {DOCS / "index.md"} <= listed
