"""Numbers that must lie within bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping

from remediate.model.base import Frozen


class Bounds(Frozen):
    """At least this, at most that; without either, there is nothing to compare with."""

    at_least: float | None = None
    at_most: float | None = None

    @property
    def given(self) -> bool:
        """Whether there is anything to compare with."""
        return self.at_least is not None or self.at_most is not None

    def holds(self, value: float) -> bool:
        """Whether the value lies within. NaN and the infinities never do: they are no measurement."""
        return (
            math.isfinite(value)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
        )

    def __str__(self) -> str:
        named: Mapping[str, float | None] = {"at least": self.at_least, "at most": self.at_most}
        return " and ".join(f"{words} {value:g}" for words, value in named.items() if value is not None)
