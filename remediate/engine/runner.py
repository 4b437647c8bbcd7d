"""Performs what the machine decides: one thread folds and decides, workers act, one writer writes.

Nothing here remembers anything that the journal doesn't hold. Whenever this process dies, the next one
folds the same events and goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from remediate.engine.action import Action, Apply, Gate, Inspect, Probe, Record, Settle, Undo, Verify, Wait
from remediate.engine.fold import fold
from remediate.engine.inbox import Done, Inbox, Message, QueueInbox
from remediate.engine.machine import decide
from remediate.engine.perform import Doing, Performer, whole
from remediate.engine.pool import Pool, ThreadPool
from remediate.engine.port import Job, Port
from remediate.engine.progress import progress
from remediate.engine.state import RunState
from remediate.errors import Exit
from remediate.model.base import State
from remediate.model.event import Body, Event, Intent, Progress, RollbackStarted, Stopped, Verb
from remediate.model.plan import Plan

__all__ = ["Done", "Message", "QueueInbox", "Runner", "ThreadPool"]

POLL = 0.5
"""Seconds between looks at what other processes asked for."""


class Recorder(Protocol):
    """Where events go: `remediate.journal.writer.Writer`, or a simulation's own."""

    def record(self, *bodies: Body) -> None:
        """Durable and delivered on return."""

    def post(self, bodies: Sequence[Body], then: Callable[[BaseException | None], None]) -> None:
        """Write and deliver soon, then call ``then``. Without bodies: deliver what others wrote."""


#: Performs a step on jobs.
Work = Callable[[str, Sequence[Job]], Doing]


