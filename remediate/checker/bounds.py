"""A run comes to an end: nothing is tried without limit, and nothing follows the end by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from remediate.checker.record import Record
from remediate.model.event import (
    Accepted,
    Body,
    Decided,
    Intent,
    Overwrite,
    Probed,
    Requested,
    Revoked,
    RunFinished,
    RunTaken,
    Verb,
)
from remediate.model.step import StepClass

_REPEATABLE = (StepClass.TOKENED, StepClass.STATE_BASED)
#: An undo that fails is tried so often; one in doubt for as long as the plan's patience lasts.
_UNDO_TRIES = 3
_LONGEST_WAIT = 30.0
#: What people say, and who goes on after that.
_MAY_FOLLOW_THE_END = (Requested, Decided, Overwrite, Accepted, Revoked, RunTaken)


def it_ends(record: Record) -> Iterator[str]:
    """L1: attempts, undos and probes are bounded, and only a person's word goes beyond a run's end."""
    for body, after in pairwise(record.bodies):
        if isinstance(body, RunFinished) and not isinstance(after, _MAY_FOLLOW_THE_END):
            yield f"{after.kind} follows the run's end"
    waits = _waits(record.plan.doubt_patience)
    takeovers = [place for place, body in enumerate(record.bodies) if isinstance(body, RunTaken)]
    for step, target in record.cells:
        planned = record.step(step)
        if planned is None:
            continue
        repeats = max(planned.retries, 1) if planned.step_class in _REPEATABLE else 0
        limits = {"attempts": 1 + repeats, "undos": max(_UNDO_TRIES, waits), "probes": waits}
        for what, most in _most(record.of((step, target)), takeovers).items():
            if most > limits[what]:
                yield f"{step} on {target} had {most} {what}; {limits[what]} are allowed"


def _most(told: list[tuple[int, Body]], takeovers: list[int]) -> Counter[str]:
    """The most attempts at all; the most undos and probes that nobody's new try or word came between."""
    most, now, before = Counter[str](), Counter[str](), -1
    for place, body in told:
        if any(before < taken < place for taken in takeovers) or isinstance(body, Decided | Overwrite):
            now = Counter({"attempts": now["attempts"]})
        before = place
        match body:
            case Intent(verb=Verb.APPLY):
                now["attempts"], now["probes"] = now["attempts"] + 1, 0
            case Intent(verb=Verb.UNDO):
                now["undos"] += 1
            case Probed():
                now["probes"] += 1
            case _:
                pass
        most |= now
    return most


def _waits(patience: float) -> int:
    """How often something can be tried within this time, each wait being twice the one before it."""
    tries, wait, spent = 2, 0.5, 0.0
    while spent <= patience + _LONGEST_WAIT:
        spent, wait, tries = spent + wait, min(2 * wait, _LONGEST_WAIT), tries + 1
    return tries
