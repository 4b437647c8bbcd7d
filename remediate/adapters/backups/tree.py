"""A tree of files as a host lists it: one entry per line, in the order of the names, compared as a stream."""

from __future__ import annotations

import json
import os
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import groupby
from typing import Any

from remediate.adapters.backups import remote
from remediate.errors import StepFailed
from remediate.model.clip import clip

_NAMED = 5
#: A name of 4096 bytes and its attributes, escaped.
_LONGEST_LINE = 16 << 20
_KINDS = ("file", "dir", "link", "other")
Line = dict[str, Any]


@dataclass(slots=True)
class Total:
    """What a listing adds up to."""

    entries: int = 0
    size: int = 0


@cache
def _program() -> str:
    """The host's program on one line, with nothing in it that a login shell could see in single quotes."""
    text = (files(remote) / "tree.py").read_bytes()
    packed = b64encode(zlib.compress(text, 9)).decode()
    return f'import base64,zlib;exec(zlib.decompress(base64.b64decode("{packed}")))'


def command(python: str, what: str, *words: str) -> list[str]:
    """The program's ``list`` or ``clear``, as a command of the host."""
    return [python, "-I", "-S", "-c", _program(), what, *words]


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, without their ends.

    Raises:
        StepFailed: one has no end.
    """
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        if len(rest) > _LONGEST_LINE:
            raise StepFailed("the listing of the tree is damaged: a line of it does not end")
    if rest:
        raise StepFailed("the listing of the tree was cut off")


def entries(pieces: Iterable[bytes]) -> Iterator[Line]:
    """The entries of a listing.

    Raises:
        StepFailed: one can't be restored as it is, or the listing is damaged.
    """
    for line in lines(pieces):
        entry = _entry(line)
        if "outside" in entry:
            raise StepFailed(
                f"{entry['outside']} has hard links outside of what is kept; a restore would part them",
                "keep the other names too, exclude it, or protect it by a snapshot",
            )
        if entry["kind"] == "other":
            raise StepFailed(
                f"{entry['path']} is neither file, directory nor link", "name it in exclude, or remove it"
            )
        yield entry


def _entry(line: bytes) -> Line:
    try:
        found = json.loads(line)
        whole = "outside" in found or _is_entry(found)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise StepFailed(f"the listing of the tree is damaged: {clip(line.decode(errors='replace'), 200)!r}")
    entry: Line = found
    return entry


def _is_entry(found: Line) -> bool:
    """Flat, but for its attributes; and with what is read of it later. Raises where something is missing."""
    kind, size, digest = found["kind"], found.get("size", 0), found.get("sha256")
    words = (value for name, value in found.items() if name != "xattrs")
    return (
        os.fsencode(found["path"]).startswith(b"/")
        and kind in _KINDS
        and isinstance(size, int)
        and (kind != "file" or isinstance(digest, str))
        and all(isinstance(value, str | int) for value in (*words, *found["xattrs"].values()))
    )


def _key(entry: Line) -> list[bytes]:
    return os.fsencode(entry["path"]).split(b"/")


def lasting(entry: Line) -> Line:
    """The entry without its times: what a fact may depend on."""
    return {name: value for name, value in entry.items() if name != "mtime"}


def _same(one: Line, other: Line) -> bool:
    # A directory's time changes with whatever is made and removed in it; the rest of it counts.
    return lasting(one) == lasting(other) if one["kind"] == "dir" == other["kind"] else one == other


def changes(before: Iterable[Line], now: Iterable[Line]) -> Iterator[tuple[Line | None, Line | None]]:
    """Entries that are not the same in two listings, side by side; None where there is none."""
    left, right = iter(before), iter(now)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and _key(one) < _key(other)):
            yield one, None
            one = next(left, None)
        elif one is None or _key(other) < _key(one):
            yield None, other
            other = next(right, None)
        else:
            if not _same(one, other):
                yield one, other
            one, other = next(left, None), next(right, None)


def digest(listing: Iterable[Line], total: Total) -> str:
    """SHA-256 of all entries without their times; counts them on the way."""
    found = sha256()
    for entry in listing:
        found.update(json.dumps(lasting(entry), sort_keys=True).encode() + b"\n")
        total.entries += 1
        total.size += entry.get("size", 0)
    return found.hexdigest()


def by_root(roots: Iterable[str], listing: Iterable[Line]) -> Iterator[tuple[str, Iterator[Line]]]:
    """The entries of each root, in the listing's order; roots without any are left out.

    Raises:
        StepFailed: an entry is below none of them.
    """
    known = list(roots)

    def root(entry: Line) -> str:
        found = next((r for r in known if inside(entry["path"], r)), None)
        if found is None:
            raise StepFailed(f"the listing of the tree is damaged: nobody asked for {entry['path']}")
        return found

    yield from groupby(listing, root)


def inside(path: str, root: str) -> bool:
    """Whether a path is this root, or below it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def some(names: Iterable[str]) -> str:
    """The first names, and how many there are besides."""
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more
