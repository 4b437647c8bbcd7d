"""Plain text out of what a terminal would have shown."""

from __future__ import annotations

import re

#: ECMA-48 control sequences, operating system commands (titles), and two-character escapes.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_]|[ -/]+[0-~])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """The text without escape sequences, overstrikes and control characters; lines end in ``\\n``."""
    text = _ANSI.sub("", text)
    if "\x08" in text:
        text = "\n".join(_overstruck(line) if "\x08" in line else line for line in text.split("\n"))
    text = text.replace("\r\n", "\n")
    # A lone carriage return starts the line anew: pagers do that to wipe themselves out.
    text = re.sub(r"(?m)^[^\n]*\r(?=[^\n])", "", text)
    return _CONTROL.sub("", text)


def _overstruck(line: str) -> str:
    kept: list[str] = []
    for char in line:
        if char != "\x08":
            kept.append(char)
        elif kept:
            kept.pop()
    return "".join(kept)
