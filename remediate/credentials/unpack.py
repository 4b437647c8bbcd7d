"""Looks into Base64: what was packed (gzip, zlib) or encoded before shows nothing of a value outside."""

from __future__ import annotations

import re
import zlib
from binascii import a2b_base64
from collections.abc import Iterator

#: The shortest that a value may be, encoded twice, without ``=``.
_BLOCK = re.compile(r"[A-Za-z0-9+/_-]{11,}")
#: How gzip (RFC 1952) and zlib (RFC 1950, at its usual levels) begin, in Base64.
_PACKED = re.compile(r"H4sI|eJ[w-z]|eN[o-r]|eAE|eF[4-7]")
_STANDARD = str.maketrans("-_", "+/")
#: zlib finds out itself which of both it is (zlib manual, inflateInit2).
_EITHER = 47
#: So many characters show whether something is packed at all.
_GLANCE = 1024
#: Bytes that one text may unpack to, and places at which it is tried. What is beyond stays closed.
_ROOM, _TRIES, _LEAST = 4 << 20, 10_000, 4096

Place = tuple[int, int]


class Unpacked:
    """Texts inside of texts, until there are too many of them."""

    def __init__(self) -> None:
        self._room, self._tries = _ROOM, _TRIES

    def inside(self, text: str) -> Iterator[tuple[Place, str | None]]:
        """The place of each block, and what can be read in it; None: nobody can tell, for want of room."""
        for block in _BLOCK.finditer(text):
            start, end = block.span()
            # Letters right before it belong to the block as far as anybody can tell.
            for begin in range(start, min(start + 4, end)):
                if found := _readable(_decoded(text[begin:end])):
                    yield (begin, end), found
            for packed in _PACKED.finditer(text, start, end):
                yield from self._unpacked(text, packed.start(), end)

    def _unpacked(self, text: str, begin: int, end: int) -> Iterator[tuple[Place, str | None]]:
        if self._room <= 0 or self._tries <= 0:
            yield (begin, end), None
            return
        self._tries -= 1
        if _inflated(_decoded(text[begin : min(end, begin + _GLANCE)]), _LEAST):
            data = _inflated(_decoded(text[begin:end]), self._room)
            self._room -= max(len(data), _LEAST)
            yield (begin, end), data.decode(errors="replace")


def _inflated(data: bytes, room: int) -> bytes:
    try:
        return zlib.decompressobj(_EITHER).decompress(data, room)
    except zlib.error:
        return b""


def _readable(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # Only at its end may it be cut, or be followed by something else.
        return data[: error.start].decode() if error.start >= len(data) - 3 else ""


def _decoded(block: str) -> bytes:
    if "-" in block or "_" in block:
        block = block.translate(_STANDARD)
    whole = len(block) - len(block) % 4
    # Its last characters are whole bytes only if there are two or three of them.
    rest = {2: block[whole:] + "==", 3: block[whole:] + "="}.get(len(block) - whole, "")
    return a2b_base64(block[:whole] + rest)
