"""What a command on the target says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator

from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.hosts.client import connect
from remediate.adapters.hosts.values import Outcome
from remediate.model.base import Duration
from remediate.model.clip import clip
from remediate.model.step import Context
from remediate.model.target import Target

_SHOWN = 500


class Command(Question):
    """A command that only reads, run on the target: its exit code and what it prints.

    ``argv`` is a list of words; no shell reads it. ``{target.name}`` and the like are filled in, other braces
    stay. ``equals`` compares all of stdout without surrounding space, ``contains`` looks for a text in it,
    ``matches`` for a regular expression.
    """

    kind: ClassVar[str] = "command"
    filled: ClassVar[tuple[str, ...]] = ("argv", "equals", "contains", "matches")

    argv: tuple[str, ...] = Field(min_length=1)
    equals: str | None = None
    contains: str | None = None
    matches: str | None = None
    rc: int = 0
    timeout: Duration = 30.0

    def __init__(self, argv: Sequence[str] = (), **fields: Any) -> None:
        super().__init__(**{"argv": argv, **fields})

    @field_validator("matches")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value

    def subject(self, target: Target) -> str:
        """The command."""
        return " ".join(map(target.render, self.argv))

    def expected(self, target: Target) -> str:
        """Exit code and output."""
        words = [f"exit code {self.rc}"] if self.rc or not self._asks_output() else []
        named = {"equals": self.equals, "contains": self.contains, "matches": self.matches}
        words += [f"{verb} {target.render(text)!r}" for verb, text in named.items() if text is not None]
        return ", ".join(words)

    def _asks_output(self) -> bool:
        return any(text is not None for text in (self.equals, self.contains, self.matches))

    def look(self, context: Context) -> Finding:
        """Run it."""
        target = context.target
        argv = [target.render(word) for word in self.argv]
        outcome = connect(context).query(argv, min(self.timeout, context.timeout))
        if outcome.code != self.rc or outcome.timed_out:
            return Finding(False, clip(f"{outcome.ending}: {outcome.said}".rstrip(": "), _SHOWN))
        return Finding(self._fits(target, outcome.stdout.strip()), self._actual(outcome))

    def _fits(self, target: Target, said: str) -> bool:
        fits = self.equals is None or said == target.render(self.equals)
        fits = fits and (self.contains is None or target.render(self.contains) in said)
        return fits and (self.matches is None or re.search(target.render(self.matches), said) is not None)

    def _actual(self, outcome: Outcome) -> str:
        return clip(repr(outcome.stdout.strip()), _SHOWN) if self._asks_output() else outcome.ending
