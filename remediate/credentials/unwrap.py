"""Takes out the line breaks that tools put into long Base64 and hex, and finds the way back."""

from __future__ import annotations

import re
from bisect import bisect_right

#: A line of encoded text is at least this long before it is broken.
_SHORTEST_LINE = 32

#: A line break and the indent after it, or one that was escaped for JSON or a string literal.
_BREAK = re.compile(r"(?:\r?\n|\\{1,4}r\\{1,4}n|\\{1,4}n)[ \t]*")
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]*")


class Unwrapped:
    """A text without the breaks inside encoded blocks; ``text`` is None when there are none."""

    def __init__(self, text: str) -> None:
        kept, self._starts, self._shifts = [], [0], [0]
        done = removed = 0
        for match in _BREAK.finditer(text):
            start, end = match.span()
            before = text[max(done, start - _SHORTEST_LINE) : start]
            if len(before) < _SHORTEST_LINE or not _ENCODED.fullmatch(before):
                continue
            kept.append(text[done:start])
            done = end
            removed += end - start
            self._starts.append(end - removed)
            self._shifts.append(removed)
        self.text = "".join((*kept, text[done:])) if kept else None

    def original(self, span: tuple[int, int]) -> tuple[int, int]:
        """Where a part of ``text`` stands in the text as it was."""
        start, end = span
        return self._at(start), self._at(end - 1) + 1

    def _at(self, place: int) -> int:
        return place + self._shifts[bisect_right(self._starts, place) - 1]
