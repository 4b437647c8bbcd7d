"""One at a time: a lock that the kernel releases when its holder dies."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remediate.lab.interface import Progress


@contextmanager
def locked(path: Path, progress: Progress, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``; wait, and say so, while somebody else holds it.

    ``shared``: beside others who share it, but with nobody who wants it alone.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"another lab command is at work; waiting for {path}")
            fcntl.flock(file, kind)
        yield
