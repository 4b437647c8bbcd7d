"""One nasty document on every surface: golden files, and properties for arbitrary text."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console

from remediate.report import text as text_renderer
from remediate.report.document import (
    Bullets,
    Cell,
    Document,
    Heading,
    Notice,
    Paragraph,
    Severity,
    Style,
    facts,
    table,
)
from remediate.report.markdown import inline
from remediate.report.plan import plan_document
from remediate.report.render import Format, render
from remediate.report.run import run_document
from tests.report import runs
from tests.report.conftest import Golden
from tests.report.hostile import FORBIDDEN, often, texts
from tests.report.samples import nasty_document, plan, risky_plan

DOCUMENTS = {
    "nasty": nasty_document(),
    "plan": plan_document(plan()),
    "risky": plan_document(risky_plan()),
    "rolled-back": run_document(plan(), runs.rolled_back()),
    "needs-human": run_document(plan(), runs.needs_human()),
}
SUFFIXES = {Format.TEXT: "txt", Format.MARKDOWN: "md", Format.HTML: "html", Format.JSON: "json"}


@pytest.mark.parametrize("format_", Format)
def test_golden_nasty(golden: Golden, format_: Format) -> None:
    golden(f"nasty.{SUFFIXES[format_]}", without_style(render(DOCUMENTS["nasty"], format_)))


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "nasty"])
@pytest.mark.parametrize("format_", [Format.TEXT, Format.MARKDOWN])
def test_golden_pages(golden: Golden, name: str, format_: Format) -> None:
    golden(f"{name}.{SUFFIXES[format_]}", render(DOCUMENTS[name], format_))


def without_style(page: str) -> str:
    """A page whose golden file doesn't change with every colour."""
    page = re.sub(r"<style>.*?</style>", "<style>…</style>", page, flags=re.DOTALL)
    return re.sub(r"sha256-[^&]+&", "sha256-…&", page)


@pytest.mark.parametrize("format_", Format)
@often
@given(text=texts)
def test_nothing_forbidden_in_any_output(format_: Format, text: str) -> None:
    shown = render(nasty_document(text), format_)
    assert not FORBIDDEN.search(shown)
    assert shown.endswith("\n")


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(ValueError, match="pdf"):
        render(nasty_document(), "pdf")


# -- HTML --


class Structure(HTMLParser):
    """Tags and attributes of a page; an unbalanced page fails."""

    VOID = ("meta", "br", "!doctype")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def parse(page: str) -> Structure:
    """The page's structure."""
    structure = Structure()
    structure.feed(page)
    structure.close()
    assert structure.open == []
    return structure


@often
@given(texts)
def test_html_has_only_its_own_tags_whatever_the_text(text: str) -> None:
    page = render(nasty_document(text), Format.HTML)
    known, found = parse(render(nasty_document("x\n\ny\nz"), Format.HTML)), parse(page)
    assert found.tags <= known.tags | {"br"}
    assert found.attributes <= known.attributes
    assert "<script" not in page.lower()


def test_html_needs_nothing_from_outside() -> None:
    page = render(nasty_document(), Format.HTML)
    found = parse(page)
    assert not found.tags & {"script", "link", "img", "iframe", "object", "a", "base", "form"}
    assert not found.attributes & {"src", "href", "style", "onload", "srcset", "action"}
    assert "url(" not in page.split("</style>")[0]
    assert "@import" not in page


