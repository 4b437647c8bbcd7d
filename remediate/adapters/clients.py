"""Connections that a run shares: made once, used by many steps, closed together."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from types import TracebackType
from typing import Any, TypeVar

from remediate.errors import StepFailed

T = TypeVar("T")
Key = tuple[str, ...]


#: Held while an SDK is imported: of packages that import each other in circles, two threads can see a half.
_IMPORTING = threading.Lock()


def load_sdk(*modules: str) -> None:
    """Import these before anything of them is used: the first use is on many threads at once."""
    with _IMPORTING:
        for module in modules:
            import_module(module)


@dataclass(slots=True)
class _Slot:
    """One key's place: whoever holds the lock may open or close."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    client: Any = None
    close: Callable[[Any], None] | None = None


class ClientPool:
    """Open clients by key, for all threads of a run.

    Two threads that ask for one key get one client, opened once; different keys open at the same time.

    Args:
        fence: see `Clients.fence`.
    """

    def __init__(self, fence: Callable[[], float] = lambda: math.inf) -> None:
        self._fence = fence
        self._guard = threading.Lock()
        self._slots: dict[Key, _Slot] = {}
        self._closed = False

    def get(self, key: Key, open_: Callable[[], T], close: Callable[[T], None]) -> T:
        """The open client of this key, opened now if there is none.

        Raises:
            StepFailed: the pool is closed; or whatever ``open_`` raises, and then nothing is kept.
        """
        slot = self._slot(key)
        with slot.lock:
            if slot.close is None:
                slot.client = open_()
                slot.close = close
                if self._closed:
                    # The pool was closed while this one was being opened: nobody else would close it.
                    _shut(slot)
                    raise StepFailed(f"the connection to {' '.join(key)} came too late: the run is over")
            client: T = slot.client
            return client

    def fence(self) -> float:
        """See `Clients.fence`."""
        return self._fence()

    def drop(self, key: Key) -> None:
        """Close and forget a client that turned out broken; an unknown key is fine."""
        with self._guard:
            slot = self._slots.get(key)
        if slot is not None:
            with slot.lock:
                _shut(slot)

    def close(self) -> None:
        """Close every client. One that can't be closed keeps no other open."""
        with self._guard:
            self._closed = True
            slots = list(self._slots.values())
        for slot in slots:
            with slot.lock:
                _shut(slot)

    def fresh(self) -> ClientPool:
        """A pool of its own, empty: what is read through it goes over connections that nobody used before."""
        return ClientPool()

    def __enter__(self) -> ClientPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _slot(self, key: Key) -> _Slot:
        with self._guard:
            if self._closed:
                raise StepFailed("this pool of connections is closed")
            return self._slots.setdefault(key, _Slot())


def _shut(slot: _Slot) -> None:
    close, client = slot.close, slot.client
    slot.client = slot.close = None
    if close is not None:
        # Closing is tidying up; what went wrong with this client was told to whoever used it.
        with suppress(Exception):
            close(client)
