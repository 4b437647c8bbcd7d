"""Cases of the fault matrix: a fault is made, the step is asked as the engine does, what is seen is told.

The words that a case ends with are made of what was seen, and stand on the page as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import pytest

from remediate.errors import InDoubt, StepFailed
from remediate.model.step import Context, Result, Status, Step, Verdict

PATIENCE = 40.0
T = TypeVar("T", bound=Callable[..., object])


class Truth(Enum):
    """How the target is, read past the product."""

    OLD = "old"
    PART = "part"
    NEW = "new"


@dataclass
class Attempt:
    """One attempt of a step, and ways to judge it that are not the step's own."""

    step: Step
    context: Context
    truth: Callable[[], Truth]
    undo: Callable[[Result | None], object]
    """What a rollback does, with the result of the attempt if there was one."""


def case(technology: str, moment: str, fault: str, outcome: str, *made: object) -> Any:
    """A parameter: how the fault is made, and the words; with the mark of its cell."""
    marks: Sequence[pytest.MarkDecorator] = [pytest.mark.fault(technology, moment, fault, outcome)]
    return pytest.param(*made, outcome, marks=marks, id=f"{moment}-{fault}".replace(" ", "-"))


def cells(technology: str, *found: tuple[str, str, str]) -> Callable[[T], T]:
    """Marks a test that shows several: moment, fault and outcome of each."""

    def marked(test: T) -> T:
        for moment, fault, outcome in found:
            test = pytest.mark.fault(technology, moment, fault, outcome)(test)
        return test

    return marked


def nothing() -> None:
    """Nothing happens."""


def ending(
    attempt: Attempt, afterwards: Callable[[], object] = nothing, at_last: Callable[[], object] = nothing
) -> str:
    """Apply; then what the engine asks in doubt, then the way back. The words say what was seen.

    Args:
        attempt: what is tried.
        afterwards: what happens once the attempt was given up: repairs, and effects that come late.
        at_last: what comes when everything is settled; it must change nothing any more.
    """
    result: Result | None = None
    try:
        result = attempt.step.apply(attempt.context)
        status = result.status
    except InDoubt:
        status = Status.IN_DOUBT
    except StepFailed:
        status = Status.FAILED
    afterwards()
    words = _judged(attempt, status)
    seen = attempt.truth()
    if seen is not Truth.OLD and "human" not in words:
        words = _undone(attempt, result, words)
    settled = attempt.truth()
    at_last()
    assert attempt.truth() is settled, "an effect that came when all was settled"
    return words


def _judged(attempt: Attempt, status: Status) -> str:
    if status is Status.OK:
        assert attempt.truth() is Truth.NEW, "it said that it was done"
        return "done"
    if status is Status.FAILED:
        return "failed, nothing changed" if attempt.truth() is Truth.OLD else "failed"
    _quiet(attempt)
    verdict = attempt.step.probe(attempt.context).verdict
    expected = {Verdict.APPLIED: Truth.NEW, Verdict.NOT_APPLIED: Truth.OLD}
    assert attempt.truth() is expected.get(verdict, attempt.truth()), f"the probe said {verdict.value}"
    assert verdict is not Verdict.RUNNING, "it said that it was quiet"
    words = f"in doubt, probed: {verdict.value}"
    return f"{words}, left to a human" if verdict is Verdict.UNKNOWN else words


def _quiet(attempt: Attempt) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(StepFailed):
            if attempt.step.quiesce(attempt.context):
                return
        assert time.monotonic() < deadline, "an attempt that never ends"
        time.sleep(0.1)


def _undone(attempt: Attempt, result: Result | None, words: str) -> str:
    attempt.undo(result)
    assert attempt.truth() is Truth.OLD, "the way back did not lead there"
    # What was done is taken back here, too; worth a word is only that a half goes back.
    return f"{words}, undone" if words.endswith(("failed", "partial")) else words
