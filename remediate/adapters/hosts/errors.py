"""What can go wrong on the way to a host."""

from __future__ import annotations

from remediate.errors import StepFailed


class Unreachable(StepFailed):
    """Nothing was done: no connection, or it was gone before the request was sent, or that only reads."""


class HostKeyRefused(Unreachable):
    """The host did not prove who it is; no credential was offered to it."""