class Runner:
    """Drives one run to its end, or to a safe stop.

    Args:
        state: folded from all events so far.
        observe: told of every event after it is durable (screen, JSON stream); must not raise.
        interrupted: asked often; true after Ctrl-C.
        heartbeat: called about twice a second; keeps the lease. Raises `StaleLease` when it is lost.
        progress_every: seconds between progress updates for the customer.
        scrub: takes secrets out of text that goes into the journal.
    """

    def __init__(
        self,
        plan: Plan,
        state: RunState,
        port: Port,
        recorder: Recorder,
        inbox: Inbox,
        pool: Pool,
        clock: Callable[[], float],
        compare: Callable[[State, State], str],
        *,
        observe: Callable[[Event], None] = lambda _: None,
        interrupted: Callable[[], bool] = lambda: False,
        heartbeat: Callable[[], None] = lambda: None,
        progress_every: float = 7200.0,
        scrub: Callable[[str], str] = str,
    ) -> None:
        self._plan, self._state, self._port = plan, state, port
        self._recorder, self._inbox, self._pool, self._clock = recorder, inbox, pool, clock
        self._observe, self._interrupted, self._heartbeat = observe, interrupted, heartbeat
        self._perform = Performer(plan, port, self._later, pool.each, clock, compare, self._forward, scrub)
        self._busy: set[str] = set()
        """One action at a time on a target: what is under way may not have an event yet."""
        self._turning = threading.Lock()
        """An intent and the decision to turn back are recorded in one order: none follows the decision."""
        self._back: set[str] = set()
        self._progress_every, self._progress_at = progress_every, clock() + progress_every
        self._polled = self._newest = clock()

    def run(self) -> Exit:
        """Go on until the run is finished, paused or interrupted.

        Raises:
            StaleLease: another runner took over.
            JournalUnwritable: nothing more can be recorded, so nothing more was done.
        """
        while True:
            self._housekeeping()
            if self._interrupted():
                if not self._busy:
                    return self._stop("interrupted", Exit.INTERRUPTED)
                self._take(POLL)
                continue
            due = self._dispatch()
            if self._state.finished is not None and not self._busy:
                return Exit(self._state.finished.exit_code)
            if due is None and not self._busy:
                if not self._state.paused:
                    raise RuntimeError("the machine has nothing to do, but the run is not finished")
                return self._stop("paused", Exit.WAITING)
            self._take(max(0.0, min(POLL, (due or float("inf")) - self._clock())))

    def _forward(self, target: str) -> bool:
        if self._state.stopping or self._state.targets[target].rolling:
            return False
        return target not in self._back

    def _decided(self, body: Body) -> None:
        if isinstance(body, RollbackStarted):
            with self._turning:
                self._back.update(self._plan.by_name if body.stop else body.targets)
        self._recorder.record(body)

    def _stop(self, reason: str, code: Exit) -> Exit:
        self._recorder.record(Stopped(reason=reason))
        self._drain(0.0)
        return code

    def _look_at_the_clock(self) -> float:
        now = self._clock()
        if (back := self._newest - now) > 0:
            self._state.set_back(back)
            self._polled, self._progress_at = self._polled - back, self._progress_at - back
        self._newest = now
        return now

    def _housekeeping(self) -> None:
        now = self._look_at_the_clock()
        if now - self._polled >= POLL:
            self._polled = now
            self._heartbeat()
            self._post((), ())
        if now >= self._progress_at:
            self._progress_at = now + self._progress_every
            self._recorder.record(Progress(text=progress(self._state)))
        self._drain(0.0)

    def _dispatch(self) -> float | None:
        """Start all that may start; returns when to look again, None if nothing is left to wait for."""
        now = self._clock()
        soonest: float | None = None
        for action in decide(self._state, now, self._busy):
            if isinstance(action, Record):
                self._decided(action.body)
                self._drain(0.0)
                return now
            due = action.due if isinstance(action, Wait | Probe | Undo | Settle) else now
            if due <= now and not isinstance(action, Wait):
                self._start(action)
            else:
                soonest = due if soonest is None else min(soonest, due)
        return soonest

    def _start(self, action: Action) -> None:
        match action:
            case Inspect(wave, target):
                job = self._job(0, target, 0)
                self._go([job], whole(partial(self._perform.inspect, wave, job)))
            case Apply(step, targets, attempt):
                self._each(step, targets, attempt, self._perform.apply)
            case Verify(step, targets, attempt):
                self._each(step, targets, attempt, lambda s, j: whole(partial(self._perform.verify, s, j)))
            case Undo(step, targets, attempt):
                self._each(step, targets, attempt, self._perform.undo)
            case Probe(step, target, attempt):
                job = self._job(self._plan.step_index[step], target, attempt)
                self._go([job], whole(partial(self._perform.probe, step, job)))
            case Gate(wave, targets):
                jobs = [self._job(0, t, 0) for t in targets]
                self._go(jobs, whole(partial(self._perform.gate, wave, jobs, len(self._state.failed))))
            case Settle(target, final):
                job = self._job(0, target, 0)
                self._go([job], whole(partial(self._perform.settle, job, final)))

    def _each(
        self,
        step: str,
        targets: tuple[str, ...],
        attempt: int,
        work: Work,
    ) -> None:
        index = self._plan.step_index[step]
        jobs = [self._job(index, t, attempt) for t in targets if t not in self._busy]
        if jobs and self._port.together(step):
            self._go(jobs, work(step, jobs))
        else:
            for job in jobs:
                self._go([job], work(step, [job]))

    def _go(self, jobs: Sequence[Job], doing: Doing) -> None:
        targets = tuple(j.target for j in jobs)
        if self._busy.intersection(targets):
            return
        self._busy.update(targets)
        self._pool.start(partial(self._advance, doing, targets))

    def _advance(self, doing: Doing, targets: tuple[str, ...], problem: BaseException | None = None) -> bool:
        """On a worker: to the action's end, or to where something has to be durable before it goes on."""
        try:
            bodies = next(doing) if problem is None else doing.throw(problem)
        except StopIteration as end:
            self._post(end.value, targets)
        except BaseException as error:
            self._inbox.put(Done(targets, error))
        else:
            return not self._wait(doing, targets, bodies)
        return True

    def _wait(self, doing: Doing, targets: tuple[str, ...], bodies: Sequence[Body]) -> bool:
        """Until these are durable. False: the run turned back meanwhile, and the action is dropped."""
        with self._turning:
            if all(self._forward(b.target) for b in bodies if isinstance(b, Intent) and b.verb is Verb.APPLY):
                self._recorder.post(
                    bodies, lambda p: self._pool.resume(partial(self._advance, doing, targets, p))
                )
                return True
        doing.close()
        self._post((), targets)
        return False

    def _post(self, bodies: Sequence[Body], targets: tuple[str, ...]) -> None:
        """Record, and only when that is folded let go of the targets: else they would be acted on again."""
        self._recorder.post(bodies, lambda error: self._inbox.put(Done(targets, error)))

    def _later(self, bodies: Sequence[Body]) -> None:
        """Record without waiting. If that fails, so does the record that waits behind it."""
        self._recorder.post(bodies, lambda _: None)

    def _job(self, index: int, target: str, attempt: int) -> Job:
        cell, state = self._state.cell(index, target), self._state.targets[target]
        return Job(
            target=target,
            attempt=attempt,
            attempts=max(attempt, cell.attempt),
            undo_attempts=cell.undo_attempt,
            overwrite=cell.overwrite,
            before=cell.before,
            data=dict(cell.data),
            known=dict(state.known),
            original=state.original,
        )

    def _take(self, timeout: float) -> None:
        if (message := self._inbox.get(timeout)) is not None:
            self._handle(message)
            self._drain(0.0)

    def _drain(self, timeout: float) -> None:
        while (message := self._inbox.get(timeout)) is not None:
            self._handle(message)

    def _handle(self, message: Message) -> None:
        if isinstance(message, Done):
            self._busy.difference_update(message.targets)
            if message.error is not None:
                raise message.error
            return
        for event in message:
            fold(self._state, event)
            self._newest = max(self._newest, event.at)
            self._observe(event)
