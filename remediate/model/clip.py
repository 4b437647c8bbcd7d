"""Shortens what a host or a server said, without cutting a secret value in two."""

from __future__ import annotations

import re

#: Where a text may be cut, the best first: between lines, between words, and in a long line without any
#: (JSON, say) where neither a word nor a key nor Base64 goes on. A part of a secret is not known for one.
_BREAKS = (re.compile(r"\n"), re.compile(r"\s"), re.compile(r"[^\w+/=.~%-]"))


def clip(text: str, longest: int = 2000) -> str:
    """The beginning and the end of a long text, each up to a break: about ``longest`` characters."""
    if len(text) <= longest:
        return text
    half = longest // 2
    head, tail = _to_break(text[:half]), _to_break(text[-half:][::-1])[::-1]
    gap = "\n" if "\n" in text else " "
    return f"{head}{gap}[… {len(text) - len(head) - len(tail)} characters left out …]{gap}{tail}"


def _to_break(text: str) -> str:
    """The text up to its last good break, if that costs less than half of it."""
    for pattern in _BREAKS:
        *_, last = (0, *(found.start() for found in pattern.finditer(text, len(text) // 2)))
        if last:
            return text[:last]
    return text
