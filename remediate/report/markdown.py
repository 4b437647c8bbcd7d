"""A document as Markdown (CommonMark with GFM tables): shown text can't become markup of any kind.

Only what could be markup is escaped, so that the source stays readable where nothing renders it.
"""

from __future__ import annotations

import re
from typing import assert_never

from remediate.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Diff,
    Document,
    Facts,
    Heading,
    Notice,
    Paragraph,
    Severity,
    Style,
    Table,
)

_WORDS = {
    Severity.SUCCESS: "OK",
    Severity.INFO: "Note",
    Severity.WARNING: "Warning",
    Severity.DANGER: "DANGER",
}

#: Escapes in one pass. A raw ``<`` never remains: not every renderer knows the backslash.
_INLINE = re.compile(
    r"""(?P<entity> [<>] | &(?=[#A-Za-z0-9]) )
      | [\\`*\[\]|~]                                 # emphasis, code, links, images, tables, strikethrough
      | (?<![A-Za-z0-9])_ | _(?![A-Za-z0-9])          # emphasis; inside of a word it is none
      | :(?=//) | (?<=mailto): | (?<=xmpp): | (?<=www)\. | @(?=[\w-]+\.)   # links that GFM makes by itself
      | \#+$                                          # the end of a heading""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
#: Headings, lists, rules and definitions are made by how a line starts.
_START = re.compile(r"^(\d{1,9}(?=[.)])|(?=[-+=:#]))", re.ASCII)
_NOT_IN_A_SPAN = re.compile(r"[`<>&|\\]|^\s|\s$|^$")
_BACKTICKS = re.compile(r"`+")


def render(document: Document) -> str:
    """The document as Markdown with a line feed at the end."""
    parts = [f"# {inline(document.title)}", *(_block(block) for block in document.blocks)]
    return "\n\n".join(part for part in parts if part) + "\n"


def inline(text: str) -> str:
    """One line of text, so that it shows as it is: no emphasis, link, image, HTML, heading, list or table."""

    def escape(match: re.Match[str]) -> str:
        return _ENTITIES[match[0]] if match["entity"] else "\\" + match[0]

    return _START.sub(r"\1\\", _INLINE.sub(escape, text.strip()))


def _block(block: Block) -> str:  # noqa: PLR0911 - one return for each type of block
    match block:
        case Heading():
            return f"{'#' * block.level} {inline(block.text)}"
        case Paragraph():
            return _paragraph(block.text)
        case Facts():
            return "\n".join(f"- **{inline(key)}:** {_cell(value)}" for key, value in block.items)
        case Table():
            return _table(block)
        case Diff():
            label = " · ".join(filter(None, [block.title, ", ".join(block.targets)]))
            fence = _fenced(block.text, "diff")
            return f"{inline(label)}\n\n{fence}" if label else fence
        case Code():
            return _fenced(block.text, block.language)
        case Bullets():
            return "\n".join(f"- {inline(item)}" for item in block.items)
        case Notice():
            return f"> **{_WORDS[block.level]}:** {inline(block.text)}"
        case _:
            assert_never(block)


def _paragraph(text: str) -> str:
    # Two spaces keep a line break; a blank line starts the next paragraph, as in the text itself.
    lines = [inline(line) for line in text.split("\n")]
    pairs = zip(lines, [*lines[1:], ""], strict=True)
    return "\n".join(f"{line}  " if line and following else line for line, following in pairs).strip("\n")


def _cell(cell: Cell) -> str:
    match cell.style:
        case Style.PLAIN | Style.DIM | Style.GOOD:
            return inline(cell.text)
        case Style.BAD | Style.WARN:
            return f"**{inline(cell.text)}**" if cell.text.strip() else ""
        case Style.CODE:
            return inline(cell.text) if _NOT_IN_A_SPAN.search(cell.text) else f"`{cell.text}`"
        case _:
            assert_never(cell.style)


def _table(block: Table) -> str:
    lines = [[inline(column) for column in block.columns], ["---"] * len(block.columns)]
    lines += [[_cell(value) for value in row] for row in block.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fenced(text: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    body = text.removesuffix("\n")
    return f"{fence}{language}\n{body}\n{fence}"
