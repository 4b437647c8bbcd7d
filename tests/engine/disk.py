"""A disk that fails as disks do: full, broken, or without power before what was written was on it."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from tests.engine.clock import Crash

Trouble = Literal["full", "broken", "killed", "killed-after", "power", "power-after"]
"""What happens at one operation: an error (``full``: ENOSPC, ``broken``: EIO), the end of the process, or
the end of the machine."""

_PAGE = 512


def dice(seed: int) -> Random:
    """Chance that falls the same way every time."""
    return Random(seed)  # noqa: S311 - a case, not a secret


@dataclass
class Disk:
    """One file, of which only what was synced outlives a loss of power.

    Of the rest, each page may be there or not, and the last one may be torn.
    """

    random: Random
    data: bytearray = field(default_factory=bytearray)
    synced: int = 0
    troubles: dict[int, Trouble] = field(default_factory=dict)
    """By the number of an operation, counted from 1: a write, a sync, a write, …"""
    operations: int = 0
    versions: int = 0
    """Counted up whenever the file may hold something else than what was appended."""
    read: dict[bytes, Any] = field(default_factory=dict)
    """What readers made of its lines, so that each line is read once."""

    def append(self, data: bytes) -> None:
        """Write at the end.

        Raises:
            OSError: it failed, after a part of it perhaps.
            Crash: the process or the machine ended.
        """
        trouble = self._begin()
        if trouble in ("full", "broken"):
            self.data += data[: self.random.randint(0, len(data))]
            raise OSError(errno.ENOSPC if trouble == "full" else errno.EIO, str(trouble))
        self.data += data
        self._end(trouble)

    def sync(self) -> None:
        """Return when everything is on the disk. After an error nobody knows what is."""
        trouble = self._begin()
        if trouble in ("full", "broken"):
            raise OSError(errno.EIO, str(trouble))
        self.synced = len(self.data)
        self._end(trouble)

    def cut(self, length: int) -> None:
        """Forget what stands behind; that is never a sync of what stays."""
        del self.data[length:]
        self.synced = min(self.synced, length)

    def lose_power(self) -> None:
        """What was not synced is lost, whole or in part."""
        tail = bytes(self.data[self.synced :])
        pages = [tail[i : i + _PAGE] for i in range(0, len(tail), _PAGE)]
        kept = b"".join(p if self.random.random() < 0.5 else bytes(len(p)) for p in pages)
        self.data[self.synced :] = kept[: self.random.randint(0, len(kept))]
        self.versions += 1

    def _begin(self) -> Trouble | None:
        self.operations += 1
        trouble = self.troubles.get(self.operations)
        if trouble in ("killed", "power"):
            self._die(trouble)
        return trouble

    def _end(self, trouble: Trouble | None) -> None:
        if trouble in ("killed-after", "power-after"):
            self._die(trouble)

    def _die(self, trouble: Trouble) -> None:
        if trouble.startswith("power"):
            self.lose_power()
        raise Crash
