"""Reads what is to be attached."""

from __future__ import annotations

import os
import stat
from pathlib import Path


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
