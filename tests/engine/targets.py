"""Simulated targets, and everything that may go wrong on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from remediate.engine.port import Job
from remediate.errors import InDoubt, StepFailed
from remediate.model.base import State
from remediate.model.event import Verb
from remediate.model.plan import Plan, PlannedStep
from remediate.model.step import CheckResult, Probe, Result, Role, Status, StepClass, Verdict
from tests.engine.clock import Clock, Crash

FAULTS = (
    "fail", "fail-after", "doubt", "doubt-after", "late", "verify", "crash-before", "crash-after",
    "undo-fail", "undo-doubt",
)  # fmt: skip
Fault = str
"""``fail`` (ends without effect), ``fail-after`` (effect, then failure), ``doubt`` (no effect, no word),
``doubt-after`` (effect, no word), ``verify`` (checks fail), ``undo-fail`` (first undo fails), ``late``
(no word; the effect comes later), ``crash-before``, ``crash-after`` (the process dies around the effect)."""


@dataclass
class World:
    """Targets as dictionaries; steps set ``key -> value``; faults are given by (step, target)."""

    plan: Plan
    clock: Clock
    facts: dict[str, State] = field(default_factory=dict)
    backups: dict[tuple[str, str], State] = field(default_factory=dict)
    faults: dict[tuple[str, str], list[Fault]] = field(default_factory=dict)
    applied: list[tuple[str, str]] = field(default_factory=list)
    unreachable: Callable[[str], bool] = lambda _: False
    refuse: str = ""
    late: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    acting: Callable[[Verb, str, Job], None] = lambda *_: None
    """Asked on the way to each effect; the process may sleep there, die, or be held back."""

    def __post_init__(self) -> None:
        for name in self.plan.by_name:
            self.facts[name] = dict(self.plan.original(name))

    def _step(self, step: str) -> PlannedStep:
        return self.plan.steps[self.plan.step_index[step]]

    def _reach(self, target: str) -> None:
        for due, effect in list(self.late):
            if due <= self.clock():
                effect()
                self.late.remove((due, effect))
        if self.unreachable(target):
            raise TimeoutError("no route")

    def authorise(self, now: float) -> str:
        return self.refuse

    def together(self, step: str) -> bool:
        return self._step(step).params.get("batch") is True

    def inspect(self, target: str) -> State:
        self._reach(target)
        return dict(self.facts[target])

    read_back = inspect

    def observe(self, step: str, target: str) -> State:
        self._reach(target)
        return {k: self.facts[target][k] for k in self._step(step).observed[target]}

    def apply(self, step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        return {j.target: self._one(step, j) for j in jobs}

    def _one(self, step: str, job: Job) -> Result:
        self.acting(Verb.APPLY, step, job)
        faults = self.faults.get((step, job.target), [])
        fault = faults.pop(0) if faults and faults[0] not in ("verify", "undo-fail", "undo-doubt") else ""
        planned = self._step(step)

        def effect() -> None:
            self.applied.append((step, job.target))
            if planned.role is Role.BACKUP:
                self.backups[step, job.target] = self.observe(step, job.target)
            else:
                self.facts[job.target].update(dict.fromkeys(planned.observed[job.target], f"{step}"))

        if fault == "crash-before":
            raise Crash
        if fault == "fail":
            return Result(status=Status.FAILED, summary="it failed")
        if fault == "doubt":
            return Result(status=Status.IN_DOUBT, summary="no word")
        if fault == "late":
            self.late.append((self.clock() + 0.2, effect))
            return Result(status=Status.IN_DOUBT, summary="no word")
        effect()
        match fault:
            case "crash-after":
                raise Crash
            case "fail-after":
                return Result(status=Status.FAILED, summary="it failed half-way")
            case "doubt-after":
                raise InDoubt("the reply was lost")
        return Result(summary="done")

    def verify(self, step: str, jobs: Sequence[Job]) -> Mapping[str, tuple[CheckResult, ...]]:
        found = {}
        for job in jobs:
            bad = "verify" in self.faults.get((step, job.target), [])
            found[job.target] = (CheckResult(title="health", ok=not bad, expected="200", actual="500"),)
        return found

    def quiesce(self, step: str, job: Job) -> bool:
        self._reach(job.target)
        return not self.late

    def probe(self, step: str, job: Job) -> Probe:
        self._reach(job.target)
        planned = self._step(step)
        if planned.step_class is StepClass.OPAQUE:
            return Probe(verdict=Verdict.UNKNOWN, evidence="nothing shows it")
        if planned.role is Role.BACKUP:
            known = (step, job.target) in self.backups
            return Probe(verdict=Verdict.APPLIED if known else Verdict.NOT_APPLIED)
        now = self.observe(step, job.target)
        if now == job.before:
            return Probe(verdict=Verdict.NOT_APPLIED)
        return Probe(verdict=Verdict.APPLIED)

    def undo(self, step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        return {j.target: self._back(step, j) for j in jobs}

    def _back(self, step: str, job: Job) -> Result:
        self.acting(Verb.UNDO, step, job)
        self._reach(job.target)
        faults = self.faults.get((step, job.target), [])
        if "undo-fail" in faults:
            faults.remove("undo-fail")
            raise StepFailed("undo failed")
        if "undo-doubt" in faults:
            faults.remove("undo-doubt")
            raise InDoubt("undo: no word")
        planned = self._step(step)
        if planned.role is Role.BACKUP:
            self.facts[job.target].update(self.backups[step, job.target])
        return Result(summary="restored")

    def accept(self, target: str) -> tuple[CheckResult, ...]:
        self._reach(target)
        bad = "final" in self.faults.get(("", target), [])
        return (CheckResult(title="acceptance", ok=not bad, expected="yes", actual="no"),)


def compare(expected: State, actual: State) -> str:
    """Keys that differ."""
    keys = sorted(k for k in {*expected, *actual} if expected.get(k) != actual.get(k))
    return ", ".join(f"{k}: {expected.get(k)} -> {actual.get(k)}" for k in keys)
