"""Reads what is to be attached, and tells what must not be."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from remediate.credentials.scrub import MARK

# What a plan holds in a secret's place, of the schemes that every project has.
_REFERENCE = re.compile(r"env:\w{1,100}|file:/?[\w./-]{1,1000}|command:[\w.-]{1,100}", re.ASCII)


def contents(path: Path, limit: int) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it can't be read, is no regular file, or has more than ``limit`` bytes.
    """
    # Not blocking: a pipe in the place of a file would hold the log up for ever.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as stream:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError("not a regular file")
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(f"more than {limit:,} bytes")
    return data


def leaks(text: str, scrubbed: str) -> bool:
    """Whether a secret was scrubbed out of this text. A reference to one only stands in its place."""
    first, *rest = scrubbed.split(MARK)
    at = len(first)
    if not text.startswith(first) or not text.endswith(rest[-1] if rest else first):
        return True
    for number, part in enumerate(rest, 1):
        end = text.find(part, at) if number < len(rest) else len(text) - len(part)
        if end < at or not (text[at:end] == MARK or _REFERENCE.fullmatch(text[at:end])):
            return True
        at = end + len(part)
    return at != len(text)
