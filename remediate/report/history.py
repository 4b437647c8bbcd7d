"""What a run's events add up to for a reader: attempts, endings, rollbacks, in the order they came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from remediate.errors import Exit
from remediate.model.event import (
    Accepted,
    Body,
    Decided,
    Event,
    Final,
    Held,
    Inspected,
    Intent,
    Outcome,
    Overwrite,
    Probed,
    RollbackStarted,
    RunFinished,
    RunStarted,
    RunTaken,
    Settled,
    Unfit,
    Verb,
    Verified,
)
from remediate.model.step import Result, Status, Verdict
from remediate.report.checks import failed_checks


class Key(NamedTuple):
    """Names one attempt."""

    verb: Verb
    step: str
    target: str
    number: int


@dataclass(slots=True)
class Attempt:
    """One try of one effect on one target, as far as it was seen."""

    key: Key
    began: float
    ended: float
    result: Result | None = None
    verified: Verified | None = None
    verdict: Verdict | None = None

    @property
    def in_doubt(self) -> bool:
        """Whether still nobody knows what came of it."""
        seen = self.result is not None and self.result.status is not Status.IN_DOUBT
        return not seen and self.verified is None and self.verdict in (None, Verdict.RUNNING, Verdict.UNKNOWN)

    @property
    def took_effect(self) -> bool:
        """Whether it is known to have been done."""
        seen = self.result is not None and self.result.status is Status.OK
        return seen or self.verdict is Verdict.APPLIED


class Failure(NamedTuple):
    """Why a target left the way forward: the step, if it was one, and the reason."""

    step: str
    reason: str


@dataclass(slots=True)
class History:
    """Derived from events only."""

    run: str = ""
    first: float = 0.0
    last: float = 0.0
    started: RunStarted | None = None
    finished: RunFinished | None = None
    attempts: dict[Key, Attempt] = field(default_factory=dict)
    endings: dict[str, Settled] = field(default_factory=dict)
    rollbacks: list[RollbackStarted] = field(default_factory=list)
    rolling: dict[str, None] = field(default_factory=dict)
    """Targets that are or were rolled back, in that order."""
    failures: dict[str, Failure] = field(default_factory=dict)

    kept: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)
    """Steps by target whose undo was held back, because somebody else changed the same."""
    """Targets that a human keeps as they are."""
    newest: dict[tuple[str, Verb], dict[str, Attempt]] = field(default_factory=dict)
    """The last attempt of each step, by target and verb."""

    def of(self, target: str, verb: Verb) -> list[Attempt]:
        """The newest attempt of each step on this target."""
        return list(self.newest.get((target, verb), {}).values())

    def attempt(self, key: Key, began: float) -> Attempt:
        """The attempt of this key, known from now on if it wasn't."""
        found = self.attempts.setdefault(key, Attempt(key, began, began))
        self.newest.setdefault((key.target, key.verb), {})[key.step] = found
        return found


def history(events: Iterable[Event]) -> History:
    """All of them, folded in their order."""
    result = History()
    for event in events:
        result.run, result.last = event.run, event.at
        result.first = result.first or event.at
        _about_effects(result, event.body, event.at)
        _about_failures(result, event.body)
        _about_the_run(result, event.body)
    return result


def _about_effects(state: History, body: Body, at: float) -> None:
    match body:
        case Intent():
            if body.verb is Verb.UNDO:
                state.held.pop(body.target, None)
            state.attempt(Key(body.verb, body.step, body.target, body.attempt), at)
        case Outcome():
            attempt = state.attempt(Key(body.verb, body.step, body.target, body.attempt), at - body.seconds)
            attempt.result, attempt.ended = body.result, at
        case Verified():
            key = Key(Verb.APPLY, body.step, body.target, body.attempt)
            attempt = state.attempt(key, at - body.seconds)
            attempt.verified, attempt.ended = body, at
        case Probed() | Decided():
            verb = body.verb if isinstance(body, Probed) else Verb.APPLY
            attempt = state.attempt(Key(verb, body.step, body.target, body.attempt), at)
            attempt.verdict, attempt.ended = body.verdict, at
        case _:
            pass


def _about_failures(state: History, body: Body) -> None:
    """The last thing that went wrong before the rollback; what is retried with success is forgotten."""
    match body:
        case Inspected() if not body.ok:
            failure = Failure("", f"not as approved: {body.difference}")
        case Outcome() if body.verb is Verb.APPLY and body.result.status is not Status.OK:
            failure = Failure(body.step, body.result.summary or body.result.status.value)
        case Held() if body.verb is Verb.UNDO:
            state.held[body.target] = body.step
            return
        case Held():
            failure = Failure(body.step, f"not begun: {body.difference}")
        case Verified() if not body.ok:
            failure = Failure(body.step, failed_checks(body.results))
        case Unfit():
            failure = Failure("", f"acceptance: {failed_checks(body.results) or body.difference}")
        case _:
            return
    if body.target not in state.rolling:
        state.failures[body.target] = failure


def _about_the_run(state: History, body: Body) -> None:
    match body:
        case RunStarted():
            state.started = body
        case RunFinished():
            state.finished = body
        case RollbackStarted():
            state.rollbacks.append(body)
            for target in body.targets:
                state.rolling[target] = None
                state.endings.pop(target, None)
        case Settled():
            state.endings[body.target] = body
        case RunTaken():
            _reopen(state, list(state.endings))
        case Accepted():
            state.kept.add(body.target)
        case Decided() | Overwrite():
            _reopen(state, [body.target])
        case _:
            pass


def _reopen(state: History, targets: list[str]) -> None:
    """Whoever takes up a run that needed a human tries those targets again."""
    for target in targets:
        if (
            target in state.endings
            and target not in state.kept
            and state.endings[target].final is Final.HUMAN
        ):
            del state.endings[target]
    if state.finished is not None and state.finished.exit_code == Exit.NEEDS_HUMAN:
        state.finished = None
