"""What is shown, apart from where: a document is a title and blocks of a closed set of types.

Each block makes its text safe while it is built (see `safe`), so that no renderer can forget to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar, cast

from remediate.report.safe import LINE, LONG, SHORT, safe

T = TypeVar("T")


class Style(StrEnum):
    """How a value is to be read. Never the only bearer of a meaning: the words say it too."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    DIM = "dim"
    CODE = "code"


class Severity(StrEnum):
    """How loud a notice is."""

    SUCCESS = "success"
    INFO = "info"
    WARNING = "warning"
    DANGER = "danger"


_DIFF_LINES = {"+": "add", "-": "del", "@": "at"}


def _set(block: object, **values: Any) -> None:
    # The one way to finish a frozen dataclass while it is being built.
    for name, value in values.items():
        object.__setattr__(block, name, value)


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n")


@dataclass(frozen=True, slots=True)
class Cell:
    """One value on one line."""

    text: str
    style: Style = Style.PLAIN

    def __post_init__(self) -> None:
        _set(self, text=safe(self.text, LINE))


@dataclass(frozen=True, slots=True)
class Heading:
    """Opens a section; levels 2 to 4, because the document's title is level 1."""

    text: str
    level: int = 2

    def __post_init__(self) -> None:
        _set(self, text=safe(self.text), level=min(max(self.level, 2), 4))


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Prose; line breaks stay."""

    text: str

    def __post_init__(self) -> None:
        _set(self, text=safe(_unix_lines(self.text), LONG, lines=True))


@dataclass(frozen=True, slots=True)
class Facts:
    """Keys with one value each."""

    items: tuple[tuple[str, Cell], ...]

    def __post_init__(self) -> None:
        _set(self, items=tuple((safe(key), value) for key, value in self.items))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as there are columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of the table {self.columns} has another number of cells")
        _set(self, columns=tuple(safe(column) for column in self.columns))


@dataclass(frozen=True, slots=True)
class Diff:
    """A unified diff that holds for each of these targets."""

    text: str
    targets: tuple[str, ...] = ()
    title: str = ""

    def __post_init__(self) -> None:
        _set(
            self,
            text=safe(self.text, LONG, lines=True, exact=True),
            targets=tuple(safe(target) for target in self.targets),
            title=safe(self.title),
        )

    def lines(self) -> list[tuple[str, str]]:
        """Each line with what it is: ``head``, ``at``, ``add``, ``del`` or ``same``."""
        result = []
        # Until the first hunk, "---" and "+++" name the files; after it they are content.
        head = "\n@@" in f"\n{self.text}"
        for line in self.text.removesuffix("\n").split("\n"):
            head = head and not line.startswith("@@")
            result.append(("head" if head else _DIFF_LINES.get(line[:1], "same"), line))
        return result


@dataclass(frozen=True, slots=True)
class Code:
    """Text that is read character by character."""

    text: str
    language: str = ""

    def __post_init__(self) -> None:
        language = "".join(c for c in self.language.lower() if c.isascii() and (c.isalnum() or c in "+-"))
        _set(self, text=safe(self.text, LONG, lines=True, exact=True), language=language[:20])


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of lines."""

    items: tuple[str, ...]

    def __post_init__(self) -> None:
        _set(self, items=tuple(safe(item, LINE) for item in self.items))


@dataclass(frozen=True, slots=True)
class Notice:
    """What must not be overlooked."""

    level: Severity
    text: str

    def __post_init__(self) -> None:
        _set(self, text=safe(self.text, LINE))


Block = Heading | Paragraph | Facts | Table | Diff | Code | Bullets | Notice


@dataclass(frozen=True, slots=True)
class Document:
    """One page."""

    title: str
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        _set(self, title=safe(self.title, SHORT))

    def mapped(self, change: Callable[[str], str]) -> Document:
        """The same document with every text changed, such as scrubbed of secrets.

        To be preferred to changing the rendered page, where escapes can hide what is looked for.
        """
        return _mapped(self, change)


def _mapped(value: T, change: Callable[[str], str]) -> T:
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: _mapped(getattr(value, f.name), change) for f in fields(value)}
        return cast(T, replace(value, **changed))
    if isinstance(value, tuple):
        return cast(T, tuple(_mapped(item, change) for item in value))
    if isinstance(value, str) and not isinstance(value, StrEnum):
        return cast(T, change(value))
    return value


def cell(value: str | Cell) -> Cell:
    """A plain cell of a bare string."""
    return value if isinstance(value, Cell) else Cell(value)


def facts(*items: tuple[str, str | Cell]) -> Facts:
    """Facts of keys and values; a key whose value is empty is left out."""
    cells = ((key, cell(value)) for key, value in items)
    return Facts(tuple((key, value) for key, value in cells if value.text))


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Cell]]) -> Table:
    """A table of strings and cells."""
    return Table(tuple(columns), tuple(tuple(cell(value) for value in row) for row in rows))
