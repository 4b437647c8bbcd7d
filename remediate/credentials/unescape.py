"""Text with its escapes written out (``%41``, ``\\u0041``, ``\\x41``, ``\\101``, ``&#65;``, ``=41``).

Tools escape what they must, which the patterns of a value know; some escape every character, letters too.
"""

from __future__ import annotations

import re
from bisect import bisect_right

_ESCAPE = re.compile(
    r"%(?:25){0,4}(?P<percent>[0-9A-Fa-f]{2})"
    r"|(?P<slashes>\\{1,16})(?:x(?P<byte>[0-9A-Fa-f]{2})|u(?P<unit>[0-9A-Fa-f]{4})|U(?P<code>[0-9A-Fa-f]{8})"
    r"|(?P<octal>[0-3][0-7]{2}))"
    r"|&(?:amp;){0,4}#(?:0{0,8}(?P<decimal>[0-9]{1,7})|[xX]0{0,8}(?P<hex>[0-9A-Fa-f]{1,6}));?"
    r"|=(?P<quoted>[0-9A-F]{2})"
)
#: Kinds that stand for one byte of UTF-8, with their base; the others stand for a whole character.
_BYTES = {"percent": 16, "byte": 16, "octal": 8, "quoted": 16}


class Unescaped:
    """A text with its escapes written out; ``text`` is None when there are none."""

    def __init__(self, text: str) -> None:
        self._parts: list[str] = []
        self._starts: list[int] = []
        self._sources: list[tuple[int, int]] = []
        self._length = 0
        run: list[tuple[int, int, int]] = []
        done = 0
        for match in _ESCAPE.finditer(text):
            start, end = match.span()
            kind = str(match.lastgroup)
            if slashes := len(match["slashes"] or ""):
                # Each time that something is escaped doubles them: the others are backslashes themselves.
                start += slashes - (slashes & -slashes)
            if run and (start > done or kind not in _BYTES):
                self._take_bytes(run)
                run = []
            if start > done:
                self._take(text[done:start], done, start)
            if kind in _BYTES:
                run.append((int(match[kind], _BYTES[kind]), start, end))
            else:
                self._take_code(int(match[kind], 10 if kind == "decimal" else 16), start, end)
            done = end
        self._take_bytes(run)
        if self._parts:
            self._take(text[done:], done, len(text))
        self.text = "".join(self._parts) if self._parts else None

    def original(self, span: tuple[int, int]) -> tuple[int, int]:
        """Where a part of ``text`` stands in the text as it was."""
        return self._at(span[0])[0], self._at(span[1] - 1)[1]

    def _at(self, place: int) -> tuple[int, int]:
        part = bisect_right(self._starts, place) - 1
        start, end = self._sources[part]
        if end - start == len(self._parts[part]):
            start += place - self._starts[part]
            return start, start + 1
        return start, end

    def _take(self, part: str, start: int, end: int) -> None:
        self._parts.append(part)
        self._starts.append(self._length)
        self._sources.append((start, end))
        self._length += len(part)

    def _take_code(self, code: int, start: int, end: int) -> None:
        """A character; the second half of a pair (UTF-16) makes one of both."""
        last = self._parts[-1] if self._parts else ""
        if 0xDC00 <= code < 0xE000 and "\ud800" <= last < "\udc00" and self._sources[-1][1] == start:
            start = self._sources.pop()[0]
            self._length = self._starts.pop()
            code = 0x10000 + (ord(self._parts.pop()) - 0xD800) * 0x400 + code - 0xDC00
        self._take(chr(code) if code < 0x110000 else "\ufffd", start, end)

    def _take_bytes(self, run: list[tuple[int, int, int]]) -> None:
        """Bytes that stand side by side; what is no UTF-8 among them is taken for Latin-1."""
        at = 0
        for char in bytes(byte for byte, _, _ in run).decode("utf-8", "surrogateescape"):
            size = len(char.encode("utf-8", "surrogateescape"))
            shown = chr(ord(char) - 0xDC00) if "\udc80" <= char <= "\udcff" else char
            self._take(shown, run[at][1], run[at + size - 1][2])
            at += size
