"""A tar archive (POSIX.1-2001, pax) as a stream: checked against a listing, or thinned out, byte by byte.

Blocks of chosen members pass unchanged: what tar wrote about owners, ACLs and attributes is what tar reads.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from remediate.adapters.backups.tree import Line
from remediate.errors import StepFailed

_BLOCK = 512
_KINDS = {tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "link"}
_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE)
#: Bytes of an extended header: names, ACLs and attributes of one file. It is held in memory.
_LONGEST_HEADER = 4 << 20
#: A record of one says its length in so many digits at most.
_DIGITS = 9


@dataclass(slots=True)
class Member:
    """One entry of an archive. ``content`` has seen all of it when the member is reported."""

    path: str
    kind: str
    size: int
    content: Any = field(default_factory=sha256)


class Walker:
    """Takes an archive in pieces of any size, and passes on what is wanted.

    Args:
        wants: whether a member of this path (absolute) is passed on.
        to: gets those, and the archive's end.
        seen: told of each member at its end.
    """

    def __init__(
        self, wants: Callable[[str], bool], to: Callable[[bytes], object], seen: Callable[[Member], object]
    ) -> None:
        self._wants, self._to, self._seen = wants, to, seen
        self._rest = b""
        self._left = 0
        """Bytes of the current member that are still to come, with the padding."""
        self._member: Member | None = None
        self._passing = False
        self._held: list[bytes] = []
        """Blocks of the extended header, until the member is known."""
        self._holding = 0
        self._pax: bytes | None = None
        self._ended = 0

    def write(self, data: bytes) -> None:
        """The next piece.

        Raises:
            StepFailed: it is no such archive.
        """
        self._rest += data
        at = 0
        while at < len(self._rest):
            if self._left:
                piece = self._rest[at : at + self._left]
                self._body(piece)
            elif len(self._rest) - at < _BLOCK:
                break
            else:
                piece = self._rest[at : at + _BLOCK]
                self._header(piece)
            at += len(piece)
        self._rest = self._rest[at:]

    def finish(self) -> None:
        """There is no more.

        Raises:
            StepFailed: the archive has no end.
        """
        if self._ended < 2 or self._left or self._rest:
            raise StepFailed("the archive was cut off: it has no end")

    def _body(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._member is None:
            self._hold(piece)
            self._pax = (self._pax or b"") + piece
            return
        data = piece[: max(0, self._member.size)]
        self._member.content.update(data)
        self._member.size -= len(data)
        if self._passing:
            self._to(piece)
        if not self._left:
            self._report()

    def _header(self, block: bytes) -> None:
        if not any(block):
            self._ended += 1
            self._to(block)
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise StepFailed(f"the archive is damaged: {error}") from None
        if self._ended:
            raise StepFailed("the archive goes on after its end")
        if info.size < 0:
            raise StepFailed("the archive is damaged: an entry is smaller than nothing")
        if info.type in _EXTENDED:
            self._left = _padded(info.size)
            self._hold(block)
            return
        self._begin(block, info)

    def _hold(self, piece: bytes) -> None:
        self._held.append(piece)
        self._holding += len(piece)
        if self._holding + self._left > _LONGEST_HEADER:
            raise StepFailed("the archive is damaged: an extended header does not end")

    def _begin(self, block: bytes, info: tarfile.TarInfo) -> None:
        said = _records(self._pax or b"")
        name = os.fsdecode(said.get(b"path", os.fsencode(info.name)))
        size = _number(said[b"size"]) if b"size" in said else info.size
        size = size if info.isreg() else 0
        kind = "twin" if info.islnk() else _KINDS.get(info.type, "other")
        self._member = Member("/" + name.rstrip("/"), kind, size)
        self._passing = self._wants(self._member.path)
        if self._passing:
            for piece in (*self._held, block):
                self._to(piece)
        self._held, self._holding, self._pax = [], 0, None
        self._left = _padded(size)
        if not self._left:
            self._report()

    def _report(self) -> None:
        assert self._member is not None  # noqa: S101 - only called at a member's end
        self._seen(self._member)
        self._member = None


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _records(data: bytes) -> dict[bytes, bytes]:
    """Of an extended header: ``LENGTH NAME=VALUE\\n``, where the length counts all of it (POSIX.1-2001)."""
    found, at = {}, 0
    while at < len(data) and data[at]:
        digits = data[at : at + _DIGITS + 1].partition(b" ")[0]
        begin, end = at + len(digits) + 1, at + _number(digits)
        if not begin < end <= len(data):
            raise StepFailed("the archive is damaged: a length in an extended header is wrong")
        name, _, value = data[begin : end - 1].partition(b"=")
        found[name] = value
        at = end
    return found


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 2 * _DIGITS:
        raise StepFailed("the archive is damaged: no number where an extended header needs one")
    return int(digits)


def matching(pieces: Iterator[bytes], listing: Iterator[Line]) -> Iterator[bytes]:
    """The same pieces; the archive must hold just what the listing says, in its order.

    Raises:
        StepFailed: it does not, or it is not whole.
    """

    def compare(member: Member) -> None:
        entry = next(listing, None)
        if entry is None or entry["path"] != member.path or not _agree(entry, member):
            name = member.path if entry is None else entry["path"]
            raise StepFailed(
                f"{name} changed while the backup was made", "stop what writes there, or choose another time"
            )

    walker = Walker(lambda _: False, lambda _: None, compare)
    for piece in pieces:
        walker.write(piece)
        yield piece
    walker.finish()
    if (entry := next(listing, None)) is not None:
        raise StepFailed(f"the archive lacks {entry['path']}")


def _agree(entry: Line, member: Member) -> bool:
    if member.kind == "twin":
        return bool(entry.get("twin", entry["path"]) != entry["path"])
    if member.kind != entry["kind"]:
        return False
    return member.kind != "file" or member.content.hexdigest() == entry["sha256"]
