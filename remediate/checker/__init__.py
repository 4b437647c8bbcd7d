"""Did a run keep its promises? Judged from its plan and its record alone, by rules of their own.

Nothing of the engine is used here: a mistake in how the engine reads its own journal would else excuse
itself. Each rule is named after the invariant that it judges (docs/invariants.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from remediate.checker import approval, bounds, ending, outside, recovery, way_back
from remediate.checker.outside import Anchor, Outside
from remediate.checker.record import Record
from remediate.model.base import State
from remediate.model.event import Event
from remediate.model.plan import Plan

__all__ = ["RULES", "Anchor", "Outside", "Violation", "check"]

#: Each yields, in words, what contradicts its invariant.
RULES = {
    "V1": approval.only_what_was_approved,
    "V2": approval.never_on_drift,
    "V3": approval.inside_the_window,
    "V4": approval.backed_up_before,
    "V5": recovery.intents_first,
    "V6": recovery.one_sequence,
    "V7": recovery.one_decision,
    "V8": recovery.no_blind_repeat,
    "V9": way_back.nothing_of_others,
    "V10": ending.every_target_ends,
    "V11": way_back.in_reverse,
    "V12": ending.nothing_is_no_success,
    "V13": outside.told_once_in_order,
    "V14": outside.as_witnessed,
    "V15": outside.no_secret,
    "L1": bounds.it_ends,
}


class Violation(NamedTuple):
    """A promise that was not kept."""

    invariant: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


def check(
    plan: Plan,
    events: Iterable[Event],
    states: Mapping[str, State] | None = None,
    beside: Outside | None = None,
) -> tuple[Violation, ...]:
    """What contradicts the invariants; empty if nothing does.

    Args:
        plan: the plan that the run was started with.
        events: all events of the run, in their order; a run that goes on may be judged so far.
        states: facts of the targets as they are now, by name, where somebody read them after the run's end.
        beside: what the ticket tells, and who knows secrets; without it V13 to V15 see the record only.
    """
    record = Record(plan, tuple(events), beside or Outside())
    found = [Violation(name, text) for name, rule in RULES.items() for text in rule(record)]
    return (*found, *(Violation("V10", text) for text in _as_they_are(record, states or {})))


def _as_they_are(record: Record, states: Mapping[str, State]) -> Iterator[str]:
    for name, state in states.items():
        yield from ending.as_it_is(record, name, state)
