"""A document on a terminal, or as plain text. Whether there are colours is the console's business."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, assert_never

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

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.text import Text

_STYLES = {
    Style.PLAIN: "",
    Style.GOOD: "green",
    Style.BAD: "bold red",
    Style.WARN: "yellow",
    Style.DIM: "dim",
    Style.CODE: "cyan",
}
_NOTICES = {
    Severity.SUCCESS: ("OK", "bold green"),
    Severity.INFO: ("NOTE", "bold cyan"),
    Severity.WARNING: ("WARNING", "bold yellow"),
    Severity.DANGER: ("DANGER", "bold red"),
}
_DIFF_STYLES = {"head": "bold", "at": "cyan", "add": "green", "del": "red", "same": "dim"}
_KEY_WIDTH = 28
_WORD = 16
"""Characters of a word (a path, a digest) from which on it may be folded."""
_GAP = 3
"""Between two columns."""


def render(document: Document, width: int = 100) -> str:
    """The document as plain text without any escape sequence, ``width`` columns wide."""
    from rich.console import Console

    out = io.StringIO()
    # An empty environment: neither FORCE_COLOR nor COLUMNS may reach a file or a ticket.
    console = Console(
        file=out, width=width, color_system=None, force_terminal=False, force_jupyter=False, _environ={}
    )
    write(document, console)
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


def write(document: Document, console: Console) -> None:
    """Print the document; width, colours and NO_COLOR are the console's."""
    from rich.text import Text

    encoding = console.encoding.lower().replace("_", "-")
    for part in _document(document):
        if encoding.startswith("utf"):
            console.print(part, soft_wrap=False)
        else:
            # A terminal that can't show a character must not end the report with an error.
            with console.capture() as captured:
                console.print(part, soft_wrap=False)
            shown = captured.get().encode(encoding, "backslashreplace").decode(encoding)
            console.print(Text.from_ansi(shown), soft_wrap=True)


def _document(document: Document) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(document.title, style="bold underline")
    yield Text("")
    for block in document.blocks:
        yield from _block(block)
        if not isinstance(block, Heading):
            yield Text("")


def _block(block: Block) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    match block:
        case Heading():
            yield Text(block.text.upper() if block.level == 2 else block.text, style="bold")
        case Paragraph():
            yield Text(block.text)
        case Facts():
            yield _facts(block)
        case Table():
            yield _Fitting(block)
        case Diff():
            yield from _diff(block)
        case Code():
            yield Padding(Text(block.text, style="cyan", overflow="fold"), (0, 0, 0, 4))
        case Bullets():
            yield _bullets(block)
        case Notice():
            word, style = _NOTICES[block.level]
            yield _beside([(Text(f"{word}:", style=style), Text(block.text, style=style, overflow="fold"))])
        case _:
            assert_never(block)


def _cell(cell: Cell) -> Text:
    from rich.text import Text

    return Text(cell.text, style=_STYLES[cell.style], overflow="fold")


def _beside(rows: list[tuple[Text, Text]], indent: int = 0) -> RenderableType:
    """Pairs in two columns, the first as wide as it has to be."""
    from rich.padding import Padding
    from rich.table import Table as Grid

    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=_KEY_WIDTH, overflow="fold")
    grid.add_column(overflow="fold")
    for left, right in rows:
        grid.add_row(left, right)
    return Padding(grid, (0, 0, 0, indent))


def _facts(block: Facts) -> RenderableType:
    from rich.text import Text

    return _beside([(Text(key, style="dim"), _cell(value)) for key, value in block.items])


def _bullets(block: Bullets) -> RenderableType:
    from rich.text import Text

    return _beside([(Text("•"), Text(item, overflow="fold")) for item in block.items])


class _Fitting:
    """A table as such where its words have room, else each row as facts, a column below the other."""

    def __init__(self, block: Table) -> None:
        self._block = block
        columns = zip(block.columns, *([c.text for c in row] for row in block.rows), strict=True)
        words = [max((len(w) for text in column for w in text.split()), default=0) for column in columns]
        self._needs = sum(min(w, _WORD) for w in words) + _GAP * (len(words) - 1)

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if options.max_width >= self._needs:
            yield _table(self._block)
        else:
            yield from _stacked(self._block)


def _stacked(block: Table) -> Iterator[RenderableType]:
    from rich.text import Text

    for number, row in enumerate(block.rows):
        if number:
            yield Text("")
        pairs = zip(block.columns, row, strict=True)
        yield _beside([(Text(column, style="dim"), _cell(value)) for column, value in pairs if value.text])


def _table(block: Table) -> RenderableType:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for index, column in enumerate(block.columns):
        # A narrow column (numbers, roles, times) never breaks; the wide ones share what is left.
        widest = max((len(row[index].text) for row in block.rows), default=0)
        grid.add_column(Text(column), overflow="fold", no_wrap=widest <= 8)
    for row in block.rows:
        grid.add_row(*(_cell(value) for value in row))
    return grid


def _diff(block: Diff) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    if label := " · ".join(filter(None, [block.title, ", ".join(block.targets)])):
        yield Text(label, style="bold")
    lines = Text(overflow="fold")
    for kind, line in block.lines():
        lines.append(f"{line}\n", style=_DIFF_STYLES[kind])
    lines.rstrip()
    yield Padding(lines, (0, 0, 0, 4))
