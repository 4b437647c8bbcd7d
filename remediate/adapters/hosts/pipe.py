"""A two-way stream of bytes to an agent, however it is reached."""

from __future__ import annotations

from typing import Protocol


class PipeLost(Exception):
    """The stream is gone, or its deadline is over; ``str()`` says which."""


class Pipe(Protocol):
    """Every call has its own deadline, in seconds of ``time.monotonic()``."""

    def send(self, data: bytes, deadline: float) -> None:
        """Hand over all of it.

        Raises:
            PipeLost: not all of it could be handed over, so the other side can't have got it whole.
        """

    def receive(self, deadline: float) -> bytes:
        """Some bytes, at least one.

        Raises:
            PipeLost: the stream ended, or nothing came before the deadline.
        """

    def alive(self) -> bool:
        """Whether it looks as if it could still be used; False is certain, True is not."""

    def complaints(self) -> str:
        """What the other side wrote to its stderr so far; hostile text, capped."""

    def close(self) -> None:
        """Give it up; the agent ends."""
