"""What a guard is: a piece of source that keeps a promise, and what it reads like when it is gone."""

from __future__ import annotations

from typing import NamedTuple


class Guard(NamedTuple):
    """One guard, how to take it out, and the test that then fails."""

    promise: str
    """V1 to V15, or L1 (docs/invariants.md)."""
    guard: str
    """What it keeps from happening, in words."""
    file: str
    """Below remediate/."""
    old: str
    """Its source, as it stands there exactly once."""
    new: str
    """The source without it."""
    test: str
    """Below tests/, as pytest calls it."""

    @property
    def module(self) -> str:
        """What is imported to get it."""
        path = f"remediate/{self.file}".removesuffix(".py").removesuffix("/__init__")
        return path.replace("/", ".")

    @property
    def name(self) -> str:
        """For a list of tests."""
        return f"{self.promise}-{self.guard}".replace(" ", "-")
