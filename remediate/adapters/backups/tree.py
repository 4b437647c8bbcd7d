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

_NAMED = 5
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
        StepFailed: the last one has no end.
    """
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        raise StepFailed("the listing of the tree was cut off")


def entries(pieces: Iterable[bytes]) -> Iterator[Line]:
    """The entries of a listing.

    Raises:
        StepFailed: one can't be restored as it is, or the listing is damaged.
    """
    for line in lines(pieces):
        entry: Line = json.loads(line)
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
    """The entries of each root, in the listing's order; roots without any are left out."""
    known = list(roots)
    yield from groupby(listing, lambda entry: next(r for r in known if inside(entry["path"], r)))


def inside(path: str, root: str) -> bool:
    """Whether a path is this root, or below it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def some(names: Iterable[str]) -> str:
    """The first names, and how many there are besides."""
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more