def test_html_policy_allows_its_own_style_sheet_and_nothing_else() -> None:
    page = render(nasty_document(), Format.HTML)
    style = page.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = page.split('Content-Security-Policy" content="')[1].split('"')[0].replace("&#39;", "'")
    assert policy == (f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")


# -- Markdown --

MARKUP = {"html_block", "html_inline", "link_open", "image", "hr", "blockquote_open", "s_open"}


def tokens(source: str) -> list[str]:
    """Types of all tokens, nested ones too."""
    parsed = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(source)
    return [token.type for top in parsed for token in [top, *(top.children or [])]]


@often
@given(texts)
def test_markdown_text_becomes_no_markup(text: str) -> None:
    cells = table([text, "b"], [[text, Cell(text, Style.CODE)]])
    shown = (Heading(text), Paragraph(text), Bullets((text,)), facts((text, text)), cells)
    source = render(Document(text, shown), Format.MARKDOWN)
    found = tokens(source)
    assert not MARKUP & set(found)
    assert found.count("heading_open") == 2
    assert found.count("table_open") == 1
    assert found.count("tr_open") == 2
    assert found.count("fence") == found.count("code_block") == found.count("ordered_list_open") == 0


@often
@given(texts)
def test_a_markdown_fence_ends_where_it_should(text: str) -> None:
    source = render(nasty_document(text), Format.MARKDOWN)
    found = tokens(source)
    assert found.count("fence") == 2
    assert not {"html_block", "html_inline", "link_open", "image"} & set(found)
    assert found.count("blockquote_open") == len(Severity)


@often
@given(texts)
def test_markdown_says_what_the_text_says(text: str) -> None:
    line = Cell(text).text.strip()
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parseInline(inline(line))
    shown = "".join(child.content for token in parsed for child in token.children or [])
    assert shown == line


@often
@given(texts)
def test_markdown_text_gives_gfm_no_address_to_link(text: str) -> None:
    line = inline(Cell(text).text)
    assert not re.search(r"[A-Za-z]://|www\.\S|mailto:|<", line, re.IGNORECASE)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("max_connections = 5", "max_connections = 5"),
        ("_a_ *b* __c__", "\\_a\\_ \\*b\\* \\_\\_c\\_\\_"),
        ("- 1. x", "\\- 1. x"),
        ("1. x", "1\\. x"),
        ("12) x", "12\\) x"),
        ("## x ##", "\\## x \\##"),
        ("02:14:07 web3 · GET http://w/", "02:14:07 web3 · GET http\\://w/"),
        ("a & b &amp; &lt;", "a & b &amp;amp; &amp;lt;"),
        ("C:\\dir", "C:\\\\dir"),
        ("root@web3 a@b.com", "root@web3 a\\@b.com"),
    ],
)
def test_markdown_escapes_only_what_it_must(text: str, shown: str) -> None:
    assert inline(text) == shown


# -- JSON --


@often
@given(texts)
def test_json_comes_back_as_it_went(text: str) -> None:
    document = nasty_document(text)
    value = json.loads(render(document, Format.JSON))
    assert value["format"] == "remediate.document/1"
    assert value["title"] == document.title
    assert [block["type"] for block in value["blocks"]] == [
        type(block).__name__.lower() for block in document.blocks
    ]
    assert value["blocks"][2]["text"] == document.blocks[2].text  # type: ignore[union-attr] # a paragraph


# -- text --


@pytest.mark.parametrize("width", [20, 60, 100, 200])
@often
@given(text=texts)
def test_text_keeps_to_its_width(width: int, text: str) -> None:
    for line in text_renderer.render(nasty_document(text), width).split("\n"):
        assert cell_len(line) <= width


def written(**options: object) -> str:
    """The nasty document as a console with these options prints it."""
    out = io.StringIO()
    console = Console(file=out, width=100, legacy_windows=False, **options)  # type: ignore[arg-type] # any
    text_renderer.write(nasty_document(), console)
    return out.getvalue()


def test_colours_are_the_consoles_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = written(force_terminal=True, color_system="standard")
    assert "\x1b[1;31m" in coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert "\x1b" not in plain
    assert "\x1b" not in written(force_terminal=False)


def test_no_color_is_respected() -> None:
    shown = written(force_terminal=True, color_system="standard", _environ={"NO_COLOR": "1"})
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", shown)


def test_plain_text_ignores_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = render(nasty_document(), Format.TEXT)
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "20", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    assert render(nasty_document(), Format.TEXT) == before


def test_rich_markup_in_text_stays_text() -> None:
    document = Document("[bold red]t[/]", (Notice(Severity.INFO, ":smile: [link=http://e]x[/link]"),))
    assert ":smile: [link=http://e]x[/link]" in render(document, Format.TEXT)


def test_a_terminal_without_unicode_gets_escapes_not_an_error() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="latin-1")
    text_renderer.write(nasty_document(), Console(file=file, width=100))
    file.flush()
    assert b"\\u241b" in raw.getvalue()


def test_a_table_that_has_no_room_stands_row_by_row() -> None:
    """A run's id that is broken in two can't be copied."""
    columns = ("run", "started", "runbook", "ticket", "status")
    rows = [(f"r-47ae7d7{n}", "2026-11-22 17:27:00", "write", f"T-{n}", "verified new") for n in range(2)]
    document = Document("Runs", (table(columns, rows),))
    wide, narrow = text_renderer.render(document, 80), text_renderer.render(document, 40)
    for page in (wide, narrow):
        assert all(f"r-47ae7d7{n}" in page for n in range(2))
        assert page.count("verified new") == 2
    assert "───" in wide
    assert "───" not in narrow
    assert max(map(cell_len, narrow.splitlines())) <= 40
