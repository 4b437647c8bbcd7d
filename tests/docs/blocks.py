"""Reads the documentation: its fenced blocks, tables, headings and links. Just the Markdown that we write."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: Written by others than the tests in this folder look after; links into them are followed all the same.
_OTHERS = {"architecture.md", "performance.md", "changelog.md"}

_FENCE = re.compile(r"^(`{3,})(.*)$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. ``words`` are those of its info string after the language."""

    page: Path
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def where(self) -> str:
        """``docs/tutorial.md:17``, of the first line inside."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def option(self, name: str) -> str:
        """The value of ``name=value`` in the info string, empty if it isn't there."""
        return next((w.partition("=")[2] for w in self.words if w.startswith(f"{name}=")), "")


def pages() -> list[Path]:
    """Every page that is tested."""
    return sorted(p for p in DOCS.rglob("*.md") if p.relative_to(DOCS).as_posix() not in _OTHERS)


def page_id(page: Path) -> str:
    """A short name for a test's parameter."""
    return page.relative_to(DOCS).as_posix()


def blocks(page: Path, language: str = "", *words: str) -> list[Block]:
    """The page's fenced blocks, or those of one language that carry all these words."""
    found = [b for b in _blocks(page) if language in ("", b.language)]
    return [b for b in found if set(words) <= set(b.words)]


def _blocks(page: Path) -> Iterator[Block]:
    fence, start, info, body = "", 0, [""], list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        match = _FENCE.match(line)
        if not fence and match:
            fence, start, info, body = match[1], number + 1, shlex.split(match[2]) or [""], []
        elif fence and line == fence:
            yield Block(page, start, info[0], tuple(info[1:]), "".join(f"{one}\n" for one in body))
            fence = ""
        elif fence:
            body.append(line)
    if fence:
        raise ValueError(f"{page}:{start}: this block has no end")


def prose(page: Path) -> str:
    """The page without its blocks; line numbers are kept."""
    kept, fence = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        match = _FENCE.match(line)
        if not fence and match:
            fence = match[1]
        elif fence:
            fence = "" if line == fence else fence
        else:
            kept.append(line)
            continue
        kept.append("")
    return "\n".join(kept)


def section(page: Path, heading: str) -> str:
    """The prose below one heading, down to the next one of its level or above; blocks are left out."""
    lines = prose(page).splitlines()
    start = next(i for i, line in enumerate(lines) if re.fullmatch(rf"#+ {re.escape(heading)}", line))
    level = len(lines[start]) - len(lines[start].lstrip("#"))
    rest = lines[start + 1 :]
    end = next((i for i, line in enumerate(rest) if re.match(rf"#{{1,{level}}} ", line)), len(rest))
    return "\n".join(rest[:end])


def rows(text: str) -> list[tuple[str, ...]]:
    """The rows of all Markdown tables in a text, without their headers; cells as they are written."""
    found = []
    lines = text.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if not line.startswith("|") or re.fullmatch(r"[|\s:-]+", line):
            continue
        if before.startswith("|"):
            found.append(tuple(c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]))
    return found


def code(cell: str) -> list[str]:
    """The texts between backticks in a cell or line."""
    return [m[1:-1] for m in _CODE.findall(cell)]


def links(page: Path) -> list[tuple[int, str]]:
    """Line and target of every link."""
    found = []
    for number, line in enumerate(prose(page).splitlines(), 1):
        found += [(number, target) for target in _LINK.findall(_CODE.sub("", line))]
    return found


def anchors(page: Path) -> set[str]:
    """What a link to a heading of this page may be written as (GitHub's rule)."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower().replace("`", "")).replace(" ", "-") for h in heads}


def commands(block: Block) -> list[tuple[int, str]]:
    """Line and text of every command of a console block; a backslash continues a line."""
    found: list[tuple[int, str]] = []
    lines = iter(enumerate(block.text.splitlines(), block.line))
    for number, line in lines:
        if not line.startswith("$ "):
            continue
        text = line[2:]
        while text.endswith("\\"):
            text = text[:-1].rstrip() + " " + next(lines)[1].removeprefix("> ").strip()
        found.append((number, text))
    return found
