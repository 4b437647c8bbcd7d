"""The plan: the whole program of a run, frozen, with one canonical byte form and one digest."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any, Literal

from pydantic import JsonValue, ValidationError

import remediate
from remediate.errors import InputError, Refused
from remediate.model.base import Duration, Frozen, State, canonical, sha256
from remediate.model.change import Instant, Ticket, Window
from remediate.model.runbook import Risk, Scope
from remediate.model.step import Check, Estimate, Level, Role, Step, StepClass, check_type, step_type
from remediate.model.target import Target
from remediate.model.wording import problems

FORMAT = "remediate.plan/1"


class Artefact(Frozen):
    """One file that the run executes or copies: project-relative path, SHA-256, size in bytes."""

    path: str
    sha256: str
    size: int


class RunbookRef(Frozen):
    """Where the plan came from. The runbook is not executed again; its digest shows later edits."""

    name: str
    source: Artefact
    description: str = ""


class PlannedCheck(Frozen):
    """A check as data: its registered kind and its own fields."""

    kind: str
    params: dict[str, JsonValue]

    def build(self) -> Check:
        """The check itself."""
        return check_type(self.kind).model_validate(self.params)


class PlannedStep(Frozen):
    """One line of the plan: what is done, on which targets, with what evidence gathered beforehand."""

    id: str
    role: Role
    kind: str
    title: str
    params: dict[str, JsonValue]
    targets: tuple[str, ...]
    step_class: StepClass
    level: Level | None = None
    protects: tuple[str, ...] = ()
    """Of a backup: the change steps that its undo takes back."""
    checks: tuple[PlannedCheck, ...] = ()
    irreversible: str | None = None
    undoable: bool = False
    """Whether its own undo puts the old state back; else a backup does, or nothing."""
    retries: int = 0
    estimate: Estimate = Estimate()
    observed: dict[str, State] = {}
    """State by target name, as read while planning: what the approver approved to change."""
    preview: dict[str, str] = {}

    @cached_property
    def target_set(self) -> frozenset[str]:
        """`targets`, for looking one up."""
        return frozenset(self.targets)

    def build(self) -> Step:
        """The step itself, from the bytes of the plan."""
        return step_type(self.kind).model_validate(self.params)


class PlannedWave(Frozen):
    """Targets that go through the steps together."""

    targets: tuple[str, ...]
    soak: Duration = 0.0


class Plan(Frozen):
    """Everything that a run will do. Equal plans have equal bytes; every field is covered by the digest."""

    format: Literal["remediate.plan/1"] = "remediate.plan/1"
    id: str
    tool_version: str
    created: Instant
    expires: Instant
    author: str
    ticket: Ticket
    runbook: RunbookRef
    inputs: dict[str, JsonValue]
    inventory: str
    inventory_digest: str
    limit: str | None = None
    targets: tuple[Target, ...]
    peers: tuple[Target, ...] = ()
    waves: tuple[PlannedWave, ...]
    failure_budget: int = 0
    rollback: Scope = Scope.RUN
    steps: tuple[PlannedStep, ...]
    acceptance: tuple[PlannedCheck, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    risk: Risk
    window: Window | None = None
    doubt_patience: Duration = 600.0

    @cached_property
    def data(self) -> bytes:
        """The canonical bytes: what is written to the file and signed."""
        return canonical(self.model_dump(mode="json")) + b"\n"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `data`, hex."""
        return sha256(self.data)

    @cached_property
    def by_name(self) -> dict[str, Target]:
        """Targets by name."""
        return {t.name: t for t in self.targets}

    @cached_property
    def step_index(self) -> dict[str, int]:
        """Position of each step by its id."""
        return {s.id: i for i, s in enumerate(self.steps)}

    @cached_property
    def undo_order(self) -> tuple[int, ...]:
        """Positions of all steps in the order in which they are undone: last step first.

        A backup stands at the front of the plan, but it restores where the first step stood that it protects:
        a host goes back into its pool only after what was wrong with it is restored.
        """

        def place(index: int) -> tuple[int, int]:
            protected = [self.step_index[p] for p in self.steps[index].protects if p in self.step_index]
            return (min(protected), 0) if protected else (index, 1)

        return tuple(sorted(range(len(self.steps)), key=place, reverse=True))

    def original(self, target: str) -> State:
        """All facts read about one target while planning."""
        facts: State = {}
        for step in self.steps:
            facts.update(step.observed.get(target, {}))
        return facts

    @property
    def irreversible(self) -> bool:
        """Whether any step can't be undone."""
        return any(s.irreversible for s in self.steps)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return result


def parse_plan(data: bytes, where: str = "plan") -> Plan:
    """The plan in these bytes, if they are exactly the canonical bytes of a plan.

    Raises:
        InputError: the bytes are not a plan at all.
        Refused: they are a plan, but not in the form that was written (edited by hand or damaged).
    """
    try:
        raw = json.loads(data, object_pairs_hook=_no_duplicates)
        plan = Plan.model_validate_json(data)
    except ValidationError as error:
        known = isinstance(raw, dict) and raw.get("format")
        advice = (
            "plan again with this version of remediate"
            if known not in (None, FORMAT)
            else "make it with `remediate plan`; a plan is never edited by hand"
        )
        raise InputError(f"{where}: {problems(error)[0]}", advice) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not a plan: {error}", "make it with `remediate plan`") from None
    # A plan of another version may lack fields that this one would write; its bytes stay what was signed.
    ours = plan.tool_version == remediate.__version__
    if data != (plan.data if ours else canonical(raw) + b"\n"):
        raise Refused(
            f"{where}: these bytes are not the bytes that were planned (edited or damaged)",
            "plan again, and have the new plan approved",
        )
    plan.__dict__["data"] = data
    return plan
