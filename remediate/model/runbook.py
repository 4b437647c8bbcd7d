"""What an engineer writes: a runbook, which compiles to a plan and is not needed after that."""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from remediate.model.base import Duration, Frozen
from remediate.model.step import Check, Step


class Scope(StrEnum):
    """What is undone when the failure budget is spent; unfinished targets always are."""

    TARGET = "target"
    WAVE = "wave"
    RUN = "run"


class RiskLevel(StrEnum):
    """Chooses the approval policy."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Waves(Frozen):
    """How a change spreads: a canary first, then waves of ``then`` (a number or a percentage of all).

    ``failure_budget`` counts failed targets over the whole run; one more stops it. ``soak`` is the time
    between the end of a wave and its gate.
    """

    canary: int = Field(default=1, ge=0)
    then: int | str = "25%"
    failure_budget: int = Field(default=0, ge=0)
    soak: Duration = 0.0
    rollback: Scope = Scope.RUN

    @field_validator("then")
    @classmethod
    def _size(cls, value: int | str) -> int | str:
        if isinstance(value, str):
            if not value.endswith("%") or not value[:-1].isdigit() or not 1 <= int(value[:-1]) <= 100:
                raise ValueError(f"{value!r}: write a number of targets or a percentage from 1% to 100%")
        elif value < 1:
            raise ValueError("a wave has at least one target")
        return value

    def split(self, names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        """Target names, in order, as waves."""
        rest = list(names)
        size = self.then if isinstance(self.then, int) else max(1, len(rest) * int(self.then[:-1]) // 100)
        waves = [rest[: self.canary]] if 0 < self.canary < len(rest) else []
        rest = rest[self.canary :] if waves else rest
        waves += [rest[i : i + size] for i in range(0, len(rest), size)]
        return tuple(tuple(w) for w in waves if w)


class Risk(Frozen):
    """What can go wrong, in words that a change manager decides on."""

    level: RiskLevel = RiskLevel.MEDIUM
    outage: str
    data_loss: str
    notes: str = ""


class Symptom(Frozen):
    """Text that, found in a line of a diagnosis, suggests this runbook.

    ``pattern`` is a regular expression, ``where`` the part of the diagnosis that it is looked for in.
    ``findings`` are what stands out, in the diagnosis' own words: ``failed unit: nginx.service``.
    """

    pattern: str = Field(min_length=1)
    means: str = ""
    where: Literal["anywhere", "findings", "logs", "configuration", "resources", "changes"] = "anywhere"

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value


class Runbook(ABC):
    """One kind of fix. Subclass it in ``runbooks/``; the docstring is its description."""

    class Inputs(Frozen):
        """What the engineer sets with ``--set key=value``."""

    targets: ClassVar[str] = "all"
    peers: ClassVar[str | None] = None
    """Hosts that steps act through without changing them as targets, such as load balancers."""
    strategy: ClassVar[Waves] = Waves()
    risk: ClassVar[Risk]
    symptoms: ClassVar[tuple[Symptom, ...]] = ()
    acceptance: ClassVar[tuple[Check, ...]] = ()
    """Checks of the final verification, beside every step's lasting checks."""
    doubt_patience: ClassVar[Duration] = 600.0
    """How long a target in doubt is probed before a human is asked."""

    @abstractmethod
    def steps(self, inputs: Any) -> Iterable[Step]:
        """The change, step by step, in order. Pure: it reads nothing but its inputs."""

    @classmethod
    def name(cls) -> str:
        """``PatchPackage`` is ``patch-package`` on the command line."""
        words = "".join(f"-{c.lower()}" if c.isupper() else c for c in cls.__name__)
        return words.strip("-").replace("_", "-")

    @classmethod
    def description(cls) -> str:
        """The docstring, cleaned."""
        return inspect.cleandoc(cls.__doc__ or "")
