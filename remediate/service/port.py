"""The engine's port over the adapters: builds each step from the plan's bytes and calls its methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from remediate.adapters.checks.asking import ask
from remediate.adapters.clients import ClientPool
from remediate.engine.failure import failure
from remediate.engine.port import Job
from remediate.model.base import State
from remediate.model.plan import Plan, PlannedCheck, PlannedStep
from remediate.model.step import BatchStep, CheckResult, Clients, Context, Probe, Result, Role, Step, Token
from remediate.service.contexts import Contexts

T = TypeVar("T")


class AdapterPort:
    """A `remediate.engine.port.Port` for one plan.

    Args:
        authorised: why nothing may be dispatched any more at this time (epoch seconds); empty if it may.
        frozen: likewise, the change freeze that is on at this time.
        scrub: takes secrets out of any text.
    """

    def __init__(
        self,
        plan: Plan,
        contexts: Contexts,
        authorised: Callable[[float], str],
        scrub: Callable[[str], str],
        parallel: int,
        frozen: Callable[[float], str] = lambda _: "",
    ) -> None:
        self._plan, self._contexts, self._authorised, self._scrub = plan, contexts, authorised, scrub
        self._frozen = frozen
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="port")
        self._steps: dict[str, Step] = {s.id: s.build() for s in plan.steps if s.role is not Role.GATE}

    def close(self) -> None:
        """Wait for what runs and stop the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def authorise(self, now: float) -> str:
        """See `Port.authorise`."""
        return self._authorised(now) or self._frozen(now)

    def together(self, step: str) -> bool:
        """See `Port.together`."""
        return isinstance(self._steps[step], BatchStep)

    def inspect(self, target: str) -> State:
        """See `Port.inspect`."""
        return self._facts(target, self._contexts.clients)

    def observe(self, step: str, target: str) -> State:
        """See `Port.observe`."""
        return self._look((*self._protectors.get(step, ()), step), target, self._contexts.clients)

    def apply(self, step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        """See `Port.apply`."""
        acting = self._steps[step]
        contexts = [self._of(step, j) for j in jobs]
        if isinstance(acting, BatchStep):
            return self._clean(acting.apply_many(contexts))
        return self._clean({c.target.name: _try(acting.apply, c) for c in contexts})

    def undo(self, step: str, jobs: Sequence[Job]) -> Mapping[str, Result]:
        """See `Port.undo`."""
        acting = self._steps[step]
        contexts = [self._undoing(step, j) for j in jobs]
        if isinstance(acting, BatchStep):
            return self._clean(acting.undo_many(contexts))
        return self._clean({c.target.name: _try(acting.undo, c) for c in contexts})

    def verify(self, step: str, jobs: Sequence[Job]) -> Mapping[str, tuple[CheckResult, ...]]:
        """See `Port.verify`."""
        acting = self._steps[step]
        contexts = [self._of(step, j) for j in jobs]
        if isinstance(acting, BatchStep):
            own = dict(acting.confirm_many(contexts))
        else:
            own = {c.target.name: acting.confirm(c) for c in contexts}
        checks = [c.build() for c in self._planned(step).checks]

        def all_of(context: Context) -> tuple[CheckResult, ...]:
            results = list(own.get(context.target.name, ()))
            for check in checks:
                results.append(ask(check, context))
                if not results[-1].ok:
                    break
            return self._clean_checks(results)

        return {c.target.name: r for c, r in zip(contexts, self._side_by_side(all_of, contexts), strict=True)}

    def quiesce(self, step: str, job: Job) -> bool:
        """See `Port.quiesce`."""
        acting = self._steps[step]
        quiet = acting.quiesce(self._of(step, job))
        return quiet and (
            not job.undo_attempts or acting.quiesce(self._undoing(step, job, job.undo_attempts))
        )

    def probe(self, step: str, job: Job) -> Probe:
        """See `Port.probe`."""
        found = self._steps[step].probe(self._of(step, job))
        return found.model_copy(update={"evidence": self._scrub(found.evidence)})

    def read_back(self, target: str) -> State:
        """See `Port.read_back`."""
        with self._fresh() as clients:
            return self._facts(target, clients)

    def accept(self, target: str) -> tuple[CheckResult, ...]:
        """See `Port.accept`."""
        with self._fresh() as clients:
            context = self._context("acceptance", target, clients)
            return self._clean_checks([ask(check.build(), context) for check in self._lasting(target)])

    def _lasting(self, target: str) -> Iterator[PlannedCheck]:
        seen: list[PlannedCheck] = []
        for step in self._plan.steps:
            if target in step.target_set:
                seen += [c for c in step.checks if not c.params.get("once") and c not in seen]
        yield from seen
        yield from (c for c in self._plan.acceptance if c not in seen)

    def _facts(self, target: str, clients: Clients) -> State:
        return self._look([s.id for s in self._plan.steps if s.id in self._steps], target, clients)

    def _look(self, steps: Sequence[str], target: str, clients: Clients) -> State:
        """What these steps observe on a target; they share what they read."""
        state: State = {}
        seen: State = {}
        for step in steps:
            if target in self._planned(step).target_set:
                state.update(self._steps[step].observe(self._context(step, target, clients, seen)))
        return state

    @cached_property
    def _protectors(self) -> dict[str, tuple[str, ...]]:
        return {s.id: tuple(b.id for b in self._plan.steps if s.id in b.protects) for s in self._plan.steps}

    def _planned(self, step: str) -> PlannedStep:
        return self._plan.steps[self._plan.step_index[step]]

    def _context(
        self, step: str, target: str, clients: Clients | None = None, seen: State | None = None
    ) -> Context:
        return self._contexts.make(step, self._plan.by_name[target], clients=clients, seen=seen)

    def _of(self, step: str, job: Job) -> Context:
        return self._contexts.make(
            step,
            self._plan.by_name[job.target],
            attempt=job.attempt,
            attempts=max(job.attempts, job.attempt),
            overwrite=job.overwrite,
            before=job.before,
            data=job.data,
        )

    def _undoing(self, step: str, job: Job, attempt: int | None = None) -> Context:
        """The context of an undo: its own token, so that nobody takes its traces for those of the apply."""
        context = self._of(step, job)
        number = job.attempt if attempt is None else attempt
        token = Token(context.token.run, f"{step}-undo", number)
        return replace(context, token=token, attempts=number)

    def _side_by_side(self, work: Callable[[Context], T], contexts: Sequence[Context]) -> list[T]:
        if len(contexts) == 1:
            return [work(contexts[0])]
        return list(self._pool.map(work, contexts))

    @contextmanager
    def _fresh(self) -> Iterator[ClientPool]:
        pool = ClientPool()
        try:
            yield pool
        finally:
            pool.close()

    def _clean(self, results: Mapping[str, Result]) -> dict[str, Result]:
        return {
            name: r.model_copy(update={"summary": self._scrub(r.summary), "detail": self._scrub(r.detail)})
            for name, r in results.items()
        }

    def _clean_checks(self, results: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
        return tuple(
            r.model_copy(
                update={
                    "title": self._scrub(r.title),
                    "expected": self._scrub(r.expected),
                    "actual": self._scrub(r.actual),
                }
            )
            for r in results
        )


def _try(work: Callable[[Context], Result], context: Context) -> Result:
    try:
        return work(context)
    except Exception as error:
        return failure(error)
