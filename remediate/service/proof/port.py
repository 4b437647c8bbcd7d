"""The port of a run that is broken on purpose: one step, on one target, at one moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from remediate.engine.port import Job
from remediate.errors import InDoubt
from remediate.model.proof import Case, Moment
from remediate.model.step import CheckResult, Clients, Context, Result, Status
from remediate.service.port import AdapterPort

T = TypeVar("T")
SAID = "broken on purpose"


@dataclass(slots=True)
class Break:
    """A case, and whether it came about."""

    case: Case
    struck: bool = False
    """The step failed because it was broken, not by itself."""
    begun: bool = False
    """The attempt that is cut off was begun; whatever tries the step again is refused."""
    cutting: bool = False
    """That attempt is under way."""


class BreakingPort(AdapterPort):
    """As the shipped one, but for the step that has to fail."""

    def breaking(self, what: Break) -> BreakingPort:
        """Itself, to fail so."""
        self._break = what
        return self

    def apply(self, step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        """See `Port.apply`."""
        hit, others = self._hit(step, jobs)
        if not hit:
            return super().apply(step, jobs)
        what, name = self._break, hit[0].target
        if what.case.moment is Moment.AFTER:
            return super().apply(step, jobs)
        if what.case.moment is Moment.BEFORE or what.begun:
            what.struck = True
            results = dict(super().apply(step, others)) if others else {}
            return {**results, name: Result(status=Status.FAILED, changed=False, summary=SAID)}
        what.begun = what.cutting = True
        try:
            results = dict(super().apply(step, jobs))
        finally:
            what.cutting = False
        return {**results, name: self._lost(results[name])}

    def _lost(self, result: Result) -> Result:
        """The result of an attempt that was cut off, or that made no second change to be cut off from."""
        self._break.struck = result.status is not Status.FAILED
        if result.status is not Status.OK:
            return result
        update = {"status": Status.IN_DOUBT, "summary": f"{SAID}: its answer was lost"}
        return result.model_copy(update=update)

    def verify(self, step: str, jobs: Sequence[Job]) -> Mapping[str, tuple[CheckResult, ...]]:
        """See `Port.verify`."""
        hit, others = self._hit(step, jobs)
        if not hit or self._break.case.moment is Moment.BEFORE:
            return super().verify(step, jobs)
        self._break.struck = True
        results = dict(super().verify(step, others)) if others else {}
        failed = CheckResult(title="the step is verified", ok=False, expected="yes", actual=SAID)
        return {**results, hit[0].target: (failed,)}

    def _hit(self, step: str, jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
        case = self._break.case
        here = step == case.step and case.moment is not Moment.FINISHED
        hit = [j for j in jobs if here and j.target == case.target]
        return hit, [j for j in jobs if j not in hit]

    def _of(self, step: str, job: Job) -> Context:
        context = super()._of(step, job)
        hit, _ = self._hit(step, [job])
        if not hit or not self._break.cutting:
            return context
        return replace(context, cut=1, clients=_Cut(context.clients, self._break))


class _Cut:
    """Connections that break before a second change is asked for, until the step has failed of it."""

    def __init__(self, clients: Clients, what: Break) -> None:
        self._clients, self._what = clients, what
        self._begun, self._lock = False, threading.Lock()

    def get(self, key: tuple[str, ...], open_: Callable[[], T], close: Callable[[T], None]) -> T:
        """See `Clients.get`."""
        return self._clients.get(key, open_, close)

    def drop(self, key: tuple[str, ...]) -> None:
        """See `Clients.drop`."""
        self._clients.drop(key)

    def fence(self) -> float:
        """See `Clients.fence`; asked before each change."""
        with self._lock:
            if self._begun and self._what.cutting:
                raise InDoubt(f"{SAID}: the connection was lost before the next change")
            self._begun = True
        return self._clients.fence()
