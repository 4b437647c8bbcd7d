"""What the machine asks for. Plain values; the runner performs them."""

from __future__ import annotations

from dataclasses import dataclass

from remediate.model.event import Body, Final


@dataclass(frozen=True, slots=True)
class Inspect:
    """Read the target: reachable, and as approved?"""

    wave: int
    target: str


@dataclass(frozen=True, slots=True)
class Apply:
    """Perform a step on these targets, in one call where its type can."""

    step: str
    targets: tuple[str, ...]
    attempt: int


@dataclass(frozen=True, slots=True)
class Verify:
    """Run a step's read-back and its checks."""

    step: str
    targets: tuple[str, ...]
    attempt: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Find out what became of an attempt in doubt, not before ``due`` (epoch seconds)."""

    step: str
    target: str
    attempt: int
    due: float


@dataclass(frozen=True, slots=True)
class Undo:
    """Take a step back on these targets, not before ``due``."""

    step: str
    targets: tuple[str, ...]
    attempt: int
    due: float


@dataclass(frozen=True, slots=True)
class Gate:
    """After the soak: ask the wave's lasting checks again, before the next wave begins."""

    wave: int
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settle:
    """Read the target back over a fresh session, expecting this end, not before ``due``."""

    target: str
    final: Final
    due: float


@dataclass(frozen=True, slots=True)
class Record:
    """A decision: write it down, then ask again."""

    body: Body


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before ``due``."""

    due: float


Action = Inspect | Apply | Verify | Probe | Undo | Gate | Settle | Record | Wait
