"""What comes in for the deciding thread: events, and word that an action is over."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import Protocol

from remediate.model.event import Event


class Inbox(Protocol):
    """What came in for the deciding thread."""

    def put(self, item: Message) -> None:
        """From any thread."""

    def get(self, timeout: float) -> Message | None:
        """The next message, or None after ``timeout`` seconds."""


@dataclass(frozen=True, slots=True)
class Done:
    """A worker has finished with these targets; ``error`` if it could not even say so in the journal."""

    targets: tuple[str, ...]
    error: BaseException | None = None


Message = list[Event] | Done


class QueueInbox:
    """A thread-safe `Inbox`."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def put(self, item: Message) -> None:
        """See `Inbox.put`."""
        self._queue.put(item)

    def get(self, timeout: float) -> Message | None:
        """See `Inbox.get`."""
        try:
            return self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None
