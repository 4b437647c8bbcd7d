"""Performs one action: reads, writes the intent, acts, reads again, and tells what came of it.

Every function here runs on a worker thread with copies of what it needs. An action with an effect yields
its intents and goes on when they are durable; everything else is returned, for the runner to record.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from remediate.engine.failure import failure, words
from remediate.engine.port import Job, Port
from remediate.errors import InDoubt
from remediate.model.base import State
from remediate.model.event import (
    Body,
    Final,
    GatePassed,
    Held,
    Inspected,
    Intent,
    Outcome,
    Probed,
    Settled,
    Unfit,
    Unread,
    Verb,
    Verified,
)
from remediate.model.plan import Plan
from remediate.model.step import CheckResult, Result, Role, Status, Verdict

T = TypeVar("T")


#: An action: yields what has to be durable before it goes on, and returns what is left to record.
Doing = Generator[Sequence[Body], None, list[Body]]


class Each(Protocol):
    """Runs a function over jobs, side by side if it likes, and gives the results in order."""

    def __call__(self, work: Callable[[Job], T], jobs: Sequence[Job]) -> list[T]: ...


OK = Status.OK


class Performer:
    """Performs actions of one plan through a port.

    Args:
        post: writes bodies soon, without waiting.
        clock: epoch seconds.
        compare: readable difference of two states, empty if they are equal.
        forward: whether a target may still go forward; asked just before its intent.
        scrub: takes secrets out of what an exception says.
    """

    def __init__(
        self,
        plan: Plan,
        port: Port,
        post: Callable[[Sequence[Body]], None],
        each: Each,
        clock: Callable[[], float],
        compare: Callable[[State, State], str],
        forward: Callable[[str], bool],
        scrub: Callable[[str], str] = str,
    ) -> None:
        self._forward, self._scrub = forward, scrub
        self._plan, self._port, self._post = plan, port, post
        self._each, self._clock, self._compare = each, clock, compare

    def inspect(self, wave: int, job: Job) -> list[Body]:
        """Before the first step on a target: is it still what was approved?"""
        try:
            difference = self._drift(job.known, self._port.inspect(job.target))
        except Exception as error:
            difference = f"it can't be read: {self._say(error)}"
        return [Inspected(wave=wave, target=job.target, ok=not difference, difference=difference)]

    def apply(self, step: str, jobs: Sequence[Job]) -> Doing:
        """Intent, effect, outcome, for all jobs of one step."""
        if reason := self._port.authorise(self._clock()):
            return [self._held(Verb.APPLY, step, j, reason) for j in jobs]
        ready, held = self._ready(step, jobs)
        ready = [j for j in ready if self._forward(j.target)]
        if not ready:
            return held
        yield [self._intent(Verb.APPLY, step, j, j.before) for j in ready]
        outcomes = self._act(Verb.APPLY, step, ready, self._port.apply)
        done = [
            _with_data(j, o.result) for j, o in zip(ready, outcomes, strict=True) if o.result.status is OK
        ]
        if not done:
            return [*held, *outcomes]
        # What is known must not wait for a verification that may take minutes.
        self._post([*held, *outcomes])
        return self.verify(step, done)

    def _ready(self, step: str, jobs: Sequence[Job]) -> tuple[list[Job], list[Body]]:
        ready: list[Job] = []
        held: list[Body] = []
        for job, seen in zip(jobs, self._observe(step, jobs), strict=True):
            if isinstance(seen, Exception):
                held.append(self._held(Verb.APPLY, step, job, f"it can't be read: {self._say(seen)}"))
            elif difference := self._drift(job.known, seen):
                held.append(self._held(Verb.APPLY, step, job, difference))
            else:
                ready.append(replace(job, before=seen))
        return ready, held

    def _act(
        self,
        verb: Verb,
        step: str,
        jobs: Sequence[Job],
        effect: Callable[[str, Sequence[Job]], Mapping[str, Result]],
    ) -> list[Outcome]:
        began = self._clock()
        try:
            results = effect(step, jobs)
        except Exception as error:
            bad = failure(error)
            bad = bad.model_copy(update={"summary": self._scrub(bad.summary)})
            results = {j.target: bad for j in jobs}
        took = self._clock() - began
        missing = Result(status=Status.IN_DOUBT, summary="no word of it came back")
        known = [results.get(j.target, missing) for j in jobs]
        seen = self._observe(step, jobs)
        return [
            self._outcome(verb, step, j, result, after, took)
            for j, result, after in zip(jobs, known, seen, strict=True)
        ]

    def _outcome(
        self, verb: Verb, step: str, job: Job, result: Result, after: State | Exception, took: float
    ) -> Outcome:
        if isinstance(after, Exception):
            # Without a read of what it left, nobody could undo it safely: that is doubt, whatever it said.
            text = f"{result.summary or result.status.value}; then it can't be read: {self._say(after)}"
            result = result.model_copy(update={"status": Status.IN_DOUBT, "summary": text})
        elif verb is Verb.UNDO and result.status is Status.OK and (left := self._left(step, job, after)):
            update = {"status": Status.FAILED, "summary": f"not restored: {left}"}
            result = result.model_copy(update=update)
        state = None if isinstance(after, Exception) else after
        return Outcome(
            verb=verb,
            step=step,
            target=job.target,
            attempt=job.attempt,
            result=result,
            after=state,
            seconds=round(took, 3),
        )

    def _left(self, step: str, job: Job, after: State) -> str:
        """What a backup's undo did not restore, though it said so."""
        if self._plan.steps[self._plan.step_index[step]].role is not Role.BACKUP:
            return ""
        return self._compare({k: job.before.get(k) for k in after}, after)

    def verify(self, step: str, jobs: Sequence[Job]) -> list[Body]:
        """Read-back and checks; what can't be checked has failed."""
        began = self._clock()
        try:
            results = self._port.verify(step, jobs)
        except Exception as error:
            results = {j.target: _unanswered(self._say(error)) for j in jobs}
        took = round(self._clock() - began, 3)
        return [
            Verified(
                step=step,
                target=j.target,
                attempt=j.attempt,
                results=results.get(j.target, _unanswered("none")),
                seconds=took,
            )
            for j in jobs
        ]

    def probe(self, step: str, job: Job) -> list[Body]:
        """In doubt: first make sure that the attempt is dead, then look."""
        verdict, evidence, after = Verdict.UNKNOWN, "", None
        try:
            if not self._port.quiesce(step, job):
                verdict, evidence = Verdict.RUNNING, "an earlier attempt is still at work"
            else:
                found = self._port.probe(step, job)
                after = self._port.observe(step, job.target)
                verdict, evidence = found.verdict, found.evidence
        except Exception as error:
            verdict, evidence, after = Verdict.UNKNOWN, self._say(error), None
        return [
            Probed(
                verb=Verb.APPLY,
                step=step,
                target=job.target,
                attempt=job.attempt,
                verdict=verdict,
                evidence=evidence,
                after=after,
            )
        ]

    def undo(self, step: str, jobs: Sequence[Job]) -> Doing:
        """Take a step back where the state is the one that this run left; else hold it back."""
        ready: list[Job] = []
        intents: list[Body] = []
        held: list[Body] = []
        for job, seen in zip(jobs, self._quiet(step, jobs), strict=True):
            if isinstance(seen, Exception):
                held.append(Unread(target=job.target, why=self._say(seen)))
            elif not job.overwrite and (difference := self._foreign(job, seen)):
                held.append(self._held(Verb.UNDO, step, job, difference))
            else:
                ready.append(job)
                intents.append(self._intent(Verb.UNDO, step, job, seen))
        if not ready:
            return held
        yield intents
        return [*held, *self._act(Verb.UNDO, step, ready, self._port.undo)]

    def _quiet(self, step: str, jobs: Sequence[Job]) -> list[State | Exception]:
        def look(job: Job) -> State | Exception:
            try:
                if not self._port.quiesce(step, job):
                    return InDoubt("an earlier attempt is still at work")
                return self._port.observe(step, job.target)
            except Exception as error:
                return error

        return self._each(look, jobs)

    def gate(self, wave: int, jobs: Sequence[Job], failed: int) -> list[Body]:
        """Ask the wave's lasting checks again; the gate opens only if all of them hold."""

        def ask(job: Job) -> tuple[CheckResult, ...]:
            try:
                return self._port.accept(job.target)
            except Exception as error:
                return _unanswered(self._say(error))

        asked = zip(jobs, self._each(ask, jobs), strict=True)
        unfit = [Unfit(target=j.target, results=r) for j, r in asked if not all(c.ok for c in r)]
        return [*unfit] or [GatePassed(wave=wave, failed=failed)]

    def settle(self, job: Job, final: Final) -> list[Body]:
        """Read a target back over a fresh session and say where it ended."""
        try:
            state = self._port.read_back(job.target)
            results = self._port.accept(job.target) if final is Final.NEW else ()
        except Exception as error:
            return [Unread(target=job.target, why=self._say(error))]
        expected = job.known if final is Final.NEW else job.original
        difference = self._drift(expected, state)
        bad = [r for r in results if not r.ok]
        body: Body
        if final is Final.NEW and (difference or bad):
            body = Unfit(target=job.target, results=results, difference=difference)
        elif difference or (final is Final.ORIGINAL and not state):
            evidence = f"not as before: {difference}" if difference else "nothing of it is observed"
            body = Settled(target=job.target, final=Final.HUMAN, evidence=evidence)
        else:
            count = "1 fact" if len(state) == 1 else f"{len(state)} facts"
            than = "this run left them" if final is Final.NEW else "they were before the run"
            evidence = f"{count} read back over a fresh session, as {than}"
            body = Settled(target=job.target, final=final, evidence=evidence, results=results)
        return [body]

    def _observe(self, step: str, jobs: Sequence[Job]) -> list[State | Exception]:
        def look(job: Job) -> State | Exception:
            try:
                return self._port.observe(step, job.target)
            except Exception as error:
                return error

        return self._each(look, jobs)

    def _drift(self, known: State, seen: State) -> str:
        return self._compare({k: known.get(k) for k in seen}, seen)

    def _foreign(self, job: Job, seen: State) -> str:
        strange = {k: v for k, v in seen.items() if v not in (job.known.get(k), job.before.get(k))}
        return self._compare({k: job.known.get(k) for k in strange}, strange)

    def _say(self, error: Exception) -> str:
        return self._scrub(words(error))

    @staticmethod
    def _intent(verb: Verb, step: str, job: Job, before: State) -> Intent:
        return Intent(verb=verb, step=step, target=job.target, attempt=job.attempt, before=before)

    @staticmethod
    def _held(verb: Verb, step: str, job: Job, difference: str) -> Held:
        return Held(verb=verb, step=step, target=job.target, difference=difference)


def whole(work: Callable[[], list[Body]]) -> Doing:
    """An action that waits for nothing on its way."""
    yield from ()
    return work()


def _unanswered(why: str) -> tuple[CheckResult, ...]:
    return (CheckResult(title="verification", ok=False, expected="an answer", actual=why),)


def _with_data(job: Job, result: Result) -> Job:
    return replace(job, data={**job.data, **result.data})
