"""What a step is: one class per kind, with what it can observe, do, check and take back.

A step type is a frozen pydantic model with behaviour. It registers itself by being defined. Its fields are
what the author writes and what the plan stores; its methods get a `Context` and nothing else, so a step
holds no connection, no secret and no state of a run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict

from remediate.errors import InputError
from remediate.model.base import Duration, Frozen, State
from remediate.model.context import Clients, Context, Secrets, Token
from remediate.model.results import CheckResult, Estimate, Probe, Result, Status, Verdict
from remediate.model.target import Target

__all__ = [
    "BatchStep",
    "Check",
    "CheckResult",
    "Clients",
    "Context",
    "Estimate",
    "Level",
    "Probe",
    "Result",
    "Role",
    "Secrets",
    "Status",
    "Step",
    "StepClass",
    "Token",
    "Verdict",
    "check_type",
    "step_type",
]

T = TypeVar("T")


class StepClass(StrEnum):
    """What recovery may do with a step in doubt. Only A and B are ever tried again."""

    TOKENED = "A"
    STATE_BASED = "B"
    SELF_REVERTING = "C"
    OPAQUE = "D"


class Role(StrEnum):
    """Why a step stands in the plan."""

    BACKUP = "backup"
    CHANGE = "change"
    CHECK = "check"
    GATE = "gate"


class Level(StrEnum):
    """How far a backup is proved before the first change (see docs/invariants.md)."""

    STORED = "B1"
    PARSED = "B2"
    COMPARED = "B3"
    RESTORED = "B4"


_STEPS: dict[str, type[Step]] = {}
_CHECKS: dict[str, type[Check]] = {}


class Check(Frozen, ABC):
    """A read-only question with an expected answer, asked until it is right or ``within`` is over."""

    kind: ClassVar[str]
    filled: ClassVar[tuple[str, ...]] = ()
    """Fields whose texts may refer to the target: ``{target.name}``. Planning proves that it can be done."""
    within: Duration = 0.0
    every: Duration = 1.0
    once: bool = False
    """Only after its own step: not again in the final verification."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in cls.__dict__:
            _register(_CHECKS, cls.kind, cls)

    @abstractmethod
    def title(self, target: Target) -> str:
        """One line that says what is expected, for the plan and the ticket."""

    @abstractmethod
    def run(self, context: Context) -> CheckResult:
        """Ask once. An answer that can't be had is a failed check, not an exception."""

    def artefacts(self, project: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """Project-relative files that this check executes or compares with."""
        return ()


class Step(Frozen, ABC):
    """One change (or backup) on one target. See `BatchStep` for steps that take many in one call."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    kind: ClassVar[str]
    filled: ClassVar[tuple[str, ...]] = ()
    """Fields whose texts may refer to the target, as for a `Check`."""
    step_class: ClassVar[StepClass] = StepClass.OPAQUE
    role: ClassVar[Role] = Role.CHANGE
    level: ClassVar[Level | None] = None
    default_estimate: ClassVar[Estimate] = Estimate()
    sdks: ClassVar[tuple[str, ...]] = ()
    """Modules that its first use imports; a run imports them while it waits for something else."""

    label: str | None = None
    """The author's own words for the step, where its type's title says too little or too much."""
    on: str | None = None
    """A host pattern inside the runbook's targets; default: all of them."""
    verify: tuple[Check, ...] = ()
    protect: tuple[Step, ...] | None = None
    """The author's own choice of backups; default: what the step type knows."""
    irreversible: str | None = None
    """Why nothing can undo this step. Shown in red; needs the higher approval."""
    estimate: Estimate | None = None
    retries: int = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in cls.__dict__:
            _register(_STEPS, cls.kind, cls)

    # -- what the planner asks; nothing here touches a target except observe and preview --

    @abstractmethod
    def title(self) -> str:
        """One line in the imperative: ``upgrade shop to 1.1-1``."""

    def protection(self) -> tuple[Step, ...]:
        """The backups that make this step reversible; empty when `undo` needs none."""
        return ()

    @property
    def undoable(self) -> bool:
        """Whether this step's own `undo` puts the old state back without any backup."""
        return False

    @property
    def restores(self) -> bool:
        """Whether a backup's `undo` puts back what it kept; one that only keeps it reverses nothing."""
        return True

    def artefacts(self, project: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """Project-relative files that will be executed or copied; the plan holds their digests."""
        return ()

    @abstractmethod
    def observe(self, context: Context) -> State:
        """Facts about everything this step may change. Read-only, without volatile fields."""

    def preview(self, context: Context) -> str:  # noqa: ARG002
        """A diff of what would change, where the technology can give one. Read-only."""
        return ""

    # -- what the engine asks --

    @abstractmethod
    def apply(self, context: Context) -> Result:
        """Make the change.

        Raises:
            StepFailed: it ended, and badly.
            InDoubt: nobody knows how it ended.
        """

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:  # noqa: ARG002
        """The step's own verification after apply, by a new read; the author's checks follow it."""
        return ()

    def quiesce(self, context: Context) -> bool:  # noqa: ARG002
        """Whether every earlier attempt is dead (ends what it started itself). No probe before that."""
        return True

    @abstractmethod
    def probe(self, context: Context) -> Probe:
        """In doubt: was it applied? Asked only after `quiesce` said yes. Read-only."""

    def undo(self, context: Context) -> Result:  # noqa: ARG002
        """Put the state of before this step back. Idempotent. A backup's undo restores."""
        return Result(changed=False, summary="nothing of its own to undo; the backup restores")

    def release(self, context: Context) -> Result:  # noqa: ARG002
        """Delete what was kept for undo, at the end of retention. Idempotent."""
        return Result(changed=False, summary="nothing was kept")


class BatchStep(Step):
    """A step that acts on many targets in one call. A target missing from an answer is in doubt."""

    def preview_many(self, contexts: Sequence[Context]) -> Mapping[str, str]:
        """Diffs by target name."""
        return {c.target.name: self.preview(c) for c in contexts}

    @abstractmethod
    def apply_many(self, contexts: Sequence[Context]) -> Mapping[str, Result]:
        """Make the change on all; one result per target name."""

    def confirm_many(self, contexts: Sequence[Context]) -> Mapping[str, tuple[CheckResult, ...]]:
        """The step's own verification by target name."""
        return {c.target.name: self.confirm(c) for c in contexts}

    def undo_many(self, contexts: Sequence[Context]) -> Mapping[str, Result]:
        """Undo on all; one result per target name."""
        return {c.target.name: self.undo(c) for c in contexts}

    def apply(self, context: Context) -> Result:
        """The batch of one."""
        return self.apply_many([context])[context.target.name]


def _register(registry: dict[str, type[T]], kind: str, cls: type[T]) -> None:
    other = registry.get(kind)
    if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise TypeError(f"{cls.__module__}.{cls.__qualname__}: kind {kind!r} is taken by {other.__module__}")
    registry[kind] = cls


def step_type(kind: str) -> type[Step]:
    """The class registered for this kind.

    Raises:
        InputError: nothing with this kind is installed.
    """
    return _look_up(_STEPS, kind, "step type")


def check_type(kind: str) -> type[Check]:
    """The check class registered for this kind.

    Raises:
        InputError: nothing with this kind is installed.
    """
    return _look_up(_CHECKS, kind, "check")


def _look_up(registry: dict[str, type[T]], kind: str, what: str) -> type[T]:
    if kind not in registry:
        raise InputError(
            f"no {what} {kind!r} is installed", "install the package that provides it, or plan again"
        )
    return registry[kind]
