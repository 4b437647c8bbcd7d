"""Text that came from a host, device, ticket or file, made fit to be shown to a person who decides on it.

Such text can hold terminal escapes, bidirectional overrides (CVE-2021-42574, "Trojan Source"), invisible
characters and endless length. None of it is dropped, because dropping hides evidence: it is made visible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

#: Characters that a value, a line, and a whole text may have before they are cut.
SHORT, LINE, LONG = 300, 2_000, 40_000

_NOT_ASCII_TEXT = re.compile(r"[^ -~]")
_MARKS_IN_A_ROW = 4
_ROOM_FOR_NOTE = 40

#: Printable by category, yet blank or without width (Unicode 15, Default_Ignorable_Code_Point and fillers).
_BLANK = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0xFFFC),
            *(*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
        ),
    )
)


@lru_cache(maxsize=4096)
def _visible(char: str) -> str:
    """One character that may not be shown as it is, in a form that shows which one it was."""
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_mark(char: str) -> bool:
    # Imported here: the tables are large, and most text never gets as far.
    import unicodedata

    return unicodedata.category(char) in ("Mn", "Me")


def _pieces(text: str, keep: str, exact: bool) -> Iterator[str]:
    """The text as one piece for each character of the source."""
    marks = 0
    for char in text:
        if char == " " or "!" <= char <= "~" or char in keep:
            marks = 0
            yield char
        elif not char.isprintable() or char in _BLANK:
            marks = 0
            yield char if _is_wide_space(char) and not exact else _visible(char)
        else:
            marks = marks + 1 if _is_mark(char) else 0
            yield char if marks <= _MARKS_IN_A_ROW else _visible(char)


def _is_wide_space(char: str) -> bool:
    """No-break, ideographic and so on: ordinary in prose, and a trap in a configuration file."""
    return char.isspace() and char >= "\u00a0" and char not in "\u2028\u2029"


def safe(text: str, limit: int = SHORT, *, lines: bool = False, exact: bool = False) -> str:
    """The text with every control, escape, bidi and invisible character made visible, at most ``limit`` long.

    Applied twice, it changes nothing more.

    Args:
        text: anything, also with lone surrogates.
        limit: in characters; what is cut off is counted in a note at the end.
        lines: keep line feeds and tabs.
        exact: show unusual spaces too (no-break, ideographic), where every byte matters.
    """
    keep = "\n\t" if lines else ""
    if len(text) <= limit and not _NOT_ASCII_TEXT.search(text):
        return text
    room, shown, length = limit - _ROOM_FOR_NOTE, 0, 0
    out: list[str] = []
    for piece in _pieces(text[: limit + 1], keep, exact):
        length += len(piece)
        if length > limit:
            break
        out.append(piece)
        shown += length <= room
    else:
        if len(text) <= limit:
            return "".join(out)
    note = f"… {len(text) - shown:,} more characters"
    return "".join(out[:shown]).rstrip() + ("\n" if lines else " ") + note
